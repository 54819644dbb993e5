//! Faults that come by chance, the same for the same seed, and for how long they last.

use std::time::Duration;

/// How long anything may take before it counts as hanging.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Whether outages are as long, and rounds as many, as it takes to be sure (`make chaos`).
pub fn is_long() -> bool {
    std::env::var_os("BLOCKGRID_CHAOS_LONG").is_some()
}

/// Numbers that are the same for the same seed: splitmix64.
pub struct Random(u64);

impl Random {
    /// From `BLOCKGRID_CHAOS_SEED`, or one that is printed.
    #[allow(clippy::new_without_default, reason = "a default that prints would surprise")]
    pub fn new() -> Self {
        let given = std::env::var("BLOCKGRID_CHAOS_SEED").ok().and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(|| u64::from(std::process::id()));
        println!("BLOCKGRID_CHAOS_SEED={seed}");
        Self(seed)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % bound
    }

    pub fn millis(&mut self, bound: u64) -> Duration {
        Duration::from_millis(self.below(bound))
    }
}
