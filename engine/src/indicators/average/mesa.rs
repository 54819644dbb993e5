//! Ehlers' averages that adapt to the phase of the dominant cycle.

use super::super::common::{runs, unknown};
use super::super::{Domain, Indicator, Memory, Over, Param, Source, bars_to_forget};

/// Bars before the filters begin, and before the averages are shown: those of Ehlers' own program.
const FILTERS_FROM: usize = 12;
const LOOKBACK: usize = 32;

/// Bars in which the filters of the cycle forget where they began: chains of averages of weight 0.2.
const PHASE_MEMORY: usize = 300;

/// MESA adaptive moving average.
pub(super) static MAMA: Indicator = Indicator {
    name: "mama",
    summary: "MESA adaptive moving average and the slower one that follows it: as fast as the phase of the cycle moves.",
    formula: "phase = atan(quadrature / inphase) in degrees, of the Hilbert transform of the smoothed series; a = fast / \
              max(phase[1] - phase, 1), slow at least; mama += a * (x - mama); fama += a / 2 * (mama - fama)",
    source: "Ehlers 2001; TA-Lib MAMA: both averages begin at 0 twenty bars before the first value, so the first values are \
             too low. After an unknown value it is unknown and begins anew.",
    numerics: "The smoothing of each bar is summed anew, where TA-Lib keeps a running sum: a flat series has no phase.",
    over: Over::Series,
    params: &[limit("fast", 0.5), limit("slow", 0.05)],
    outputs: &["mama", "fama"],
    lookback: |_| LOOKBACK,
    memory: |p, _| {
        let least = p[0].min(p[1]);
        Memory::Recursive(PHASE_MEMORY + bars_to_forget(least) + bars_to_forget(0.5 * least))
    },
    compute: mama,
};

/// A limit of the weight of the newest value.
const fn limit(name: &'static str, default: f64) -> Param {
    Param { name, domain: Domain::Between(0.01, 0.99), default: Some(default) }
}

fn mama(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let values = source.series.values;
    let (fast, slow) = (params[0], params[1]);
    let mut columns = vec![unknown(values.len()); 2];
    for run in runs(values) {
        let (mut mama, mut fama, mut phase) = (0.0, 0.0, 0.0);
        let mut cycle = Cycle::default();
        for i in run.start + FILTERS_FROM..run.end {
            let smoothed =
                (4.0 * values[i] + 3.0 * values[i - 1] + 2.0 * values[i - 2] + values[i - 3]) * 0.1;
            let now = cycle.next(smoothed);
            let turned = phase - now;
            phase = now;
            let alpha = if turned > 1.0 { (fast / turned).max(slow) } else { fast };
            mama += alpha * (values[i] - mama);
            fama += 0.5 * alpha * (mama - fama);
            if i >= run.start + LOOKBACK {
                columns[0][i] = mama;
                columns[1][i] = fama;
            }
        }
    }
    columns
}

/// The last seven inputs of a filter, the newest first.
#[derive(Default)]
struct Taps([f64; 7]);

impl Taps {
    fn push(&mut self, value: f64) {
        self.0.copy_within(..6, 1);
        self.0[0] = value;
    }

    /// Ehlers' Hilbert transform of four taps: a quarter of a cycle later; 0 for inputs that are equal.
    fn transform(&mut self, value: f64, gain: f64) -> f64 {
        self.push(value);
        let taps = &self.0;
        (0.0962 * (taps[0] - taps[6]) + 0.5769 * (taps[2] - taps[4])) * gain
    }
}

/// The dominant cycle of a smoothed series, by Ehlers' homodyne discriminator.
#[derive(Default)]
struct Cycle {
    smoothed: Taps,
    detrended: Taps,
    inphase: Taps,
    quadrature: Taps,
    /// The phasor of the bar before, smoothed.
    i2: f64,
    q2: f64,
    /// Its product with the one before it, smoothed.
    real: f64,
    imaginary: f64,
    /// Length of the cycle in bars.
    period: f64,
}

impl Cycle {
    /// Takes the next value and gives the phase in degrees, 0 where there is none.
    fn next(&mut self, smoothed: f64) -> f64 {
        let gain = 0.075 * self.period + 0.54;
        // The in-phase part is the detrended series three bars ago.
        let i1 = self.detrended.0[2];
        let detrended = self.smoothed.transform(smoothed, gain);
        let q1 = self.detrended.transform(detrended, gain);
        let ahead = (self.inphase.transform(i1, gain), self.quadrature.transform(q1, gain));
        let i2 = 0.2 * (i1 - ahead.1) + 0.8 * self.i2;
        let q2 = 0.2 * (q1 + ahead.0) + 0.8 * self.q2;
        self.real = 0.2 * (i2 * self.i2 + q2 * self.q2) + 0.8 * self.real;
        self.imaginary = 0.2 * (i2 * self.q2 - q2 * self.i2) + 0.8 * self.imaginary;
        (self.i2, self.q2) = (i2, q2);
        self.adjust_period();
        if i1 == 0.0 { 0.0 } else { libm::atan(q1 / i1).to_degrees() }
    }

    /// The period follows the angle between the phasors, within bounds.
    fn adjust_period(&mut self) {
        let before = self.period;
        let mut period = before;
        if self.imaginary != 0.0 && self.real != 0.0 {
            period = 360.0 / libm::atan(self.imaginary / self.real).to_degrees();
        }
        period = period.min(1.5 * before).max(0.67 * before).clamp(6.0, 50.0);
        self.period = 0.2 * period + 0.8 * before;
    }
}
