//! Candles as Parquet.

mod decode;
mod encode;
mod table;

pub(crate) use decode::{Footer, Object, is_built_in, sums};
pub(crate) use encode::{ParquetWriter, Series, chunk_sum, parquet_bytes};
pub(crate) use table::Table;

/// The columns of a file of candles, in order; readers take them in any order and ignore others.
pub const COLUMNS: [&str; 6] = ["timestamp", "open", "high", "low", "close", "volume"];

/// Other names of `timestamp`, the first that is there wins. Names are compared without case.
pub(crate) const TIMESTAMP_NAMES: [&str; 5] = ["timestamp", "open_time", "datetime", "date", "time"];

/// Footer key of the sums of column chunks: row groups split by `;`, columns by `,`.
pub(crate) const SUMS_KEY: &str = "blockgrid.chunk_sha256";

/// Who a file says has written it, when it was written here.
pub(crate) const CREATED_BY: &str = "blockgrid";

/// Candles in a row group. Fixed, because it shapes the bytes: a year of minutes has nine.
pub(crate) const ROW_GROUP: usize = 65_536;

/// Which of `names` are the six columns, or the one that is missing.
pub(crate) fn find_columns<S: AsRef<str>>(names: &[S]) -> Result<[usize; 6], &'static str> {
    let find = |name: &str| names.iter().position(|n| n.as_ref().trim().eq_ignore_ascii_case(name));
    let mut found = [0; 6];
    found[0] = TIMESTAMP_NAMES.iter().find_map(|name| find(name)).ok_or(COLUMNS[0])?;
    for (slot, name) in found.iter_mut().zip(COLUMNS).skip(1) {
        *slot = find(name).ok_or(name)?;
    }
    Ok(found)
}

/// Names as a message shows them.
pub(crate) fn list<S: AsRef<str>>(names: &[S]) -> String {
    const SHOWN: usize = 20;
    let mut text =
        names.iter().take(SHOWN).map(|n| format!("`{}`", n.as_ref())).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text += &format!(" and {} more", names.len() - SHOWN);
    }
    if text.is_empty() { "none".to_owned() } else { text }
}
