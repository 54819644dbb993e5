//! What single trials did, bar by bar, as bytes: what stage 2 of a job hands to the one that publishes it.
//!
//! `BGTRACE1`, then outcomes one after the other. Every number is little endian, floats by their bits, so that an outcome
//! comes back as it was. Positions, which change with trades only, are stretches of equal value. The format is between
//! workers of one engine; nobody keeps it.

use blockgrid_engine::sim::{Direction, Fill, Outcome, Reason, Trade};

const MAGIC: &[u8; 8] = b"BGTRACE1";

/// Every reason of a fill, in the order of its number.
const REASONS: [Reason; 11] = [
    Reason::EnterSignal,
    Reason::EnterLimit,
    Reason::EnterStop,
    Reason::ExitSignal,
    Reason::Reversal,
    Reason::StopLoss,
    Reason::TakeProfit,
    Reason::Trail,
    Reason::BreakEven,
    Reason::TimeStop,
    Reason::Liquidation,
];

/// Bytes that are no trace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a trace of trials of this version: {0}")]
pub struct BadTrace(&'static str);

/// How bytes of so many outcomes begin; what [`put_trace`] makes of each comes behind. The same outcomes give the same
/// bytes.
pub fn begin_traces(outcomes: usize) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    put(&mut out, outcomes as u64);
    out
}

/// Adds an outcome.
pub fn put_trace(out: &mut Vec<u8>, outcome: &Outcome) {
    put(out, outcome.first_bar as u64);
    put(out, u64::from(outcome.rejected_orders));
    put(out, outcome.deficit.to_bits());
    put(out, outcome.equity.len() as u64);
    // Most of it by far: room for that is made once, and not in ever larger copies.
    out.reserve(outcome.equity.len() * size_of::<u64>());
    outcome.equity.iter().for_each(|value| put(out, value.to_bits()));
    let stretches = outcome.position.chunk_by(|a, b| a.to_bits() == b.to_bits());
    put(out, stretches.clone().count() as u64);
    for stretch in stretches {
        put(out, stretch.len() as u64);
        put(out, stretch[0].to_bits());
    }
    put(out, outcome.trades.len() as u64);
    for trade in &outcome.trades {
        put(out, u64::from(trade.direction == Direction::Short) | u64::from(trade.exit.is_some()) << 1);
        for value in [trade.quantity, trade.pnl, trade.return_fraction] {
            put(out, value.to_bits());
        }
        put(out, trade.bars as u64);
        std::iter::once(&trade.entry).chain(&trade.exit).for_each(|fill| put_fill(out, fill));
    }
}

fn put(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_fill(out: &mut Vec<u8>, fill: &Fill) {
    let reason = REASONS.iter().position(|&reason| reason == fill.reason).unwrap_or(REASONS.len());
    put(out, reason as u64 | u64::from(fill.maker) << 8);
    put(out, fill.bar as u64);
    put(out, fill.timestamp.cast_unsigned());
    [fill.raw_price, fill.price, fill.fee].into_iter().for_each(|value| put(out, value.to_bits()));
}

/// The outcomes of [`begin_traces`], one at a time.
///
/// # Errors
/// [`BadTrace`] for bytes that are cut off or something else, as soon as that is seen.
pub fn traces(bytes: &[u8]) -> Result<Traces<'_>, BadTrace> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(BadTrace("it does not begin with BGTRACE1"))?;
    let mut reader = Reader(rest);
    Ok(Traces { left: reader.count()?, reader })
}

/// The outcomes of [`traces`], all at once.
///
/// # Errors
/// As [`traces`].
pub fn decode_traces(bytes: &[u8]) -> Result<Vec<Outcome>, BadTrace> {
    traces(bytes)?.collect()
}

/// The outcome of one [`put_trace`].
///
/// # Errors
/// As [`traces`].
pub fn decode_trace(bytes: &[u8]) -> Result<Outcome, BadTrace> {
    let mut reader = Reader(bytes);
    let outcome = reader.outcome()?;
    reader.end().map_or(Ok(outcome), Err)
}

/// See [`traces`].
pub struct Traces<'a> {
    left: usize,
    reader: Reader<'a>,
}

impl Iterator for Traces<'_> {
    type Item = Result<Outcome, BadTrace>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some(left) = self.left.checked_sub(1) else { return self.reader.end().map(Err) };
        self.left = left;
        Some(self.reader.outcome())
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn next(&mut self) -> Result<u64, BadTrace> {
        let (number, rest) = self.0.split_first_chunk().ok_or(BadTrace("it is cut off"))?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*number))
    }

    fn float(&mut self) -> Result<f64, BadTrace> {
        self.next().map(f64::from_bits)
    }

    fn size(&mut self) -> Result<usize, BadTrace> {
        usize::try_from(self.next()?).map_err(|_| BadTrace("a number is too large"))
    }

    /// What is wrong when there is more.
    fn end(&mut self) -> Option<BadTrace> {
        let is_over = std::mem::take(&mut self.0).is_empty();
        (!is_over).then_some(BadTrace("there is more than it says"))
    }

    /// How many of something follow; each takes 8 bytes at least, so that no count fills the memory.
    fn count(&mut self) -> Result<usize, BadTrace> {
        let count = self.size()?;
        if count > self.0.len() / 8 { Err(BadTrace("it is cut off")) } else { Ok(count) }
    }

    fn outcome(&mut self) -> Result<Outcome, BadTrace> {
        let first_bar = self.size()?;
        let rejected_orders = u32::try_from(self.next()?).map_err(|_| BadTrace("a number is too large"))?;
        let deficit = self.float()?;
        let equity: Vec<f64> = (0..self.count()?).map(|_| self.float()).collect::<Result<_, _>>()?;
        let mut position = Vec::with_capacity(equity.len());
        for _ in 0..self.count()? {
            let (bars, value) = (self.size()?, self.float()?);
            if bars > equity.len() - position.len() {
                return Err(BadTrace("positions are more than bars"));
            }
            position.resize(position.len() + bars, value);
        }
        let trades = (0..self.count()?).map(|_| self.trade()).collect::<Result<_, _>>()?;
        Ok(Outcome { first_bar, equity, position, trades, rejected_orders, deficit })
    }

    fn trade(&mut self) -> Result<Trade, BadTrace> {
        let flags = self.next()?;
        let direction = if flags & 1 == 1 { Direction::Short } else { Direction::Long };
        let (quantity, pnl, return_fraction) = (self.float()?, self.float()?, self.float()?);
        let bars = self.size()?;
        let entry = self.fill()?;
        let exit = if flags & 2 == 2 { Some(self.fill()?) } else { None };
        Ok(Trade { direction, quantity, entry, exit, pnl, return_fraction, bars })
    }

    fn fill(&mut self) -> Result<Fill, BadTrace> {
        let flags = self.next()?;
        let reason = usize::try_from(flags & 0xff).ok().and_then(|nth| REASONS.get(nth).copied());
        Ok(Fill {
            reason: reason.ok_or(BadTrace("a reason is unknown"))?,
            maker: flags >> 8 == 1,
            bar: self.size()?,
            timestamp: self.next()?.cast_signed(),
            raw_price: self.float()?,
            price: self.float()?,
            fee: self.float()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome() -> Outcome {
        let fill = |bar, reason, maker| Fill {
            bar,
            timestamp: -5,
            raw_price: 1.5,
            price: 0.1 + 0.2,
            fee: f64::MIN_POSITIVE,
            maker,
            reason,
        };
        let trade = |exit| Trade {
            direction: Direction::Short,
            quantity: 2.0,
            entry: fill(1, Reason::EnterLimit, true),
            exit,
            pnl: -0.0,
            return_fraction: 1e-300,
            bars: 3,
        };
        Outcome {
            first_bar: 7,
            equity: vec![1.0, 2.0, 1.0 / 3.0],
            position: vec![0.0, -0.0, -0.0],
            trades: vec![trade(Some(fill(2, Reason::Liquidation, false))), trade(None)],
            rejected_orders: 4,
            deficit: 0.25,
        }
    }

    fn encode_traces(outcomes: &[Outcome]) -> Vec<u8> {
        let mut bytes = begin_traces(outcomes.len());
        outcomes.iter().for_each(|outcome| put_trace(&mut bytes, outcome));
        bytes
    }

    #[test]
    fn outcomes_come_back_by_their_bits() {
        let outcomes = [outcome(), Outcome::default()];
        let bytes = encode_traces(&outcomes);
        let back = decode_traces(&bytes).unwrap();
        // Formatted, -0 and 0 differ.
        assert_eq!(format!("{back:?}"), format!("{outcomes:?}"));
        assert_eq!(encode_traces(&back), bytes);
        let mut one = Vec::new();
        put_trace(&mut one, &outcomes[0]);
        assert_eq!(bytes[16..16 + one.len()], one);
        assert_eq!(format!("{:?}", decode_trace(&one).unwrap()), format!("{:?}", outcomes[0]));
        assert!(decode_trace(&bytes[16..]).is_err(), "one, and another");
        for end in 0..bytes.len() {
            assert!(decode_traces(&bytes[..end]).is_err(), "{end}");
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(decode_traces(&longer).is_err());
    }
}
