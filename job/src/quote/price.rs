//! What processors cost. Money is whole micro-USD, rounded up.

use serde::{Deserialize, Serialize};

use super::grouped;

/// Microseconds of an hour.
const HOUR_MICROS: u128 = 3_600_000_000;

/// A low, a middle and a high.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate<T> {
    /// Where it goes well.
    pub low: T,
    /// What is expected.
    pub mid: T,
    /// What to reserve.
    pub high: T,
}

impl<T: Copy> Estimate<T> {
    /// Each of the three through `of`.
    pub fn map<U>(&self, of: impl Fn(T) -> U) -> Estimate<U> {
        Estimate { low: of(self.low), mid: of(self.mid), high: of(self.high) }
    }
}

/// The price of a compute class. The classes of a platform are its own data; this is one of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Price {
    /// The class.
    pub name: String,
    /// Micro-USD an hour of one vCPU.
    pub micro_usd_a_vcpu_hour: u64,
}

impl Default for Price {
    /// `standard`: 0.036 USD, about that of AWS's c7g on demand (c7g.4xlarge in us-east-1, July 2026: 0.58 USD an hour for
    /// 16 vCPUs).
    fn default() -> Self {
        Self { name: "standard".to_owned(), micro_usd_a_vcpu_hour: 36_000 }
    }
}

impl Price {
    /// Microseconds of one vCPU that so many micro-USD pay for, rounded down.
    pub fn micros(&self, micro_usd: u64) -> u64 {
        let micros = u128::from(micro_usd) * HOUR_MICROS / u128::from(self.micro_usd_a_vcpu_hour.max(1));
        u64::try_from(micros).unwrap_or(u64::MAX)
    }

    /// Micro-USD of so many microseconds of one vCPU, rounded up.
    pub fn micro_usd(&self, vcpu_micros: u128) -> u64 {
        let exact = vcpu_micros.saturating_mul(self.micro_usd_a_vcpu_hour.into()).div_ceil(HOUR_MICROS);
        u64::try_from(exact).unwrap_or(u64::MAX)
    }
}

/// Micro-USD as a person reads them, rounded up: in cents from a dollar on, with more places below.
pub fn dollars(micro_usd: u64) -> String {
    written(micro_usd, u64::div_ceil)
}

/// The same of what somebody may still spend: rounded down, so that it is there.
pub fn dollars_left(micro_usd: u64) -> String {
    written(micro_usd, |micro_usd, unit| micro_usd / unit)
}

/// The same of what somebody wrote: with as many places as it takes.
pub fn dollars_exactly(micro_usd: u64) -> String {
    let usual = places(micro_usd);
    let is_exact = micro_usd.is_multiple_of(10_u64.pow(6 - usual));
    in_places(micro_usd, if is_exact { usual } else { 6 }, u64::div_ceil)
}

fn written(micro_usd: u64, units: impl Fn(u64, u64) -> u64) -> String {
    in_places(micro_usd, places(micro_usd), units)
}

/// As many as people read.
fn places(micro_usd: u64) -> u32 {
    match micro_usd {
        1_000_000.. => 2,
        10_000.. => 4,
        _ => 6,
    }
}

fn in_places(micro_usd: u64, places: u32, units: impl Fn(u64, u64) -> u64) -> String {
    let units = units(micro_usd, 10_u64.pow(6 - places));
    let a_dollar = 10_u64.pow(places);
    let width = places as usize;
    format!("${}.{:0width$}", grouped((units / a_dollar).into()), units % a_dollar)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn money_is_rounded_up() {
        let price = Price::default();
        assert_eq!(price.micro_usd(0), 0);
        assert_eq!(price.micro_usd(1), 1);
        assert_eq!(price.micro_usd(HOUR_MICROS), 36_000);
        assert_eq!(price.micro_usd(HOUR_MICROS + 1), 36_001);
        assert_eq!(price.micro_usd(u128::MAX), u64::MAX);
    }

    #[test]
    fn dollars_are_read_at_every_size() {
        let said = [
            (0, "$0.000000"),
            (31, "$0.000031"),
            (9_999, "$0.009999"),
            (10_001, "$0.0101"),
            (999_999, "$1.0000"),
            (1_000_001, "$1.01"),
            (1_234_567_890_000, "$1,234,567.89"),
        ];
        for (micro_usd, text) in said {
            assert_eq!(dollars(micro_usd), text);
        }
        let left = [7_999_999_999, 10_099, 31, 0].map(dollars_left);
        assert_eq!(left, ["$7,999.99", "$0.0100", "$0.000031", "$0.000000"]);
        let exactly = [8_000_000_000, 188_033, 20_000, 1_500_100, 7].map(dollars_exactly);
        assert_eq!(exactly, ["$8,000.00", "$0.188033", "$0.0200", "$1.500100", "$0.000007"]);
        assert_eq!(dollars(u64::MAX), "$18,446,744,073,709.56");
    }

    proptest! {
        #[test]
        fn a_price_never_loses_nor_gains_a_micro_dollar(micros in 0u128..1 << 70, a in 0u64..1_000_000) {
            let price = Price { name: String::new(), micro_usd_a_vcpu_hour: a };
            let paid = u128::from(price.micro_usd(micros)) * HOUR_MICROS;
            let owed = micros * u128::from(a);
            prop_assume!(owed / HOUR_MICROS < u128::from(u64::MAX));
            prop_assert!(paid >= owed && paid < owed + HOUR_MICROS);
        }
    }
}
