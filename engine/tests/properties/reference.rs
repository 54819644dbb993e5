//! A second simulator, written from `docs/semantics.md` alone: long only, market orders at the next open, all cash, fees,
//! stop and target as fractions, the stop first. It must agree with the engine to the last trade.

use blockgrid_engine::Candles;
use blockgrid_engine::strategy::{Reentry, Size};
use proptest::prelude::*;

use crate::common::*;
use crate::generate::{config, market};

/// Entry bar, raw price and quantity; exit bar, raw price and reason.
type Trip = (usize, f64, f64, Option<(usize, f64, &'static str)>);

struct Rules {
    taker: f64,
    maker: f64,
    stop: f64,
    target: f64,
    max_bars: usize,
    cooldown: usize,
    same_bar_reentry: bool,
}

struct Position {
    bar: usize,
    price: f64,
    quantity: f64,
}

fn reference(candles: &Candles, enter: &[bool], exit: &[bool], rules: &Rules) -> (Vec<Trip>, f64) {
    let (open, high, low) = (candles.open(), candles.high(), candles.low());
    let mut cash = 1000.0;
    let mut trips: Vec<Trip> = Vec::new();
    let mut position: Option<Position> = None;
    let (mut buy_due, mut sell_due) = (false, None);
    let (mut exited, mut stopped): (Option<usize>, Option<usize>) = (None, None);
    for t in 0..candles.len() {
        // What the bar does to a position held or opened at its open.
        let mut leave: Option<(f64, &'static str, f64)> = None;
        if let Some(Position { price, .. }) = position {
            let (stop, target) = (price * (1.0 - rules.stop), price * (1.0 + rules.target));
            leave = match sell_due.take() {
                Some(reason) => Some((open[t], reason, rules.taker)),
                None if open[t] <= stop => Some((open[t], "stopLoss", rules.taker)),
                None if open[t] >= target => Some((open[t], "takeProfit", rules.taker)),
                None => None,
            };
        } else if buy_due {
            let quantity = cash / (1.0 + rules.taker) / open[t];
            cash -= quantity * open[t] + quantity * open[t] * rules.taker;
            position = Some(Position { bar: t, price: open[t], quantity });
        }
        buy_due = false;
        if let (Some(Position { price, .. }), None) = (&position, leave) {
            let (stop, target) = (price * (1.0 - rules.stop), price * (1.0 + rules.target));
            if low[t] <= stop {
                leave = Some((stop, "stopLoss", rules.taker));
            } else if high[t] >= target {
                leave = Some((target, "takeProfit", rules.maker));
            }
        }
        if let Some((price, reason, fee)) = leave
            && let Some(held) = position.take()
        {
            cash += held.quantity * price - held.quantity * price * fee;
            trips.push((held.bar, held.price, held.quantity, Some((t, price, reason))));
            exited = Some(t);
            stopped = (reason == "stopLoss" || reason == "takeProfit").then_some(t);
        }
        if t + 1 == candles.len() {
            break;
        }
        match &position {
            Some(held) if exit[t] => {
                let _ = held;
                sell_due = Some("exitSignal");
            }
            Some(held) if t + 1 - held.bar >= rules.max_bars => sell_due = Some("timeStop"),
            Some(_) => {}
            None => {
                let rested = exited.is_none_or(|exited| t >= exited + rules.cooldown);
                let heard = stopped.is_none_or(|stopped| rules.same_bar_reentry || t > stopped);
                buy_due = enter[t] && !exit[t] && rested && heard;
            }
        }
    }
    let held = position.as_ref().map_or(0.0, |held| held.quantity * candles.close()[candles.len() - 1]);
    trips.extend(position.map(|held| (held.bar, held.price, held.quantity, None)));
    (trips, cash + held)
}

/// The candles with a volume that says whether to enter (1) and to exit (2).
fn marked_candles(candles: &Candles, marks: &[u8]) -> Candles {
    let mark = |i: usize| f64::from(marks[i % marks.len()] % 4);
    let raw = blockgrid_engine::RawCandles {
        timestamp: candles.timestamp().to_vec(),
        open: candles.open().to_vec(),
        high: candles.high().to_vec(),
        low: candles.low().to_vec(),
        close: candles.close().to_vec(),
        volume: (0..candles.len()).map(mark).collect(),
    };
    Candles::new(candles.interval(), raw).expect("candles")
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn an_independent_simulator_makes_the_same_trades(
        candles in market(2..200),
        marks in proptest::collection::vec(any::<u8>(), 200),
        (stop, target) in (1..60_u32, 1..60_u32),
        (taker, maker) in (0..200_u32, 0..50_u32),
        (max_bars, cooldown) in (1..12_usize, 0..4_usize),
        same_bar_reentry: bool,
    ) {
        let candles = marked_candles(&candles, &marks);
        let (stop, target) = (f64::from(stop) / 256.0, f64::from(target) / 256.0);
        let setup = long(LONG, EXIT)
            .stop(&format!("{stop:?}"))
            .target(&format!("{target:?}"))
            .fees(f64::from(taker), f64::from(maker), 0.0)
            .max_bars(&max_bars.to_string())
            .cooldown(&cooldown.to_string())
            .reentry(if same_bar_reentry { Reentry::SameBar } else { Reentry::NextBar })
            .size(Size::AllIn);
        let run = setup.run_on(&candles);
        let mark = |bit: u8| candles.volume().iter().map(|&v| v as u8 & bit != 0).collect::<Vec<_>>();
        let rules = Rules {
            taker: f64::from(taker) / 10_000.0,
            maker: f64::from(maker) / 10_000.0,
            stop,
            target,
            max_bars,
            cooldown,
            same_bar_reentry,
        };
        let (expected, equity) = reference(&candles, &mark(1), &mark(2), &rules);
        let trips: Vec<Trip> = run
            .outcome
            .trades
            .iter()
            .map(|t| {
                let exit = t.exit.map(|exit| (exit.bar, exit.raw_price, exit.reason.id()));
                (t.entry.bar, t.entry.raw_price, t.quantity, exit)
            })
            .collect();
        prop_assert_eq!(trips, expected);
        prop_assert!((run.outcome.equity.last().unwrap() - equity).abs() <= 1e-9 * equity);
    }
}
