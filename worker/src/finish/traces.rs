//! What the best trials did, in a file instead of memory.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use blockgrid_engine::sim::Outcome as Traced;
use blockgrid_results::files::TRACES;
use blockgrid_results::trace::{begin_traces, decode_trace, put_trace};
use tempfile::TempDir;

use crate::unit::UnitError;

/// `traces.bin` of a job, as it comes to be in a folder that goes when this does.
pub(super) struct TraceFile {
    folder: TempDir,
    file: File,
    written: Vec<Written>,
    end: u64,
}

/// One outcome in it.
struct Written {
    at: Range<u64>,
    bars: Range<usize>,
}

impl TraceFile {
    /// For so many outcomes.
    pub(super) fn create(outcomes: usize) -> Result<Self, UnitError> {
        let folder = tempfile::tempdir().map_err(disk)?;
        let mut file = File::create_new(folder.path().join(TRACES)).map_err(disk)?;
        let begin = begin_traces(outcomes);
        file.write_all(&begin).map_err(disk)?;
        Ok(Self { folder, file, written: Vec::new(), end: begin.len() as u64 })
    }

    /// Adds an outcome.
    pub(super) fn push(&mut self, outcome: &Traced) -> Result<(), UnitError> {
        let mut bytes = Vec::new();
        put_trace(&mut bytes, outcome);
        self.file.write_all(&bytes).map_err(disk)?;
        let at = self.end..self.end + bytes.len() as u64;
        self.end = at.end;
        let bars = outcome.first_bar..outcome.first_bar + outcome.equity.len();
        self.written.push(Written { at, bars });
        Ok(())
    }

    /// An outcome once more.
    pub(super) fn read(&self, nth: usize) -> Result<Traced, UnitError> {
        let written = self.written.get(nth);
        let at = &written.ok_or_else(|| UnitError::Internal(format!("no trace {nth}")))?.at;
        let mut bytes = vec![0; usize::try_from(at.end - at.start).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut bytes, at.start).map_err(disk)?;
        Ok(decode_trace(&bytes)?)
    }

    /// The bars of the account of each outcome.
    pub(super) fn bars(&self) -> impl Iterator<Item = &Range<usize>> {
        self.written.iter().map(|written| &written.bars)
    }

    /// Where it is, and where there is room for what is made from it.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

pub(super) fn disk(error: io::Error) -> UnitError {
    UnitError::Internal(format!("no folder for the results: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_lie_on_disk_and_come_back_one_by_one() {
        let outcome = |first_bar: usize, bars: usize| Traced {
            first_bar,
            equity: (0..bars).map(|bar| bar as f64 / 3.0).collect(),
            position: vec![-0.0; bars],
            ..Traced::default()
        };
        let outcomes = [outcome(2, 100), outcome(0, 0), outcome(7, 3)];
        let mut file = TraceFile::create(outcomes.len()).unwrap();
        let folder = file.folder().to_owned();
        outcomes.iter().for_each(|outcome| file.push(outcome).unwrap());
        for nth in [2, 0, 1] {
            assert_eq!(format!("{:?}", file.read(nth).unwrap()), format!("{:?}", outcomes[nth]));
        }
        assert!(file.read(3).is_err());
        assert_eq!(file.bars().cloned().collect::<Vec<_>>(), [2..102, 0..0, 7..10]);
        // What is on disk is what others decode as a whole.
        let bytes = std::fs::read(folder.join(TRACES)).unwrap();
        let whole = blockgrid_results::trace::decode_traces(&bytes).unwrap();
        assert_eq!(format!("{whole:?}"), format!("{outcomes:?}"));
        drop(file);
        assert!(!folder.exists());
    }
}
