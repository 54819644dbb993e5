//! What units of work cost, and the bill that they add up to.
//!
//! Time is whole microseconds of a vCPU, money whole micro-dollars, so that sums are exact and do not depend on order.

use std::ops::AddAssign;

use blockgrid_job::quote::Price;
use serde::{Deserialize, Serialize};

/// What one attempt at a unit took.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnitUsage {
    /// What it took, in numbers.
    #[serde(flatten)]
    pub spent: Spent,
    /// The worker.
    pub worker: String,
    /// Its compute class, which has the price.
    pub class: String,
    /// How many times the unit had been handed out, this time included.
    pub delivery: u32,
}

/// Resources.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spent {
    /// CPU time of the threads that computed it, in vCPU-microseconds: what is billed.
    pub cpu_micros: u64,
    /// From claim to result, in microseconds.
    pub wall_micros: u64,
    /// Bytes read from the store.
    pub bytes_read: u64,
    /// Bytes written to it.
    pub bytes_written: u64,
    /// Requests that read.
    pub read_requests: u64,
    /// Requests that write or list.
    pub write_requests: u64,
    /// Trials computed.
    pub trials: u64,
    /// Bars evaluated: trials times bars.
    pub evaluations: u64,
}

impl AddAssign for Spent {
    fn add_assign(&mut self, other: Self) {
        self.cpu_micros += other.cpu_micros;
        self.wall_micros += other.wall_micros;
        self.bytes_read += other.bytes_read;
        self.bytes_written += other.bytes_written;
        self.read_requests += other.read_requests;
        self.write_requests += other.write_requests;
        self.trials += other.trials;
        self.evaluations += other.evaluations;
    }
}

impl std::iter::Sum for Spent {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        let mut sum = Self::default();
        parts.for_each(|part| sum += part);
        sum
    }
}

/// What a job is billed, and how that divides over its units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bill {
    /// The price that holds.
    pub price: Price,
    /// CPU time of every unit with an outcome, in vCPU-microseconds. Attempts without one are overhead, on nobody's bill.
    pub cpu_micros: u64,
    /// Micro-USD: that time at that price, once, rounded up.
    pub micro_usd: u64,
    /// Micro-USD of each unit, in the order given: they add up to the whole.
    #[serde(skip)]
    pub parts: Vec<u64>,
}

impl Bill {
    /// The bill of units that took so many vCPU-microseconds each.
    pub fn new(price: Price, units: &[u64]) -> Self {
        let cpu_micros: u64 = units.iter().sum();
        let micro_usd = price.micro_usd(cpu_micros.into());
        Self { price, cpu_micros, micro_usd, parts: split(micro_usd, units) }
    }
}

/// Splits an amount by weights so that the parts add up to it: each gets the floor of its share, and what is left goes to
/// the largest remainders, the first of equal ones. Without weights the first part gets all.
///
/// Hamilton's method; a part is never more than 1 away from its share.
pub fn split(amount: u64, weights: &[u64]) -> Vec<u64> {
    let total: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
    if total == 0 {
        let mut parts = vec![0; weights.len()];
        parts.iter_mut().take(1).for_each(|part| *part = amount);
        return parts;
    }
    let share = |weight: u64| u128::from(amount) * u128::from(weight);
    let mut parts: Vec<u64> =
        weights.iter().map(|&weight| u64::try_from(share(weight) / total).unwrap_or(u64::MAX)).collect();
    let left = amount - parts.iter().sum::<u64>();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|&nth| (std::cmp::Reverse(share(weights[nth]) % total), nth));
    order.iter().take(usize::try_from(left).unwrap_or(usize::MAX)).for_each(|&nth| parts[nth] += 1);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_add_up(amount in 0u64..u64::MAX / 2, weights in prop::collection::vec(0u64..1 << 40, 1..50)) {
            let parts = split(amount, &weights);
            prop_assert_eq!(parts.iter().map(|&part| u128::from(part)).sum::<u128>(), u128::from(amount));
            let total: u128 = weights.iter().map(|&w| u128::from(w)).sum();
            for (&part, &weight) in parts.iter().zip(&weights).filter(|_| total > 0) {
                let floor = u128::from(amount) * u128::from(weight) / total;
                prop_assert!((floor..=floor + 1).contains(&u128::from(part)));
            }
        }
    }

    #[test]
    fn a_bill_is_priced_once() {
        let price = Price::default();
        // Each of these alone would be rounded up to a micro-dollar.
        let bill = Bill::new(price.clone(), &[1000; 500]);
        assert_eq!((bill.cpu_micros, bill.micro_usd), (500_000, 5));
        assert_eq!(bill.parts.iter().sum::<u64>(), 5);
        assert_eq!(Bill::new(price.clone(), &[3_600_000_000]).micro_usd, price.micro_usd_a_vcpu_hour);
        assert_eq!(Bill::new(price, &[]).micro_usd, 0);
    }
}
