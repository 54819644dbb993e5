use super::*;

const FROM: i64 = 1_640_995_200_000;
const YEAR: i64 = 365 * DAY_MS;

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let (ma, mb) = (mean(a), mean(b));
    let sum = |f: &dyn Fn(f64, f64) -> f64| a.iter().zip(b).map(|(x, y)| f(x - ma, y - mb)).sum::<f64>();
    sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt()
}

#[test]
fn the_committed_sample_is_what_the_generator_makes() {
    let made = sample_files().unwrap();
    assert_eq!(made.len(), crate::SAMPLE_FILES.len());
    for (path, bytes) in &made {
        let (_, committed) = crate::SAMPLE_FILES.iter().find(|(p, _)| p == path).unwrap();
        assert!(bytes.as_slice() == *committed, "{path}: run the example make_sample");
    }
    let total: usize = made.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(total <= 3_000_000, "{total}");
}

#[test]
fn the_sample_is_read_from_inside_the_program() {
    let sample = crate::sample().unwrap();
    sample.verify().unwrap();
    let manifest = sample.manifest();
    assert!(manifest.synthetic && manifest.licence == "CC0-1.0");
    let hour: Interval = "1h".parse().unwrap();
    assert_eq!(sample.symbols(hour), ["SYN-A", "SYN-B", "SYN-C"]);
    for symbol in sample.symbols(hour) {
        let candles = sample.read(&symbol, hour, None, None).unwrap();
        assert_eq!((candles.len(), candles.gaps()), (1096 * 24, 0));
        assert_eq!(candles.timestamp()[0], FROM);
    }
    // The hours are made of the quarters.
    let quarters = sample.read("SYN-A", "15m".parse().unwrap(), None, None).unwrap();
    let hours = sample.read("SYN-A", hour, Some(quarters.timestamp()[0]), None).unwrap();
    assert_eq!(merge(&quarters, hour, 2).unwrap(), hours);
}

#[test]
fn a_seed_is_a_market() {
    let one = quarters(&MARKETS[0], 5, FROM, FROM + 30 * DAY_MS).unwrap();
    assert_eq!(one, quarters(&MARKETS[0], 5, FROM, FROM + 30 * DAY_MS).unwrap());
    assert_ne!(one, quarters(&MARKETS[0], 6, FROM, FROM + 30 * DAY_MS).unwrap());
    let longer = quarters(&MARKETS[0], 5, FROM, FROM + 60 * DAY_MS).unwrap();
    assert_eq!(one, longer.slice(0..one.len()));
}

#[test]
fn it_looks_like_a_market() {
    for market in &MARKETS {
        // `Candles::new` has checked that each is a candle.
        let candles = quarters(market, 11, FROM, FROM + YEAR).unwrap();
        let (open, close) = (candles.open(), candles.close());
        let gaps = (1..candles.len()).filter(|&i| open[i] != close[i - 1]).count();
        assert!(gaps as f64 > 0.9 * candles.len() as f64, "{gaps}");
        let moves: Vec<f64> = (0..candles.len()).map(|i| (close[i] / open[i]).ln().abs()).collect();
        let n = moves.len();
        for lag in [1, 4, 16] {
            let clustering = correlation(&moves[lag..], &moves[..n - lag]);
            assert!(clustering > 0.05, "{} lag {lag}: {clustering}", market.symbol);
        }
        assert!(correlation(&moves, candles.volume()) > 0.3);
        // Prices are decimals: the float nearest to a number of so many places.
        for value in close.iter().take(1000) {
            let text = format!("{value:.*}", market.decimals as usize);
            assert_eq!(text.parse::<f64>().unwrap(), *value);
        }
        let wick =
            |i: usize| candles.high()[i] > open[i].max(close[i]) && candles.low()[i] < open[i].min(close[i]);
        assert!((0..n).filter(|&i| wick(i)).count() * 3 > n);
    }
}

fn climate(gaps: f64) -> Climate {
    let interval = "1m".parse().unwrap();
    Climate { interval, from_ms: FROM, seed: 7, gaps, jumps: 0.0, correlation: 0.6 }
}

#[test]
fn a_walk_is_its_seed_and_begins_as_a_shorter_one() {
    let asset = Asset::of("X", 7);
    // A jump a day or so.
    let climate = Climate { jumps: 365.0, ..climate(0.02) };
    let whole = Walk::new(&asset, &climate).next(5000).unwrap();
    let mut walk = Walk::new(&asset, &climate);
    let (first, second) = (walk.next(1200).unwrap(), walk.next(3800).unwrap());
    assert_eq!((first.clone(), second), (whole.slice(0..first.len()), whole.slice(first.len()..whole.len())));
    let other = Climate { seed: 8, ..climate };
    assert_ne!(Walk::new(&asset, &other).next(5000).unwrap(), whole);
    // The bits of another day and machine: raise `WALK_VERSION` with them.
    assert_eq!(
        crate::digest("X", &whole),
        "0919bce21b9e692ed576fde1c5faf8a691e9a0915dfb0d445aaea3f37185a9be"
    );
}

#[test]
fn a_walk_looks_like_a_market() {
    const N: usize = 200_000;
    let walk = |name: &str, gaps: f64| Walk::new(&Asset::of(name, 7), &climate(gaps)).next(N).unwrap();
    let returns = |candles: &Candles| -> Vec<f64> {
        candles.close().windows(2).map(|pair| pair[1] / pair[0] - 1.0).collect()
    };
    let (a, b) = (walk("A", 0.0), walk("B", 0.0));
    assert_eq!(a.gaps(), 0);
    let (ra, rb) = (returns(&a), returns(&b));
    let together = correlation(&ra, &rb);
    assert!((together - 0.6).abs() < 0.1, "{together}");
    let size: Vec<f64> = ra.iter().map(|r| r.abs()).collect();
    for lag in [1, 60, 1440] {
        let clustering = correlation(&size[lag..], &size[..size.len() - lag]);
        assert!(clustering > 0.03, "lag {lag}: {clustering}");
    }
    assert!(correlation(&size, &a.volume()[1..]) > 0.3);
    // A year has its volatility, about: 139 days were made.
    let deviation = (mean(&ra.iter().map(|r| r * r).collect::<Vec<_>>())).sqrt() * (525_600_f64).sqrt();
    let asset = Asset::of("A", 7);
    assert!((0.6..1.8).contains(&(deviation / asset.volatility)), "{deviation} {}", asset.volatility);
    for value in a.close().iter().chain(b.high()).take(1000).chain(a.low()) {
        let text = format!("{value:.*}", 6);
        assert_eq!(text.parse::<f64>().unwrap(), *value);
    }
    let holes = walk("A", 0.05);
    let share = 1.0 - holes.len() as f64 / N as f64;
    assert!((share - 0.05).abs() < 0.02, "{share}");
}

#[test]
fn a_walk_of_centuries_keeps_to_its_price() {
    let day = Climate { interval: Interval::DAY, ..climate(0.0) };
    for name in ["A", "B", "C"] {
        let asset = Asset::of(name, 7);
        let candles = Walk::new(&asset, &day).next(100_000).unwrap();
        let far = candles.close().iter().map(|close| (close / asset.price).max(asset.price / close));
        let far = far.fold(0.0, f64::max);
        assert!(far < 200.0, "{name}: {far}");
    }
}
