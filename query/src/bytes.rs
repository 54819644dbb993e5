//! Sizes as people write them.

/// Why a size was not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a number of bytes above 0, or one with KiB, MiB or GiB, such as 512MiB")]
pub struct ParseBytesError;

/// Reads a size such as `4096`, `512MiB` or `1GiB`.
pub fn parse_bytes(text: &str) -> Result<usize, ParseBytesError> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: usize = match &text[digits.len()..] {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(ParseBytesError),
    };
    let number: usize = digits.trim().parse().map_err(|_| ParseBytesError)?;
    number.checked_mul(unit).filter(|&bytes| bytes > 0).ok_or(ParseBytesError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_unit() {
        assert_eq!(parse_bytes("4096"), Ok(4096));
        assert_eq!(parse_bytes("2KiB"), Ok(2048));
        assert_eq!(parse_bytes("512MiB"), Ok(512 << 20));
        assert_eq!(parse_bytes("1 GiB"), Ok(1 << 30));
        for bad in ["", "GiB", "1GB", "-1MiB", "0", "1.5GiB", "99999999999999GiB", "1gib"] {
            assert!(parse_bytes(bad).is_err(), "{bad:?}");
        }
    }
}
