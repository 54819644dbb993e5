//! Candles that are checked while they are read.

use blockgrid_engine::candles::Candles;
use blockgrid_engine::graph::resample_part;
use blockgrid_engine::interval::Interval;

use super::made::AT_A_TIME;
use super::read::Places;
use super::{Batch, Dataset};
use crate::DatasetError;
use crate::codec::Table;
use crate::quality::{Checker, Report, Thresholds};

impl Dataset {
    /// [`Dataset::read_with`] that leaves out the rows that are no candles, and what the checks found in all that was
    /// read: rows of [`Dataset::stored_interval`], under [`Thresholds::of`] it.
    ///
    /// # Errors
    /// As [`Dataset::read_with`], but for rows that are no candles, unless there is nothing else.
    pub fn read_checked(
        &self,
        symbol: &str,
        interval: Interval,
        from_ms: Option<i64>,
        to_ms: Option<i64>,
        columns: &[&str],
    ) -> Result<(Candles, Report), DatasetError> {
        let batches = self.batches(symbol, interval, from_ms, to_ms, columns)?;
        let stored = batches.interval();
        let data = self.extent(symbol, stored).unwrap_or_default();
        let mut checker = Checker::new(symbol, stored, Thresholds::of(stored));
        let (mut rows, mut made) = (Table::new(columns), Table::new(columns));
        for batch in batches {
            let batch = batch?;
            let mut kept = Vec::with_capacity(batch.raw.timestamp.len());
            checker.push(&batch.raw, |row| kept.push(row));
            append(&mut rows, &batch, &kept);
            if stored != interval && rows.len() as i64 >= AT_A_TIME {
                // Only whole periods; the last one may go on.
                let open = rows.raw.timestamp.last().map_or(0, |&last| interval.open_of(last));
                let whole = rows.raw.timestamp.partition_point(|&at| at < open);
                let rest = rows.split_off(whole);
                let fine = Places::default().check(stored, std::mem::replace(&mut rows, rest))?;
                let coarse = resample_part(&fine, interval, data.clone());
                made.append(&coarse, 0..coarse.len());
            }
        }
        let fine = Places::default().check(stored, rows)?;
        let candles = if stored == interval {
            fine
        } else {
            let coarse = resample_part(&fine, interval, data);
            made.append(&coarse, 0..coarse.len());
            Places::default().check(interval, made)?
        };
        if candles.is_empty() {
            // It knows what to say.
            return Ok((self.read_with(symbol, interval, from_ms, to_ms, columns)?, checker.finish()));
        }
        Ok((candles, checker.finish()))
    }
}

fn append(table: &mut Table, batch: &Batch, rows: &[usize]) {
    let raw = &batch.raw;
    table.raw.timestamp.extend(rows.iter().map(|&row| raw.timestamp[row]));
    let from = [&raw.open, &raw.high, &raw.low, &raw.close, &raw.volume];
    for (to, from) in table.ohlcv_mut().into_iter().zip(from) {
        to.extend(rows.iter().map(|&row| from[row]));
    }
    for ((_, to), (_, from)) in table.columns.iter_mut().zip(&batch.columns) {
        to.extend(rows.iter().map(|&row| from[row]));
    }
}
