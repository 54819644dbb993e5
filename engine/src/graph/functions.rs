//! Functions of expressions that are not indicators, with their documentation; and element-wise arithmetic.

use super::columns::{UNKNOWN, and, known, not, or};
use super::{MathFn, PositionField, TimeField};
use crate::expr::BinaryOp;

/// A built-in function or candle column, as `blockgrid indicators` lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionInfo {
    /// How it is called.
    pub usage: &'static str,
    /// What it gives.
    pub summary: &'static str,
}

/// Every built-in that is not an indicator.
pub const FUNCTIONS: &[FunctionInfo] = &[
    FunctionInfo { usage: "open, high, low, close, volume", summary: "the candle" },
    FunctionInfo {
        usage: "hl2, hlc3, ohlc4",
        summary: "(high+low)/2, (high+low+close)/3, (open+high+low+close)/4",
    },
    FunctionInfo { usage: "x[k]", summary: "x, k bars back; k is a constant of at least 0" },
    FunctionInfo {
        usage: "crosses_above(a, b), crosses_below(a, b)",
        summary: "Pine's rule: a > b and a[1] <= b[1]; a third argument \"strict\" is backtesting.py's (a[1] < b[1]), \"vectorbt\" is vectorbt's",
    },
    FunctionInfo {
        usage: "tf(\"1d\", x)",
        summary: "x computed on closed candles of a higher interval; ema(close, 200, \"1d\") is short for tf(\"1d\", ema(close, 200))",
    },
    FunctionInfo { usage: "abs, sqrt, log, exp, floor, ceil, round, sign", summary: "of one number" },
    FunctionInfo {
        usage: "min(a, b), max(a, b), pow(a, b)",
        summary: "of two numbers; unknown if either is",
    },
    FunctionInfo { usage: "minute(), hour(), dayOfMonth(), month()", summary: "of the bar's open, UTC" },
    FunctionInfo { usage: "dayOfWeek()", summary: "of the bar's open, UTC; Monday is 1" },
    FunctionInfo {
        usage: "barsInPosition(), entryPrice(), unrealizedReturn()",
        summary: "of the open position, in `exit` and `risk` only; barsInPosition() is 0 at the close of the entry bar",
    },
];

/// Names of the functions, for error messages.
pub(super) const NAMES: &[&str] = &[
    "crosses_above",
    "crosses_below",
    "tf",
    "abs",
    "sqrt",
    "log",
    "exp",
    "floor",
    "ceil",
    "round",
    "sign",
    "min",
    "max",
    "pow",
    "minute",
    "hour",
    "dayOfWeek",
    "dayOfMonth",
    "month",
    "barsInPosition",
    "entryPrice",
    "unrealizedReturn",
];

/// Whether expressions call something by this name: an indicator or a function.
pub fn is_function(name: &str) -> bool {
    super::indicator(name, false).is_some() || NAMES.contains(&name)
}

/// A mathematical function and how many numbers it takes.
pub(super) fn math(name: &str) -> Option<(MathFn, usize)> {
    Some(match name {
        "abs" => (MathFn::Abs, 1),
        "sqrt" => (MathFn::Sqrt, 1),
        "log" => (MathFn::Log, 1),
        "exp" => (MathFn::Exp, 1),
        "floor" => (MathFn::Floor, 1),
        "ceil" => (MathFn::Ceil, 1),
        "round" => (MathFn::Round, 1),
        "sign" => (MathFn::Sign, 1),
        "min" => (MathFn::Min, 2),
        "max" => (MathFn::Max, 2),
        "pow" => (MathFn::Pow, 2),
        _ => return None,
    })
}

/// A function of time.
pub(super) fn time(name: &str) -> Option<TimeField> {
    Some(match name {
        "minute" => TimeField::Minute,
        "hour" => TimeField::Hour,
        "dayOfWeek" => TimeField::DayOfWeek,
        "dayOfMonth" => TimeField::DayOfMonth,
        "month" => TimeField::Month,
        _ => return None,
    })
}

/// A function of the position.
pub(super) fn position(name: &str) -> Option<PositionField> {
    Some(match name {
        "barsInPosition" => PositionField::BarsInPosition,
        "entryPrice" => PositionField::EntryPrice,
        "unrealizedReturn" => PositionField::UnrealizedReturn,
        _ => return None,
    })
}

/// The field of a UTC instant in milliseconds.
pub(super) fn time_value(field: TimeField, ms: i64) -> f64 {
    const DAY: i64 = crate::interval::DAY_MS;
    let day = ms.div_euclid(DAY);
    let of_day = ms.rem_euclid(DAY);
    let value = match field {
        TimeField::Minute => of_day / 60_000 % 60,
        TimeField::Hour => of_day / 3_600_000,
        // 1970-01-01 was a Thursday, the fourth day.
        TimeField::DayOfWeek => (day + 3).rem_euclid(7) + 1,
        TimeField::DayOfMonth | TimeField::Month => {
            let date =
                jiff::Timestamp::from_millisecond(ms).map(|t| jiff::tz::Offset::UTC.to_datetime(t).date());
            match (date, field) {
                (Ok(date), TimeField::Month) => i64::from(date.month()),
                (Ok(date), _) => i64::from(date.day()),
                // Outside jiff's years -9999 to 9999, where no candle is.
                (Err(_), _) => return f64::NAN,
            }
        }
    };
    value as f64
}

/// Arithmetic on two numbers; what is not a number is unknown, infinities included.
pub(super) fn arithmetic(op: BinaryOp, a: f64, b: f64) -> f64 {
    let value = match op {
        BinaryOp::Add => a + b,
        BinaryOp::Subtract => a - b,
        BinaryOp::Multiply => a * b,
        BinaryOp::Divide => a / b,
        BinaryOp::Remainder => a % b,
        _ => f64::NAN,
    };
    finite(value)
}

/// A division by zero and an overflow are unknown.
fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { f64::NAN }
}

/// A mathematical function; `b` is ignored by those of one number.
pub(super) fn math_value(math: MathFn, a: f64, b: f64) -> f64 {
    finite(match math {
        MathFn::Abs => a.abs(),
        MathFn::Sqrt => a.sqrt(),
        MathFn::Log => libm::log(a),
        MathFn::Exp => libm::exp(a),
        MathFn::Floor => a.floor(),
        MathFn::Ceil => a.ceil(),
        MathFn::Round => a.round(),
        MathFn::Sign if a == 0.0 => 0.0,
        MathFn::Sign => a.signum(),
        MathFn::Min if a.is_nan() || b.is_nan() => f64::NAN,
        MathFn::Min => a.min(b),
        MathFn::Max if a.is_nan() || b.is_nan() => f64::NAN,
        MathFn::Max => a.max(b),
        MathFn::Pow => libm::pow(a, b),
    })
}

/// A comparison of two numbers; unknown when either is.
pub(super) fn compare(op: BinaryOp, a: f64, b: f64) -> u8 {
    let value = match op {
        BinaryOp::Less => a < b,
        BinaryOp::LessOrEqual => a <= b,
        BinaryOp::Greater => a > b,
        BinaryOp::GreaterOrEqual => a >= b,
        BinaryOp::Equal => a == b,
        BinaryOp::NotEqual => a != b,
        _ => return UNKNOWN,
    };
    known(!a.is_nan() && !b.is_nan(), value)
}

/// An operator on two conditions.
pub(super) fn logic(op: BinaryOp, a: u8, b: u8) -> u8 {
    match op {
        BinaryOp::And => and(a, b),
        BinaryOp::Or => or(a, b),
        BinaryOp::Equal => known(a != UNKNOWN && b != UNKNOWN, a == b),
        BinaryOp::NotEqual => not(logic(BinaryOp::Equal, a, b)),
        _ => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_of_the_utc_open() {
        // 2024-02-29 was a Thursday.
        let at = 1_709_217_000_000; // 2024-02-29T14:30:00Z
        let values = [
            TimeField::Minute,
            TimeField::Hour,
            TimeField::DayOfWeek,
            TimeField::DayOfMonth,
            TimeField::Month,
        ]
        .map(|field| time_value(field, at));
        assert_eq!(values, [30.0, 14.0, 4.0, 29.0, 2.0]);
    }

    #[test]
    fn a_division_by_zero_is_unknown() {
        assert!(arithmetic(BinaryOp::Divide, 1.0, 0.0).is_nan());
        assert_eq!(compare(BinaryOp::NotEqual, f64::NAN, 1.0), UNKNOWN);
        assert_eq!(arithmetic(BinaryOp::Divide, 1.0, 2.0), 0.5);
    }
}
