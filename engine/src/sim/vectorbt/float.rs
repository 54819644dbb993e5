//! vectorbt's float guards (`utils/math_.py`): two values within 1e-9 relative or 1e-12 absolute are the same.

/// Whether `a` and `b` are the same within the tolerances. Never true for NaN or infinities.
pub(super) fn is_close(a: f64, b: f64) -> bool {
    if !a.is_finite() || !b.is_finite() {
        return false;
    }
    a == b || (a - b).abs() <= (1e-9 * a.abs().max(b.abs())).max(1e-12)
}

/// `a < b`, and not merely by rounding.
pub(super) fn is_less(a: f64, b: f64) -> bool {
    !is_close(a, b) && a < b
}

/// `a <= b`, or above it merely by rounding.
pub(super) fn is_close_or_less(a: f64, b: f64) -> bool {
    is_close(a, b) || a < b
}

/// `a + b`, snapped to 0 where the two cancel within the tolerances.
pub(super) fn add(a: f64, b: f64) -> f64 {
    let cancels = if sign(a) == sign(b) { is_close(a + b, 0.0) } else { is_close(a.abs(), b.abs()) };
    if cancels { 0.0 } else { a + b }
}

/// `x`, snapped to 0 where it is 0 within the tolerances.
pub(super) fn snap(x: f64) -> f64 {
    if is_close(x, 0.0) { 0.0 } else { x }
}

/// -1, 0 or 1; 0 for both zeros.
pub(super) fn sign(x: f64) -> i8 {
    i8::from(x > 0.0) - i8::from(x < 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_that_cancels_is_zero() {
        assert_eq!(add(100.0, -100.000_000_05), 0.0);
        assert_eq!(add(100.0, -100.000_001), 100.0 - 100.000_001);
        assert_eq!(add(1e-13, 0.0), 0.0);
        assert_eq!(add(1e-13, 2e-13), 0.0);
        assert_eq!(add(1.0, 2.0), 3.0);
    }

    #[test]
    fn comparisons_forgive_rounding_only() {
        assert!(is_close_or_less(1.0 + 1e-10, 1.0) && !is_less(1.0, 1.0 + 1e-10));
        assert!(!is_close_or_less(1.0 + 1e-8, 1.0) && is_less(1.0, 1.0 + 1e-8));
        assert!(!is_close(f64::INFINITY, f64::INFINITY) && !is_close_or_less(f64::NAN, 1.0));
        assert!(!is_close_or_less(f64::INFINITY, 1.0));
    }
}
