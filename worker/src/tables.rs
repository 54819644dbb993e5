//! Result tables of shards as objects, and how the tables of many become one.

use blockgrid_grid::store::sha256;
use blockgrid_job::plan::Slices;
use blockgrid_results::table::{decode_trials, encode_trials};
use blockgrid_results::{TableError, TrialTable};
use bytes::Bytes;

/// A table as bytes, and their SHA-256.
pub(crate) fn encode(table: &TrialTable) -> Result<(Bytes, String), TableError> {
    let bytes = encode_trials(table)?;
    let digest = sha256(&bytes);
    Ok((bytes.into(), digest))
}

/// Some rows of a table and the trials that they are of.
pub(crate) struct Piece {
    pub(crate) trials: Slices,
    pub(crate) table: TrialTable,
}

/// A table of a shard, whose rows must be those of its trials.
pub(crate) fn decode(bytes: Bytes, name: &str) -> Result<TrialTable, TableError> {
    decode_trials(bytes, name)
}

/// The pieces of one symbol in the order of trials.
pub(crate) fn merge(mut pieces: Vec<Piece>, empty: TrialTable) -> Result<TrialTable, TableError> {
    pieces.sort_by_key(|piece| piece.trials.ranges().first().map(|range| range.start));
    let in_order = pieces.windows(2).all(|pair| {
        let end = pair[0].trials.ranges().last().map(|range| range.end);
        let start = pair[1].trials.ranges().first().map(|range| range.start);
        end <= start
    });
    let mut trials: Vec<u64> = Vec::new();
    let mut whole = empty;
    for piece in pieces {
        if !in_order {
            trials.extend(piece.trials.iter());
        }
        whole.append(piece.table)?;
    }
    if in_order {
        return Ok(whole);
    }
    // Trials from a cache stand between those that were computed.
    let mut order: Vec<usize> = (0..trials.len()).collect();
    order.sort_by_key(|&row| trials[row]);
    Ok(whole.select(&order))
}
