//! The event kernel of profile `vectorbt`: its trader's own steps, at the bars where something can happen.

use std::ops::Range;

use super::records::{Holdings, Trips};
use super::stops::Bar;
use super::{AtBar, Settings, Trader};
use crate::bits::next_set;
use crate::sim::Tape;
use crate::sim::events::{Ground, Heard, Trial};

/// A trial between two blocks of bars.
#[derive(Debug)]
pub(crate) struct VectorbtTrial {
    settings: Settings,
    trader: Trader,
    holdings: Holdings,
    trips: Trips,
    /// The bars of the account; the next to be simulated comes first.
    left: Range<usize>,
    unmarked: usize,
}

impl VectorbtTrial {
    /// A trial whose account has the bars `bars`.
    pub(crate) fn new(settings: Settings, bars: Range<usize>) -> Self {
        let holdings = Holdings { cash: settings.initial_cash, position: 0.0 };
        let trader = Trader::new(&settings);
        Self { settings, trader, holdings, trips: Trips::default(), unmarked: bars.start, left: bars }
    }

    /// The first bar from `t` on at which there may be an order, or `to`.
    fn next(&mut self, t: usize, to: usize, heard: &Heard<'_>, ground: &Ground<'_>) -> usize {
        let position = self.trader.account.position;
        let own = usize::from(position < 0.0);
        let wanted = |w: usize| {
            let word = |words: &[u64]| heard.word(words, w);
            if position == 0.0 {
                word(heard.enter[0]) | word(heard.enter[1])
            } else {
                word(heard.enter[1 - own]) | word(heard.exit[own])
            }
        };
        let until = next_set(wanted, t, to).unwrap_or(to);
        let (Some(stops), true) = (&mut self.trader.stops, position != 0.0) else { return until };
        if self.settings.trailing {
            for bar in t..until {
                let mut after = *stops;
                if after.test(position, Bar::of(ground.market.candles, bar), &self.settings).is_some() {
                    return bar;
                }
                *stops = after;
            }
            return until;
        }
        let (adverse, favourable) = stops.levels(position, &self.settings);
        ground.extremes.first_touch(
            ground.market.candles,
            t..until,
            position > 0.0,
            adverse,
            favourable,
            ground.arch,
        )
    }

    fn mark(&mut self, to: usize, close: &[f64], tape: &mut impl Tape) {
        if self.unmarked < to {
            tape.mark(self.unmarked..to, self.holdings.cash, self.holdings.position, close);
            self.unmarked = to;
        }
    }
}

impl Trial for VectorbtTrial {
    fn run(&mut self, to: usize, heard: Heard<'_>, ground: &Ground<'_>, tape: &mut impl Tape) {
        let candles = ground.market.candles;
        let to = to.min(self.left.end);
        while self.left.start < to {
            let t = self.next(self.left.start, to, &heard, ground);
            if t == to {
                self.left.start = to;
                break;
            }
            let side = |side: usize| (heard.bit(heard.enter[side], t), heard.bit(heard.exit[side], t));
            let signals = AtBar { long: side(0), short: side(1) };
            if let Some(record) = self.trader.bar(t, signals, candles, &self.settings) {
                self.mark(t, candles.close(), tape);
                self.holdings.fill(&record.filled);
                self.trips.fill(&record, candles, tape);
            }
            self.left.start = t + 1;
        }
        self.mark(to, candles.close(), tape);
        if self.left.is_empty() && to > 0 {
            self.trips.finish(to - 1, candles, tape);
        }
    }

    fn rejected_orders(&self) -> u32 {
        self.trader.rejected_orders
    }

    fn deficit(&self) -> f64 {
        0.0
    }
}
