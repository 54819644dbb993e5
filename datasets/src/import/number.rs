//! Numbers as people and vendors write them.

/// Which signs a file's numbers use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberStyle {
    /// Before the fraction: `.` or `,`.
    pub decimal: u8,
    /// Between groups of three digits, if the file has such.
    pub thousands: Option<u8>,
}

impl Default for NumberStyle {
    fn default() -> Self {
        Self { decimal: b'.', thousands: None }
    }
}

const SEPARATORS: [u8; 5] = [b',', b'.', b'\'', b' ', b'_'];

/// Whether a field stands for a value that is not there.
pub(crate) fn is_missing(text: &str) -> bool {
    ["", "nan", "null", "none", "na", "n/a", "-"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

impl NumberStyle {
    /// The number a text stands for; NaN for one that is missing. `None` when it is none in this style.
    pub(crate) fn parse(self, text: &str) -> Option<f64> {
        if self.decimal == b'.'
            && let Ok(value) = text.parse()
        {
            return Some(value);
        }
        if is_missing(text) {
            return Some(f64::NAN);
        }
        let (whole, fraction) = match text.as_bytes().iter().position(|b| *b == self.decimal) {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        let whole = match self.thousands {
            Some(sign) if whole.as_bytes().contains(&sign) => ungroup(whole, sign)?,
            _ => whole.to_owned(),
        };
        // Another sign anywhere, or a second one, does not parse.
        match fraction {
            Some(fraction) => format!("{whole}.{fraction}").parse().ok(),
            None if whole.contains('.') => None,
            None => whole.parse().ok(),
        }
    }
}

/// `1,234,567` without its separators, if its groups have three digits.
fn ungroup(whole: &str, sign: u8) -> Option<String> {
    let unsigned = whole.strip_prefix(['-', '+']).unwrap_or(whole);
    let mut groups = unsigned.split(char::from(sign));
    let digits = |group: &str| group.bytes().all(|b| b.is_ascii_digit());
    let first = groups.next().is_some_and(|group| (1..=3).contains(&group.len()) && digits(group));
    let rest = groups.all(|group| group.len() == 3 && digits(group));
    (first && rest).then(|| whole.replace(char::from(sign), ""))
}

/// What the samples of a file's numbers say about its style.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StyleGuess {
    Style(NumberStyle),
    /// `1,234` (or `1.234`, with this sign) may be a thousand or one: nothing in the samples tells.
    Ambiguous(u8),
}

/// Guesses the style of numbers. Samples that are no numbers are passed over. A file whose fields stand between
/// semicolons comes from where a comma may be decimal, so that `1.234` alone does not tell either.
pub(crate) fn guess<'a>(
    samples: impl Iterator<Item = &'a str>,
    given: Option<u8>,
    semicolons: bool,
) -> StyleGuess {
    let (mut comma_groups, mut point_groups) = (false, false);
    let mut decimal = given;
    let mut thousands = None;
    for text in samples {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let plain =
            |b: &u8| b.is_ascii_digit() || SEPARATORS.contains(b) || matches!(b, b'e' | b'E' | b'-' | b'+');
        if !unsigned.bytes().next().is_some_and(|b| b.is_ascii_digit())
            || !unsigned.as_bytes().iter().all(plain)
        {
            continue;
        }
        let signs: Vec<u8> = unsigned.bytes().filter(|b| SEPARATORS.contains(b)).collect();
        let Some(&last) = signs.last() else { continue };
        let others = signs.iter().find(|sign| **sign != last).copied();
        if let Some(other) = others {
            decimal = decimal.or(Some(last));
            thousands = thousands.or(Some(other));
        } else if last != b'.' && last != b',' {
            thousands = thousands.or(Some(last));
        } else if signs.len() > 1 {
            thousands = thousands.or(Some(last));
            decimal = decimal.or(Some(if last == b',' { b'.' } else { b',' }));
        } else if last == b',' {
            match ungroup(unsigned, b',') {
                // Groups never begin with a zero.
                Some(_) if !unsigned.starts_with('0') => comma_groups = true,
                _ => decimal = decimal.or(Some(b',')),
            }
        } else {
            match ungroup(unsigned, b'.') {
                Some(_) if !unsigned.starts_with('0') => point_groups = true,
                _ => decimal = decimal.or(Some(b'.')),
            }
        }
    }
    match decimal {
        None if comma_groups => StyleGuess::Ambiguous(b','),
        None if point_groups && semicolons => StyleGuess::Ambiguous(b'.'),
        None => StyleGuess::Style(NumberStyle { decimal: b'.', thousands }),
        Some(decimal) => {
            let comma = (decimal == b'.' && comma_groups).then_some(b',');
            let point = (decimal == b',' && point_groups).then_some(b'.');
            let thousands = thousands.or(comma).or(point).filter(|sign| *sign != decimal);
            StyleGuess::Style(NumberStyle { decimal, thousands })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(decimal: u8, thousands: Option<u8>) -> StyleGuess {
        StyleGuess::Style(NumberStyle { decimal, thousands })
    }

    #[test]
    fn styles_are_told_apart() {
        for (samples, expected) in [
            (&["1.5", "2"][..], style(b'.', None)),
            (&["1.234"], style(b'.', None)),
            (&["1,5"], style(b',', None)),
            (&["0,123"], style(b',', None)),
            (&["1,234.5"], style(b'.', Some(b','))),
            (&["1.234,5", "2.345"], style(b',', Some(b'.'))),
            (&["1,234,567"], style(b'.', Some(b','))),
            (&["1.234.567"], style(b',', Some(b'.'))),
            (&["1'234.5"], style(b'.', Some(b'\''))),
            (&["1 234", "5.5"], style(b'.', Some(b' '))),
            (&["1,234"], StyleGuess::Ambiguous(b',')),
            (&["1,234", "abc", ""], StyleGuess::Ambiguous(b',')),
            (&["1,234", "5.678"], StyleGuess::Ambiguous(b',')),
            (&["5.33e-05"], style(b'.', None)),
        ] {
            assert_eq!(guess(samples.iter().copied(), None, false), expected, "{samples:?}");
        }
        let of = |samples: &[&'static str], given| guess(samples.iter().copied(), given, true);
        assert_eq!(of(&["1,234"], Some(b'.')), style(b'.', Some(b',')));
        assert_eq!(of(&["1,234"], Some(b',')), style(b',', None));
        assert_eq!(of(&["1.500", "656"], None), StyleGuess::Ambiguous(b'.'));
        assert_eq!(of(&["1.500", "3923,29"], None), style(b',', Some(b'.')));
        assert_eq!(of(&["1.500", "1.25"], None), style(b'.', None));
        assert_eq!(of(&["1.500"], Some(b',')), style(b',', Some(b'.')));
        assert_eq!(of(&["1.500"], Some(b'.')), style(b'.', None));
    }

    #[test]
    fn numbers_are_read_in_their_style_only() {
        let point = NumberStyle { decimal: b'.', thousands: Some(b',') };
        let comma = NumberStyle { decimal: b',', thousands: Some(b'.') };
        for (style, text, expected) in [
            (point, "1,234.5", Some(1234.5)),
            (point, "-1,234,567", Some(-1_234_567.0)),
            (point, "12,34", None),
            (point, "1234,567", None),
            (comma, "1.234,5", Some(1234.5)),
            (comma, "1.234", Some(1234.0)),
            (comma, "1.5", None),
            (comma, "1,5e-3", Some(0.0015)),
            (NumberStyle::default(), "1,5", None),
            (NumberStyle { decimal: b',', thousands: None }, "1.5", None),
            (point, "1,234.5.6", None),
            (point, "", None),
        ] {
            let found = style.parse(text).filter(|value| !value.is_nan());
            assert_eq!(found, expected, "{text}");
        }
        assert!(point.parse("").is_some_and(f64::is_nan));
        assert!(comma.parse("n/a").is_some_and(f64::is_nan));
    }
}
