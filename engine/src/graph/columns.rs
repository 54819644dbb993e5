//! Columns: what nodes evaluate to.

use std::sync::{Arc, OnceLock};

use crate::bits::Bits;
use crate::exact::Sums;

/// A condition that is false.
pub const FALSE: u8 = 0;
/// A condition that is true: the only value that acts.
pub const TRUE: u8 = 1;
/// A condition that is not known.
pub const UNKNOWN: u8 = 2;

/// A column of numbers, one a bar, NaN where unknown.
#[derive(Debug)]
pub struct Column {
    /// The values.
    pub values: Vec<f64>,
    /// The first bar whose value the node's warm-up allows; values before it are NaN.
    pub first: usize,
    /// Exact prefix sums of `values[first..]`, made on first use.
    pub sums: Sums,
    /// Where the values are unknown, made on first use.
    unknown: OnceLock<Bits>,
}

impl Column {
    /// A calculated column whose values are warm from `first` on. Its sums do not look for decimals, which it rarely
    /// holds.
    pub fn new(values: Vec<f64>, first: usize) -> Self {
        Self { values, first, sums: Sums::real(), unknown: OnceLock::new() }
    }

    /// A column of the candle, whose prices and volumes usually are decimals.
    pub fn of_candle(values: Vec<f64>) -> Self {
        Self { values, first: 0, sums: Sums::default(), unknown: OnceLock::new() }
    }

    /// Where the values are unknown.
    pub fn unknown(&self) -> &Bits {
        self.unknown.get_or_init(|| Bits::from_fn(self.values.len(), |i| self.values[i].is_nan()))
    }
}

/// A column of conditions, two bits a bar: neither is set where the condition is unknown.
#[derive(Debug)]
pub struct Bools {
    /// Where it is known to be true.
    pub is_true: Bits,
    /// Where it is known to be false.
    pub is_false: Bits,
    /// The first bar whose value the node's warm-up allows.
    pub first: usize,
}

impl Bools {
    /// [`TRUE`], [`FALSE`] or [`UNKNOWN`] at bar `i`.
    #[inline]
    pub fn at(&self, i: usize) -> u8 {
        if self.is_true.get(i) {
            TRUE
        } else if self.is_false.get(i) {
            FALSE
        } else {
            UNKNOWN
        }
    }
}

/// What a node evaluates to.
#[derive(Debug, Clone)]
pub enum Value {
    /// A constant number.
    Number(f64),
    /// A constant condition.
    Flag(u8),
    /// A column of numbers.
    Numbers(Arc<Column>),
    /// A column of conditions.
    Bools(Arc<Bools>),
    /// The outputs of an indicator.
    Many(Vec<Arc<Column>>),
}

impl Value {
    /// The first warm bar.
    pub fn first(&self) -> usize {
        match self {
            Value::Number(_) | Value::Flag(_) => 0,
            Value::Numbers(column) => column.first,
            Value::Bools(column) => column.first,
            Value::Many(columns) => columns.iter().map(|c| c.first).max().unwrap_or(0),
        }
    }

    /// The number at bar `i`; NaN for a condition.
    pub fn number(&self, i: usize) -> f64 {
        match self {
            Value::Number(value) => *value,
            Value::Numbers(column) => column.values[i],
            _ => f64::NAN,
        }
    }

    /// The condition at bar `i`; unknown for a number.
    pub fn condition(&self, i: usize) -> u8 {
        match self {
            Value::Flag(flag) => *flag,
            Value::Bools(column) => column.at(i),
            _ => UNKNOWN,
        }
    }

    /// Bytes held, for the memory budget.
    pub fn bytes(&self) -> usize {
        match self {
            Value::Number(_) | Value::Flag(_) => 0,
            // Values and, at most, a prefix sum of the same length.
            Value::Numbers(column) => column.values.len() * 16,
            Value::Bools(column) => column.is_true.len() / 4,
            Value::Many(columns) => columns.iter().map(|c| c.values.len() * 16).sum(),
        }
    }
}

/// Kleene's negation.
pub(super) fn not(a: u8) -> u8 {
    match a {
        FALSE => TRUE,
        TRUE => FALSE,
        _ => UNKNOWN,
    }
}

/// Kleene's conjunction: false wins over unknown.
pub(super) fn and(a: u8, b: u8) -> u8 {
    if a == FALSE || b == FALSE {
        FALSE
    } else if a == TRUE && b == TRUE {
        TRUE
    } else {
        UNKNOWN
    }
}

/// Kleene's disjunction: true wins over unknown.
pub(super) fn or(a: u8, b: u8) -> u8 {
    not(and(not(a), not(b)))
}

/// A comparison that may be unknown.
pub(super) fn known(known: bool, value: bool) -> u8 {
    if known { u8::from(value) } else { UNKNOWN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_certain_is_known() {
        assert_eq!(and(FALSE, UNKNOWN), FALSE);
        assert_eq!(and(TRUE, UNKNOWN), UNKNOWN);
        assert_eq!(or(TRUE, UNKNOWN), TRUE);
        assert_eq!(or(FALSE, UNKNOWN), UNKNOWN);
        assert_eq!(not(UNKNOWN), UNKNOWN);
        assert_eq!((and(TRUE, TRUE), or(FALSE, FALSE), not(TRUE)), (TRUE, FALSE, FALSE));
    }
}
