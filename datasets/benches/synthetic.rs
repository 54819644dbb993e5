//! How fast candles are made: `cargo bench -p blockgrid-datasets --bench synthetic`.

mod support;

use blockgrid_datasets::synthetic::{Asset, Climate, Walk};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const CHUNK: usize = 8192;
    const CHUNKS: usize = 2400;
    for (gaps, jumps) in [(0.0, 0.0), (0.01, 12.0)] {
        let climate = Climate {
            interval: "1m".parse()?,
            from_ms: 1_577_836_800_000,
            seed: 7,
            gaps,
            jumps,
            correlation: 0.5,
        };
        let mut walk = Walk::new(&Asset::of("SYN-1", climate.seed), &climate);
        let start = support::worked();
        let (mut made, mut last) = (0, 0.0);
        for _ in 0..CHUNKS {
            let candles = walk.next(CHUNK)?;
            made += candles.len();
            last = candles.close()[candles.len() - 1];
        }
        let rate = made as f64 / (support::worked() - start).as_secs_f64() / 1e6;
        println!(
            "gaps {gaps}, jumps {jumps}: {made} candles, {rate:.1} million a second of one core (last close {last})"
        );
    }
    Ok(())
}
