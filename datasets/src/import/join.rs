//! Several files of one symbol and interval as one series: one after the other, equal where they overlap.

use std::collections::VecDeque;

use super::ImportError;
use super::batch::{BATCH, Batch};
use super::scan::Scanned;
use super::spool::Spool;

/// The candles of files of one symbol and interval, oldest first.
pub(crate) struct Joined {
    /// Names of the columns that ride along, of all files.
    pub(crate) others: Vec<String>,
    upcoming: VecDeque<Scanned>,
    active: Vec<Cursor>,
    /// Files that were read to their end.
    pub(crate) done: Vec<Scanned>,
}

/// Where a file is being read.
struct Cursor {
    file: Scanned,
    next: usize,
    batch: Batch,
    row: usize,
    /// Where each of its own columns lies in the joined batch.
    targets: Vec<usize>,
}

impl Cursor {
    fn open(file: Scanned, others: &[String], spool: &mut Spool) -> Result<Self, ImportError> {
        let place = |name: &String| others.iter().position(|other| other == name).unwrap_or(0);
        let targets = (0..5).chain(file.others.iter().map(|name| 5 + place(name))).collect();
        let mut cursor = Self { file, next: 0, batch: Batch::default(), row: 0, targets };
        cursor.fill(spool)?;
        Ok(cursor)
    }

    /// Takes the next batch when this one is used up.
    fn fill(&mut self, spool: &mut Spool) -> Result<(), ImportError> {
        while self.row >= self.batch.len() && self.next < self.file.batches.len() {
            self.batch = self.file.take(self.next, spool)?;
            self.row = 0;
            self.next += 1;
        }
        Ok(())
    }

    fn head(&self) -> Option<i64> {
        self.batch.timestamp.get(self.row).copied()
    }

    /// Appends rows to a joined batch; columns that the file does not have are NaN.
    fn copy(&self, end: usize, out: &mut Batch) {
        let rows = self.row..end;
        out.place.extend_from_slice(&self.batch.place[rows.clone()]);
        out.timestamp.extend_from_slice(&self.batch.timestamp[rows.clone()]);
        for (values, &target) in self.batch.columns.iter().zip(&self.targets) {
            out.columns[target].extend_from_slice(&values[rows.clone()]);
        }
        for column in &mut out.columns {
            column.resize(out.timestamp.len(), f64::NAN);
        }
    }

    /// The column in which two files differ at their heads: its name and both values.
    fn difference(&self, other: &Self) -> Option<(String, f64, f64)> {
        let names = ["open", "high", "low", "close", "volume"];
        for (values, target) in self.batch.columns.iter().zip(&self.targets) {
            let Some(k) = other.targets.iter().position(|t| t == target) else { continue };
            let (a, b) = (values[self.row], other.batch.columns[k][other.row]);
            if a != b && !(a.is_nan() && b.is_nan()) {
                let name =
                    names.get(*target).map_or_else(|| self.file.others[k - 5].clone(), |n| (*n).to_owned());
                return Some((name, a, b));
            }
        }
        None
    }
}

impl Joined {
    pub(crate) fn new(mut files: Vec<Scanned>) -> Self {
        files.sort_by(|a, b| (a.first, &a.detected.file).cmp(&(b.first, &b.detected.file)));
        let mut others: Vec<String> = Vec::new();
        for name in files.iter().flat_map(|file| &file.others) {
            if !others.contains(name) {
                others.push(name.clone());
            }
        }
        Self { others, upcoming: files.into(), active: Vec::new(), done: Vec::new() }
    }

    /// Opens the files whose first candle has its turn.
    fn activate(&mut self, spool: &mut Spool) -> Result<(), ImportError> {
        loop {
            let head = self.active.iter().filter_map(Cursor::head).min();
            let turn = self.upcoming.front().is_some_and(|file| head.is_none_or(|head| file.first <= head));
            let Some(file) = self.upcoming.pop_front_if(|_| turn) else { return Ok(()) };
            self.active.push(Cursor::open(file, &self.others, spool)?);
            self.retire()?;
        }
    }

    /// Puts files aside that were read to their end.
    fn retire(&mut self) -> Result<(), ImportError> {
        while let Some(i) = self.active.iter().position(|cursor| cursor.head().is_none()) {
            let file = self.active.swap_remove(i).file;
            file.misaligned()?;
            self.done.push(file);
        }
        Ok(())
    }

    /// The next candles; false at the end.
    pub(crate) fn next(&mut self, spool: &mut Spool, out: &mut Batch) -> Result<bool, ImportError> {
        *out = Batch::new(self.others.len());
        while out.len() < BATCH {
            self.activate(spool)?;
            let limit = self.upcoming.front().map_or(i64::MAX, |file| file.first);
            match self.active.as_mut_slice() {
                [] => break,
                [one] => {
                    let room = (one.row + BATCH - out.len()).min(one.batch.len());
                    let end = one.row + one.batch.timestamp[one.row..room].partition_point(|t| *t < limit);
                    one.copy(end, out);
                    one.row = end;
                    one.fill(spool)?;
                }
                _ => self.step(spool, out)?,
            }
            self.retire()?;
        }
        Ok(out.len() > 0)
    }

    /// One candle of several files.
    fn step(&mut self, spool: &mut Spool, out: &mut Batch) -> Result<(), ImportError> {
        let Some(at) = self.active.iter().filter_map(Cursor::head).min() else { return Ok(()) };
        // The file with the most columns gives the row.
        let heads = || self.active.iter().filter(|cursor| cursor.head() == Some(at));
        let Some(fullest) = heads().max_by_key(|cursor| cursor.targets.len()) else { return Ok(()) };
        for other in heads() {
            if let Some((column, a, b)) = fullest.difference(other) {
                let place = |c: &Cursor| {
                    format!("`{}` {}", c.file.detected.file, c.file.detected.place(c.batch.place[c.row]))
                };
                return Err(ImportError::Overlap {
                    message: format!(
                        "{} and {} have different candles of {}: `{column}` is {a} and {b}: import one of the files, or give them to two commands, the better one last",
                        place(fullest),
                        place(other),
                        crate::error::iso(at)
                    ),
                });
            }
        }
        fullest.copy(fullest.row + 1, out);
        for cursor in &mut self.active {
            if cursor.head() == Some(at) {
                cursor.row += 1;
                cursor.fill(spool)?;
            }
        }
        Ok(())
    }
}
