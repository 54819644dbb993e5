//! From files to candles: the row groups of a range, and the place of each candle for messages.

use blockgrid_engine::candles::{CandleError, Candles};
use blockgrid_engine::interval::Interval;

use super::ReadCounts;
use crate::DatasetError;
use crate::codec::{Footer, Object, Table};
use crate::error::{FileRow, split};
use crate::manifest::FileEntry;

/// The files that may have candles in the range.
pub(crate) fn in_range<'a>(
    files: &'a [&'a FileEntry],
    from: Option<i64>,
    to: Option<i64>,
) -> impl Iterator<Item = &'a FileEntry> {
    files
        .iter()
        .filter(move |f| from.is_none_or(|from| f.last >= from) && to.is_none_or(|to| f.first < to))
        .copied()
}

/// Reads the row groups of a file that may have candles in the range.
pub(crate) async fn read_object(
    object: &Object,
    footer: &Footer,
    (from, to): (Option<i64>, Option<i64>),
    table: &mut Table,
    places: &mut Places,
    counts: &mut ReadCounts,
) -> Result<(), DatasetError> {
    let mut first_row = 0;
    let wanted = |group: &usize| footer.overlaps(*group, from, to);
    table.reserve((0..footer.row_groups()).filter(wanted).map(|group| footer.group_rows(group)).sum());
    for group in 0..footer.row_groups() {
        if footer.overlaps(group, from, to) {
            places.0.push((table.len(), object.file.clone(), first_row));
            counts.column_bytes += footer.read_group(object, group, first_row, table).await?;
            counts.row_groups_read += 1;
        }
        first_row += footer.group_rows(group);
    }
    Ok(())
}

/// Where the candles of a read come from: index of the first candle, file, row of that candle in the file.
#[derive(Debug, Default)]
pub(crate) struct Places(Vec<(usize, String, usize)>);

impl Places {
    /// All of it from one file, from a row (from 0) on.
    pub(super) fn of(file: &str, first_row: usize) -> Self {
        Self(vec![(0, file.to_owned(), first_row)])
    }

    /// Makes candles, or names the file and row of the one that is none.
    pub(crate) fn check(&self, interval: Interval, table: Table) -> Result<Candles, DatasetError> {
        let Table { raw, columns, .. } = table;
        let candles = Candles::new(interval, raw).and_then(|candles| candles.with_columns(columns));
        candles.map_err(|error| self.error(&error))
    }

    /// An error of a candle, with the file and row of that candle.
    pub(super) fn error(&self, error: &CandleError) -> DatasetError {
        let (row, message) = split(error);
        let row = row.unwrap_or(0);
        let place = self.0.iter().rev().find(|(start, ..)| *start <= row);
        let (file, place) = place.map_or_else(
            || (String::new(), FileRow::Whole),
            |(start, file, first_row)| (file.clone(), FileRow::Row(first_row + row - start + 1)),
        );
        DatasetError::BadCandle { file, place, message }
    }
}

/// Keeps the candles in the range. Row groups at its edges bring others; unsorted ones are kept, to be found later.
pub(crate) fn cut(table: &mut Table, from: Option<i64>, to: Option<i64>, places: &mut Places) {
    let at = &table.raw.timestamp;
    let start = from.map_or(0, |from| at.iter().position(|&t| t >= from).unwrap_or(at.len()));
    let end =
        to.map_or(at.len(), |to| at.iter().rposition(|&t| t < to).map_or(0, |last| last + 1)).max(start);
    for (first, _, first_row) in &mut places.0 {
        *first_row += start.saturating_sub(*first);
        *first = first.saturating_sub(start);
    }
    table.keep(start..end);
}
