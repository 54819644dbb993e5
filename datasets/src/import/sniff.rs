//! What sign stands between the fields of a text.

/// In the order in which they are believed: a comma may also be a decimal sign.
const DELIMITERS: [u8; 4] = [b'\t', b';', b'|', b','];

/// Fewer fields are no candle.
const MIN_FIELDS: usize = 5;

/// The delimiter by which most lines have one number of fields; `None` when no sign makes enough of them.
pub(crate) fn delimiter(text: &str) -> Option<u8> {
    let lines: Vec<&str> =
        text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).take(200).collect();
    let consistent = |delimiter: u8| {
        let widths: Vec<usize> = lines.iter().map(|line| width(line, delimiter)).collect();
        let most = widths
            .iter()
            .copied()
            .max_by_key(|width| (widths.iter().filter(|other| *other == width).count(), *width))?;
        let share = widths.iter().filter(|width| **width == most).count();
        (most >= MIN_FIELDS && share * 5 >= lines.len() * 4).then_some(delimiter)
    };
    let wide = |delimiter: &u8| lines.iter().any(|line| width(line, *delimiter) >= MIN_FIELDS);
    DELIMITERS.iter().find_map(|d| consistent(*d)).or_else(|| DELIMITERS.iter().copied().find(wide))
}

/// Fields of a line, quotes heeded.
fn width(line: &str, delimiter: u8) -> usize {
    let mut quoted = false;
    let mut fields = 1;
    for byte in line.bytes() {
        match byte {
            b'"' => quoted = !quoted,
            byte if byte == delimiter && !quoted => fields += 1,
            _ => {}
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_are_told_apart() {
        for (text, expected) in [
            ("t,o,h,l,c,v\n1,2,3,4,5,6\n", Some(b',')),
            ("2024-01-01;1,5;2,5;1,0;2,0;3,5\n2024-01-02;1,5;2,5;1,0;2,0;3,5\n", Some(b';')),
            ("https://example.org\nt|o|h|l|c|v\n1|2|3|4|5|6\n1|2|3|4|5|6\n1|2|3|4|5|6\n", Some(b'|')),
            ("t\to\th\tl\tc\tv\n", Some(b'\t')),
            ("1;\"1,5\";\"2,5\";\"1,5\";\"2\";\"3\"\n", Some(b';')),
            ("hello\nworld\n", None),
            ("t,o,h,l,c,v\n1,2,3,4,5\n", Some(b',')),
            ("", None),
        ] {
            assert_eq!(delimiter(text), expected, "{text}");
        }
    }
}
