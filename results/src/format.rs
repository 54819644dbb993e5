//! Numbers as a person reads them, the same in the terminal and in the report.

use blockgrid_engine::metrics::{MetricInfo, Unit};

/// What stands for an undefined value.
pub const NULL: &str = "-";

/// A metric by its unit: percent with two digits, ratios with two, counts whole, money with two; thousands separated by
/// commas. Undefined and infinite values are [`NULL`].
pub fn metric(info: &MetricInfo, value: Option<f64>) -> String {
    match value.filter(|v| v.is_finite()) {
        None => NULL.to_owned(),
        Some(v) => match info.unit {
            Unit::Fraction => percent(v),
            Unit::Ratio | Unit::Quote => decimal(v, 2),
            Unit::Count => decimal(v, 0),
        },
    }
}

/// A fraction as percent with two digits: `0.1234` is `12.34%`.
pub fn percent(fraction: f64) -> String {
    format!("{}%", decimal(fraction * 100.0, 2))
}

/// A number with fixed digits and thousands separators. Never `-0.00`.
pub fn decimal(value: f64, digits: usize) -> String {
    let plain = format!("{value:.digits$}");
    let (sign, magnitude) = match plain.strip_prefix('-') {
        Some(rest) if rest.bytes().any(|b| (b'1'..=b'9').contains(&b)) => ("-", rest),
        Some(rest) => ("", rest),
        None => ("", plain.as_str()),
    };
    let (whole, rest) = magnitude.split_at(magnitude.find('.').unwrap_or(magnitude.len()));
    let mut grouped = String::with_capacity(plain.len() + whole.len() / 3 + 1);
    grouped.push_str(sign);
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

/// A parameter's value: the shortest text that reads back as the same number.
pub fn parameter(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e15).contains(&size) { format!("{value:e}") } else { format!("{value}") }
}

/// Parameters in one line: `fast=10 slow=50`.
pub fn parameters(values: &[(String, f64)]) -> String {
    values.iter().map(|(name, value)| format!("{name}={}", parameter(*value))).collect::<Vec<_>>().join(" ")
}

/// A UTC instant in RFC 3339; [`NULL`] outside the years a calendar knows.
pub fn instant(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| NULL.to_owned(), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(decimal(1_234_567.891, 2), "1,234,567.89");
        assert_eq!(decimal(-999.999, 2), "-1,000.00");
        assert_eq!(decimal(-0.001, 2), "0.00");
        assert_eq!(decimal(123.0, 0), "123");
        assert_eq!(percent(-0.12345), "-12.35%");
        assert_eq!(parameter(0.03), "0.03");
        assert_eq!(parameter(400.0), "400");
        assert_eq!(parameter(1e300), "1e300");
        assert_eq!(instant(1_704_067_200_000), "2024-01-01T00:00:00Z");
    }
}
