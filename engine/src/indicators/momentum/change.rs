//! Changes of a series, and the share of gains in them.

use std::ops::Range;

use super::super::common::{WINDOW, by_run};
use super::super::windows::{moves, sums};
use super::super::{Indicator, Memory, Over, Source, window};
use super::{RSI, against_past};

/// Rate of change as a fraction.
pub(super) static ROCP: Indicator = Indicator {
    name: "rocp",
    summary: "Rate of change: the change over `window` bars, as a fraction.",
    formula: "rocp[i] = (x[i] - x[i-window]) / x[i-window]",
    source: "TA-Lib ROCP. Unknown when x[i-window] is 0 (TA-Lib: 0).",
    numerics: "One subtraction and one division.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]),
    memory: |_, _| Memory::Finite,
    compute: |source, p| {
        against_past(
            source,
            window(p[0]),
            |now, past| if past == 0.0 { f64::NAN } else { (now - past) / past },
        )
    },
};

/// Ratio to the past.
pub(super) static ROCR: Indicator = Indicator {
    name: "rocr",
    summary: "Rate of change as a ratio: the value over that of `window` bars ago.",
    formula: "rocr[i] = x[i] / x[i-window]",
    source: "TA-Lib ROCR. Unknown when x[i-window] is 0 (TA-Lib: 0).",
    numerics: "One division.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]),
    memory: |_, _| Memory::Finite,
    compute: |source, p| {
        against_past(source, window(p[0]), |now, past| if past == 0.0 { f64::NAN } else { now / past })
    },
};

/// Cutler's relative strength index.
pub(super) static RSI_CUTLER: Indicator = Indicator {
    name: "rsi_cutler",
    summary: "Cutler's relative strength index, 0 to 100: the share of gains in the last `window` moves, by simple averages.",
    formula: "rsi_cutler = 100 * gain / (gain + loss); gain and loss are the sums of max(x-x[1], 0) and max(x[1]-x, 0) over \
              the window",
    source: "Cutler; TA-Lib's CMOU is twice it less 100. A window without a move gives 50. Unlike rsi it does not depend on \
             where the history began.",
    numerics: "gain - loss is x[i] - x[i-window]; gain + loss a sum of the window's own moves.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]),
    memory: |_, _| Memory::Finite,
    compute: rsi_cutler,
};

fn rsi_cutler(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let window = window(params[0]);
    vec![by_run(source.series.values, |run, out| {
        if run.len() <= window {
            return;
        }
        let append = |bars: Range<usize>, [[travelled]]: [[&[f64]; 1]; 1], [column]: &mut [Vec<f64>; 1]| {
            let past = &run[bars.start - window..bars.end - window];
            column.extend(travelled.iter().zip(run[bars].iter().zip(past)).map(
                |(&travelled, (now, past))| {
                    // The rounding of single moves must not lead beyond the ends.
                    let share = ((now - past) / travelled).clamp(-1.0, 1.0);
                    if travelled > 0.0 { 50.0 + 50.0 * share } else { 50.0 }
                },
            ));
        };
        let [shares] = sums(1..run.len(), [window], |bars, [out]| moves(run, bars, out), append);
        out.copy_from_slice(&shares);
    })]
}

/// Chande momentum oscillator.
pub(super) static CMO: Indicator = Indicator {
    name: "cmo",
    summary: "Chande momentum oscillator, -100 to 100: gains less losses as a share of all moves, by Wilder's averages.",
    formula: "cmo = 100 * (gain - loss) / (gain + loss) = 2 * rsi(x, window) - 100",
    source: "Chande 1994; TA-Lib CMO, which smooths as Wilder, with its seed; Chande's own, of plain sums, is 2 * \
             rsi_cutler(x, window) - 100. A series that has not moved at all gives 0.",
    numerics: "As rsi, of which it is a multiple.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: RSI.lookback,
    memory: RSI.memory,
    compute: |source, p| {
        let mut columns = (RSI.compute)(source, p);
        columns.iter_mut().flatten().for_each(|value| *value = 2.0 * *value - 100.0);
        columns
    },
};
