//! The name of candles by their values.

use blockgrid_engine::candles::Candles;
use sha2::{Digest, Sha256};

/// SHA-256, in lowercase hex, over the symbol, the interval, every candle, and the columns beside them by name.
///
/// It depends on values alone: candles read from CSV, from Parquet, from one file or from twelve have one digest when
/// their numbers are equal. Floats count by their bits, little endian, except that -0 counts as 0.
pub fn digest(symbol: &str, candles: &Candles) -> String {
    let mut hash = Sha256::new();
    hash.update(b"blockgrid candles 1\n");
    hash.update((symbol.len() as u64).to_le_bytes());
    hash.update(symbol.as_bytes());
    hash.update(candles.interval().millis().to_le_bytes());
    hash.update((candles.len() as u64).to_le_bytes());
    for timestamp in candles.timestamp() {
        hash.update(timestamp.to_le_bytes());
    }
    for column in [candles.open(), candles.high(), candles.low(), candles.close(), candles.volume()] {
        for value in column {
            hash.update((value + 0.0).to_bits().to_le_bytes());
        }
    }
    let mut columns: Vec<_> = candles.columns().iter().collect();
    columns.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, values) in columns {
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name.as_bytes());
        for value in values {
            // One NaN is as unknown as another.
            let bits = if value.is_nan() { 0x7ff8_0000_0000_0000 } else { (value + 0.0).to_bits() };
            hash.update(bits.to_le_bytes());
        }
    }
    hex(&hash.finalize())
}

/// SHA-256 of bytes, in lowercase hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes in lowercase hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use blockgrid_engine::candles::RawCandles;

    fn candles(volume: f64) -> Candles {
        let price = vec![1.5];
        Candles::new(
            "1h".parse().unwrap(),
            RawCandles {
                timestamp: vec![0],
                open: price.clone(),
                high: price.clone(),
                low: price.clone(),
                close: price,
                volume: vec![volume],
            },
        )
        .unwrap()
    }

    #[test]
    fn the_digest_is_of_symbol_and_values() {
        let one = digest("A", &candles(0.0));
        assert_eq!(one.len(), 64);
        assert_eq!(one, digest("A", &candles(-0.0)));
        assert_ne!(one, digest("B", &candles(0.0)));
        assert_ne!(one, digest("A", &candles(1.0)));
        // Computed apart from this code: digests stand in results, so they must not change with a refactoring.
        let with = |columns: &[(&str, f64)]| {
            let columns = columns.iter().map(|(name, value)| ((*name).to_owned(), vec![*value])).collect();
            digest("A", &candles(0.0).with_columns(columns).unwrap())
        };
        assert_eq!(one, with(&[]));
        assert_eq!(with(&[("a", 1.0), ("b", f64::NAN)]), with(&[("b", -f64::NAN), ("a", 1.0)]));
        assert_ne!(with(&[("a", 1.0)]), with(&[("a", 2.0)]));
        assert_ne!(with(&[("a", 1.0)]), with(&[("b", 1.0)]));
        assert_ne!(one, with(&[("a", f64::NAN)]));
        assert_eq!(one, "c012fdd797738cb80afdddbb519b3c4f4a528f417b3dc1444b25455e8ca2f1e7");
    }
}
