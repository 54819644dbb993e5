use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn work(bars: u64, columns: u64, columns_a_trial: u64, trials: Slices) -> SymbolWork {
    SymbolWork { bars, loaded: bars + bars / 10, columns, columns_a_trial, walks: false, trials }
}

fn plan(work: &[SymbolWork], limits: &Limits) -> Vec<Shard> {
    shards(work, &CostModel::default(), limits).collect()
}

#[test]
fn a_small_job_is_one_shard_a_symbol() {
    let symbol = || work(8_784, 300, 9, Slices::all(1420));
    let limits = Limits::default();
    let one = plan(&[symbol()], &limits);
    assert_eq!(one.len(), 1);
    assert_eq!((one[0].number, one[0].symbol, &one[0].trials), (0, 0, &Slices::all(1420)));
    // 1,420 trials of 30 us and 8,784 bars of 6 ns, and 300 columns of 9,662 bars of 6 ns.
    assert_eq!(one[0].cost_micros, (42_600.0_f64 + 74_839.68 + 17_391.6).ceil() as u64);
    // Stops that move are gone through bar by bar.
    let walks = plan(&[SymbolWork { walks: true, ..symbol() }], &limits);
    assert_eq!(walks[0].cost_micros, (42_600.0_f64 + 174_625.92 + 17_391.6).ceil() as u64);
    assert_eq!(plan(&[symbol(), symbol()], &limits).len(), 2);
}

#[test]
fn a_sweep_over_one_symbol_is_divided_over_many_workers() {
    // Two minutes of one core, and an hour, and a hundred.
    for (trials, expected) in
        [(2_000_000, 160..=175), (60_000_000, 600..=700), (6_000_000_000, 60_000..=60_000)]
    {
        let all = [work(8_760, 200, 9, Slices::all(trials))];
        let found = count(&cuts(&all, &CostModel::default(), &Limits::default()));
        assert!(expected.contains(&found), "{trials} trials make {found} shards");
    }
}

#[test]
fn columns_that_weigh_much_make_longer_shards() {
    // Columns of 50 s over trials of 1500 s, of which each trial reads a few: shards of 60 s were columns for the most part.
    let all = [work(500_000, 15_000, 6, Slices::all(500_000))];
    let model = CostModel::default();
    let cut = cuts(&all, &model, &Limits::default())[0];
    let again = cut.total_micros() as f64 / 1e6 - model.of(&all[0]).nanos(500_000) / 1e9;
    let cost = cut.largest_micros() as f64 / 1e6;
    assert!((60.0..=120.0).contains(&cost), "{cost} s a shard");
    assert!(again < 1200.0, "{again} s of columns again");
}

#[test]
fn what_a_cache_has_is_in_no_shard() {
    let cached: Slices = [10..20, 50..60].into_iter().collect();
    let all = [work(1000, 10, 5, Slices::all(100).without(&cached)), work(1000, 10, 5, Slices::default())];
    let found = plan(&all, &Limits { max_trials: 30, ..Limits::default() });
    let trials: Vec<String> = found.iter().map(|shard| shard.trials.to_string()).collect();
    assert_eq!(trials, ["0..10, 20..37", "37..50, 60..74", "74..100"]);
    assert!(plan(&[], &Limits::default()).is_empty());
}

#[test]
fn a_million_shards_stream() {
    let all = [work(8_760, 200, 9, Slices::all(1_000_000_000))];
    let limits = Limits { max_trials: 1000, ..Limits::default() };
    let (mut shards, mut next) = (0, 0);
    for shard in super::shards(&all, &CostModel::default(), &limits) {
        assert_eq!((shard.number, shard.trials), (shards, std::iter::once(next..next + 1000).collect()));
        (shards, next) = (shards + 1, next + 1000);
    }
    assert_eq!(shards, 1_000_000);
}

#[test]
fn plans_are_read_back() {
    let shard = Shard { number: 7, symbol: 1, trials: Slices::all(3), cost_micros: 5 };
    let text = serde_json::to_string(&shard).unwrap();
    assert_eq!(text, r#"{"number":7,"symbol":1,"trials":[0,3],"costMicros":5}"#);
    assert_eq!(serde_json::from_str::<Shard>(&text).unwrap(), shard);
    let model = CostModel::default();
    let text = serde_json::to_string(&model).unwrap();
    assert_eq!(serde_json::from_str::<CostModel>(&text).unwrap(), model);
}

fn any_slices() -> impl Strategy<Value = Slices> {
    let ranges = proptest::collection::vec((0u64..3000, 0u64..600), 0..6);
    ranges.prop_map(|ranges| ranges.into_iter().map(|(start, len)| start..start + len).collect())
}

fn any_work() -> impl Strategy<Value = Vec<SymbolWork>> {
    let symbol = (1u64..3_000_000, 0u64..3000, 1u64..20, any_slices());
    let symbol = symbol.prop_map(|(bars, columns, own, trials)| work(bars, columns, own, trials));
    proptest::collection::vec(symbol, 0..6)
}

fn any_limits() -> impl Strategy<Value = Limits> {
    (0.01f64..120.0, 1.0f64..3.0, 0.0f64..2.0, 1u64..300, 1u64..2000).prop_map(
        |(target_seconds, longer, small_job_seconds, wanted_shards, max_trials)| Limits {
            target_seconds,
            most_seconds: target_seconds * longer,
            small_job_seconds,
            wanted_shards,
            max_trials,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_trial_is_in_exactly_one_shard_and_no_other(work in any_work(), limits in any_limits()) {
        let found = plan(&work, &limits);
        let mut of_symbol: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
        for (i, shard) in found.iter().enumerate() {
            prop_assert_eq!(shard.number, i as u64);
            prop_assert!(!shard.trials.is_empty());
            of_symbol.entry(shard.symbol).or_default().extend(shard.trials.iter());
        }
        for (symbol, work) in work.iter().enumerate() {
            // In order and once each: shards of a symbol come as its trials do.
            let trials = of_symbol.remove(&(symbol as u32)).unwrap_or_default();
            prop_assert!(trials.into_iter().eq(work.trials.iter()));
        }
        prop_assert!(of_symbol.is_empty());
    }

    #[test]
    fn symbols_stand_together_and_the_largest_first(work in any_work(), limits in any_limits()) {
        let model = CostModel::default();
        let found = plan(&work, &limits);
        let mut symbols: Vec<u32> = found.iter().map(|shard| shard.symbol).collect();
        symbols.dedup();
        let of = |symbol: u32| model.of(&work[symbol as usize]).nanos(work[symbol as usize].trials.len());
        for pair in symbols.windows(2) {
            prop_assert!(of(pair[0]) > of(pair[1]) || (of(pair[0]) == of(pair[1]) && pair[0] < pair[1]));
        }
        for pair in found.windows(2).filter(|pair| pair[0].symbol == pair[1].symbol) {
            let (first, second) = (pair[0].trials.len(), pair[1].trials.len());
            prop_assert!(first == second || first == second + 1, "equal sizes, the larger first");
        }
    }

    #[test]
    fn the_same_input_makes_the_same_shards(work in any_work(), limits in any_limits()) {
        prop_assert_eq!(plan(&work, &limits), plan(&work.clone(), &limits));
    }

    #[test]
    fn costs_add_up_but_for_columns_computed_again(work in any_work(), limits in any_limits()) {
        let model = CostModel::default();
        let cuts = cuts(&work, &model, &limits);
        let found = plan(&work, &limits);
        prop_assert_eq!(count(&cuts), found.len() as u64);
        for cut in &cuts {
            let mine: Vec<u64> =
                found.iter().filter(|s| s.symbol == cut.symbol).map(|s| s.cost_micros).collect();
            let sum: u128 = mine.iter().map(|&micros| u128::from(micros)).sum();
            prop_assert_eq!(sum, cut.total_micros());
            prop_assert_eq!(mine.iter().max(), Some(&cut.largest_micros()));
            let trials = work[cut.symbol as usize].trials.len();
            let (whole, columns) = (cut.cost.nanos(trials) / 1e3, cut.cost.columns(trials) / 1e3);
            let again = sum as f64 - whole;
            let rounding = cut.shards as f64 + whole * 1e-12;
            prop_assert!(again >= -rounding, "{again}");
            prop_assert!(again <= (cut.shards - 1) as f64 * columns + rounding, "{again}");
        }
    }

    #[test]
    fn no_shard_is_too_large_and_there_are_not_too_many(work in any_work(), limits in any_limits()) {
        let model = CostModel::default();
        let most = limits.most_seconds * 1e6 + 1.0;
        for shard in plan(&work, &limits) {
            prop_assert!(shard.trials.len() <= limits.max_trials);
            prop_assert!(shard.cost_micros as f64 <= most || shard.trials.len() == 1, "{shard:?}");
        }
        let total: f64 = work.iter().map(|work| model.of(work).nanos(work.trials.len())).sum();
        for cut in cuts(&work, &model, &limits) {
            let trials = work[cut.symbol as usize].trials.len();
            let own = trials as f64 * (cut.cost.trial + cut.cost.own_columns) / 1e9;
            let aim = (total / 1e9 / limits.wanted_shards as f64).min(limits.target_seconds);
            let bound = 1.0 + (2.0 * own / aim).max(trials as f64 / limits.max_trials as f64);
            prop_assert!(cut.shards as f64 <= bound && cut.shards <= trials, "{} > {bound}", cut.shards);
        }
    }

    #[test]
    fn work_below_a_second_is_never_divided(work in any_work()) {
        let model = CostModel::default();
        for cut in cuts(&work, &model, &Limits::default()) {
            let trials = work[cut.symbol as usize].trials.len();
            prop_assert!(cut.cost.nanos(trials) >= 1e9 || cut.shards == 1);
        }
    }
}
