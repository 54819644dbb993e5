//! The parameter grid: swept values, the trials they make, and their order.
//!
//! Trials are numbered in grid order: parameters by name, the last varying fastest. `where` leaves trials out; the rest
//! keep their order.

use std::collections::BTreeMap;

use blockgrid_engine::expr::{Expr, ExprError, parse};
use blockgrid_engine::graph::{Compiler, Graph, Scope};
use blockgrid_engine::interval::Interval;

use rayon::prelude::*;

use crate::spec::Axis;

/// The trials of a job.
#[derive(Debug, Clone)]
pub struct Grid {
    defaults: BTreeMap<String, f64>,
    axes: Vec<Axis>,
    /// Positions in the full grid of the trials that `where` lets through; `None` for all of them.
    kept: Option<Vec<u64>>,
}

/// How many trials a full grid has, `where` not yet applied.
pub fn full_size(axes: &[Axis]) -> u128 {
    axes.iter().fold(1, |size, axis| size.saturating_mul(axis.values.len() as u128))
}

impl Grid {
    /// The grid of `axes`, other parameters at their defaults, without the trials that `filter` refuses.
    ///
    /// # Errors
    /// The filter does not parse, or does not compile to a condition on parameters.
    pub fn new(
        defaults: BTreeMap<String, f64>,
        axes: Vec<Axis>,
        filter: Option<&str>,
    ) -> Result<Self, ExprError> {
        let mut grid = Self { defaults, axes, kept: None };
        if let Some(text) = filter {
            let expr = parse(text)?;
            let size = u64::try_from(full_size(&grid.axes)).unwrap_or(u64::MAX);
            // On all cores: a filter over millions of combinations takes seconds.
            let passed: Vec<Option<u64>> = (0..size)
                .into_par_iter()
                .map(|position| Ok(grid.passes(position, text, &expr)?.then_some(position)))
                .collect::<Result<_, ExprError>>()?;
            let kept = passed.into_iter().flatten().collect();
            grid.kept = Some(kept);
        }
        Ok(grid)
    }

    /// Number of trials.
    pub fn len(&self) -> usize {
        match &self.kept {
            Some(kept) => kept.len(),
            None => usize::try_from(full_size(&self.axes)).unwrap_or(usize::MAX),
        }
    }

    /// Whether no trial is left.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Swept parameters, in grid order.
    pub fn axes(&self) -> &[Axis] {
        &self.axes
    }

    /// Values of the swept parameters of a trial, in the order of [`Grid::axes`].
    pub fn swept(&self, trial: usize) -> Vec<f64> {
        let mut values = vec![0.0; self.axes.len()];
        let last_first = values.iter_mut().rev();
        last_first.zip(self.at(self.position(trial))).for_each(|(value, (_, of_trial))| *value = of_trial);
        values
    }

    /// All parameters of a trial.
    pub fn parameters(&self, trial: usize) -> BTreeMap<String, f64> {
        let mut parameters = self.defaults.clone();
        self.bind(trial, &mut parameters);
        parameters
    }

    /// Makes `parameters`, the defaults or those of another trial, those of this one.
    pub fn bind(&self, trial: usize, parameters: &mut BTreeMap<String, f64>) {
        self.bind_at(self.position(trial), parameters);
    }

    fn position(&self, trial: usize) -> u64 {
        self.kept.as_ref().map_or(trial as u64, |kept| kept[trial])
    }

    /// Axes and their values at a position of the full grid, from the last.
    fn at(&self, mut position: u64) -> impl Iterator<Item = (&Axis, f64)> {
        self.axes.iter().rev().map(move |axis| {
            let n = axis.values.len() as u64;
            let value = axis.values[(position % n) as usize];
            position /= n;
            (axis, value)
        })
    }

    fn bind_at(&self, position: u64, parameters: &mut BTreeMap<String, f64>) {
        for (axis, value) in self.at(position) {
            match parameters.get_mut(&axis.name) {
                Some(known) => *known = value,
                None => {
                    parameters.insert(axis.name.clone(), value);
                }
            }
        }
    }

    fn passes(&self, position: u64, text: &str, expr: &Expr) -> Result<bool, ExprError> {
        let mut parameters = self.defaults.clone();
        self.bind_at(position, &mut parameters);
        let scope = Scope {
            parameters: &parameters,
            define: &BTreeMap::new(),
            columns: &[],
            base: Interval::DAY,
            vectorbt: false,
        };
        Compiler::new(&mut Graph::new(), scope).constant_condition(text, expr)
    }
}

/// `from, from + step, ...` up to `to`, in decimal arithmetic: the count, and the value of each index. `None` when the
/// three have more than 30 decimal places between them.
pub(crate) fn decimal_range(from: f64, to: f64, step: f64) -> Option<(u128, impl Fn(u128) -> f64)> {
    let (from, to, step) = (decimal(from)?, decimal(to)?, decimal(step)?);
    let places = from.1.max(to.1).max(step.1);
    let scaled = |(digits, own): (i128, u32)| digits.checked_mul(10i128.checked_pow(places - own)?);
    let (from, to, step) = (scaled(from)?, scaled(to)?, scaled(step)?);
    if step <= 0 || to < from {
        return None;
    }
    let count = u128::try_from((to - from) / step).ok()? + 1;
    // A decimal written out and read back is the nearest double: no error adds up along the range.
    let value = move |i: u128| {
        let digits = i128::try_from(i).map_or(i128::MAX, |i| from + i * step);
        format!("{digits}e-{places}").parse().unwrap_or(f64::NAN)
    };
    Some((count, value))
}

/// A double as the shortest decimal that reads back to it: digits and decimal places.
fn decimal(value: f64) -> Option<(i128, u32)> {
    let text = format!("{value}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let places = u32::try_from(fraction.len()).ok().filter(|places| *places <= 30)?;
    Some((format!("{whole}{fraction}").parse().ok()?, places))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn axis(name: &str, values: &[f64]) -> Axis {
        Axis { name: name.to_owned(), values: values.to_vec() }
    }

    fn range(from: f64, to: f64, step: f64) -> Vec<f64> {
        let (count, value) = decimal_range(from, to, step).unwrap();
        (0..count).map(value).collect()
    }

    #[test]
    fn ranges_step_in_decimal_and_include_their_end() {
        assert_eq!(range(0.1, 0.5, 0.1), [0.1, 0.2, 0.3, 0.4, 0.5]);
        assert_eq!(range(5.0, 17.0, 5.0), [5.0, 10.0, 15.0]);
        assert_eq!(range(-0.02, 0.02, 0.02), [-0.02, 0.0, 0.02]);
        assert_eq!(range(1.0, 1.0, 0.001), [1.0]);
        assert_eq!(range(0.0, 1.0, 0.001).len(), 1001);
    }

    #[test]
    fn the_last_parameter_varies_fastest_and_where_keeps_the_order() {
        let axes = vec![axis("fast", &[1.0, 2.0, 3.0]), axis("slow", &[2.0, 3.0])];
        let grid =
            Grid::new(BTreeMap::from([("stop".to_owned(), 0.1)]), axes, Some("fast < slow && stop > 0"))
                .unwrap();
        let trials: Vec<_> = (0..grid.len()).map(|i| grid.swept(i)).collect();
        assert_eq!(trials, [[1.0, 2.0], [1.0, 3.0], [2.0, 3.0]]);
        assert_eq!(grid.parameters(1)["stop"], 0.1);
    }

    #[test]
    fn a_filter_on_columns_is_refused() {
        let error = Grid::new(BTreeMap::new(), vec![axis("fast", &[1.0])], Some("fast < close")).unwrap_err();
        assert!(error.to_string().contains("condition on parameters"), "{error}");
    }

    proptest! {
        #[test]
        fn every_value_of_a_decimal_range_reads_as_written(from in -1000i64..1000, step in 1i64..500, count in 1usize..50) {
            let decimal = |hundredths: i64| format!("{}e-2", hundredths).parse::<f64>().unwrap();
            let to = from + step * (count as i64 - 1);
            let expected: Vec<f64> = (0..count as i64).map(|i| decimal(from + i * step)).collect();
            prop_assert_eq!(range(decimal(from), decimal(to), decimal(step)), expected);
        }

        #[test]
        fn the_grid_holds_every_combination_once(a in 1usize..5, b in 1usize..5, c in 1usize..5) {
            let values = |n: usize| (0..n).map(|v| v as f64).collect::<Vec<_>>();
            let axes = vec![axis("a", &values(a)), axis("b", &values(b)), axis("c", &values(c))];
            let grid = Grid::new(BTreeMap::new(), axes, None).unwrap();
            let mut trials: Vec<Vec<u64>> = (0..grid.len()).map(|i| grid.swept(i).iter().map(|v| *v as u64).collect()).collect();
            prop_assert_eq!(trials.len(), a * b * c);
            prop_assert!(trials.is_sorted());
            trials.dedup();
            prop_assert_eq!(trials.len(), a * b * c);
        }
    }
}
