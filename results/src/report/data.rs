//! The numbers the page's script draws, as small as they can be: whole steps for times, five to eight digits for values.

use std::ops::Range;

use blockgrid_engine::Candles;
use blockgrid_engine::metrics::{METRICS, MetricInfo, Unit};
use blockgrid_engine::sim::Trade;
use serde_json::{Value, json};

use crate::format;
use crate::leaderboard::{Goal, number};
use crate::table::metric_index;
use crate::top::TopTrial;

use super::{ReportData, downsample};

/// Candles embedded over all series.
const CANDLES: usize = 20_000;
/// Buckets of an equity curve; up to three points each.
const CURVE_BUCKETS: usize = 1_200;
/// Trades embedded for a trial, in order; the largest win and loss always are.
const TRADES: usize = 2_000;
/// Trials in the grid: all of them up to here, beyond only those that share the best one's other parameters.
const GRID_ROWS: usize = 20_000;
/// Metric values in the grid, whatever happens.
const GRID_VALUES: usize = 400_000;
/// Lengths of aggregated candles a person expects, in minutes.
const ROUND_MINUTES: [i64; 16] = [1, 2, 3, 5, 10, 15, 30, 60, 120, 180, 240, 360, 480, 720, 1440, 10_080];
/// A window around a trade is embedded bar by bar up to this length.
const DETAIL_BARS: usize = 2_500;

pub(super) const GRID_METRICS: [&str; 9] = [
    "total_return",
    "sharpe",
    "max_drawdown",
    "calmar",
    "profit_factor",
    "win_rate",
    "trades",
    "exposure",
    "fees_paid",
];

/// Everything for the script.
pub(super) fn json(data: &ReportData<'_>) -> Value {
    let mut series = Series::new(data.embedded());
    let trials: Vec<Value> = data.embedded().iter().map(|trial| series.trial(data, trial)).collect();
    json!({ "grid": grid(data), "trials": trials, "series": series.out })
}

/// A metric as the script shows it.
fn metric(info: &MetricInfo) -> Value {
    let unit = match info.unit {
        Unit::Fraction => "fraction",
        Unit::Ratio => "ratio",
        Unit::Count => "count",
        Unit::Quote => "quote",
    };
    json!({ "id": info.id, "unit": unit, "better": info.higher_is_better.map_or(0, |more| if more { 1 } else { -1 }) })
}

/// The parameters with at least two values, every trial as an index into each, and the metrics.
fn grid(data: &ReportData<'_>) -> Value {
    let table = data.table;
    let Some(&best) = data.ranked.first() else { return Value::Null };
    let axes: Vec<(&str, &[f64], Vec<f64>)> = table
        .parameters
        .iter()
        .map(|(name, column)| {
            let mut values = column.clone();
            values.sort_by(f64::total_cmp);
            values.dedup();
            (name.as_str(), column.as_slice(), values)
        })
        .filter(|(_, _, values)| values.len() > 1)
        .collect();
    if axes.is_empty() {
        return Value::Null;
    }
    let complete = table.len() <= GRID_ROWS;
    let differs = |row: usize| axes.iter().filter(|(_, column, _)| column[row] != column[best]).count();
    let mut rows: Vec<usize> = (0..table.len()).filter(|&row| complete || differs(row) <= 2).collect();
    let shown = |rows: usize| (GRID_VALUES / rows.max(1)).max(1);
    let mut ids: Vec<&str> = vec![data.objective.metric.id];
    ids.extend(GRID_METRICS.iter().filter(|&&id| id != data.objective.metric.id));
    ids.truncate(shown(rows.len()));
    let dropped = rows.len().saturating_sub(GRID_VALUES);
    rows.truncate(GRID_VALUES);
    let index = |values: &[f64], value: f64| values.partition_point(|v| v.total_cmp(&value).is_lt());
    let mut runs: Vec<(&str, &str)> = Vec::new();
    let run: Vec<usize> = rows
        .iter()
        .map(|&row| {
            let key = (&*table.symbol[row], &*table.window[row]);
            runs.iter().rposition(|known| *known == key).unwrap_or_else(|| {
                runs.push(key);
                runs.len() - 1
            })
        })
        .collect();
    let metrics: Vec<&MetricInfo> =
        ids.iter().filter_map(|id| metric_index(id)).map(|at| &METRICS[at]).collect();
    let values: Vec<Vec<Value>> = metrics
        .iter()
        .map(|info| {
            rows.iter().map(|&row| table.metric(row, info.id).map_or(Value::Null, |v| digits(v, 5))).collect()
        })
        .collect();
    json!({
        "objective": data.objective.metric.id,
        "goal": if data.objective.direction == Goal::Max { 1 } else { -1 },
        "complete": complete,
        "dropped": dropped,
        "metrics": metrics.iter().map(|info| metric(info)).collect::<Vec<_>>(),
        "axes": axes.iter().map(|(name, _, values)| json!({
            "name": name,
            "values": values.iter().map(|v| format::parameter(*v)).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "runs": runs.iter().map(|(symbol, window)| label(symbol, window)).collect::<Vec<_>>(),
        "run": run,
        "at": axes.iter().map(|(_, column, values)| rows.iter().map(|&row| index(values, column[row])).collect::<Vec<_>>()).collect::<Vec<_>>(),
        "values": values,
        "best": {
            "run": runs.iter().position(|key| *key == (&*table.symbol[best], &*table.window[best])),
            "at": axes.iter().map(|(_, column, values)| index(values, column[best])).collect::<Vec<_>>(),
        },
    })
}

/// A symbol, with its window where it has a name.
pub(super) fn label(symbol: &str, window: &str) -> String {
    if window.is_empty() { symbol.to_owned() } else { format!("{symbol}, {window}") }
}

/// Candle series, each embedded once however many trials share it.
struct Series<'a> {
    known: Vec<(&'a Candles, usize)>,
    starts: Vec<(&'a Candles, usize)>,
    budget: usize,
    out: Vec<Value>,
}

impl<'a> Series<'a> {
    fn new(trials: &'a [TopTrial<'a>]) -> Self {
        let mut starts: Vec<(&Candles, usize)> = Vec::new();
        for trial in trials {
            let first = trial.outcome.first_bar.min(trial.candles.len()).saturating_sub(100);
            match starts.iter_mut().find(|(candles, _)| std::ptr::eq(*candles, trial.candles)) {
                Some((_, start)) => *start = first.min(*start),
                None => starts.push((trial.candles, first)),
            }
        }
        let budget = CANDLES / starts.len().max(1);
        Self { known: Vec::new(), starts, budget, out: Vec::new() }
    }

    fn factor(&self, candles: &Candles, start: usize) -> usize {
        let least = (candles.len() - start).div_ceil(self.budget).max(1);
        let step = candles.interval().millis();
        let fits = |minutes: &i64| (minutes * 60_000).checked_rem(step) == Some(0);
        let factors =
            ROUND_MINUTES.iter().filter(|m| fits(m)).filter_map(|m| usize::try_from(m * 60_000 / step).ok());
        if least == 1 { 1 } else { factors.into_iter().find(|factor| *factor >= least).unwrap_or(least) }
    }

    fn start(&self, candles: &Candles) -> usize {
        self.starts.iter().find(|(known, _)| std::ptr::eq(*known, candles)).map_or(0, |(_, start)| *start)
    }

    fn push(&mut self, candles: &Candles, range: Range<usize>, factor: usize) -> usize {
        let source = downsample::candles(candles, range, factor);
        let prices = |column: &[f64]| column.iter().map(|&v| digits(v, 8)).collect::<Vec<_>>();
        let step = candles.interval().millis();
        self.out.push(json!({
            "step": step,
            "factor": factor,
            "t0": source.timestamp.first(),
            "t": steps(&source.timestamp, step),
            "o": prices(&source.open),
            "h": prices(&source.high),
            "l": prices(&source.low),
            "c": prices(&source.close),
        }));
        self.out.len() - 1
    }

    fn main(&mut self, candles: &'a Candles) -> (usize, usize) {
        let start = self.start(candles);
        let factor = self.factor(candles, start);
        if let Some((_, at)) = self.known.iter().find(|(known, _)| std::ptr::eq(*known, candles)) {
            return (*at, factor);
        }
        let at = self.push(candles, start..candles.len(), factor);
        self.known.push((candles, at));
        (at, factor)
    }

    fn trial(&mut self, data: &ReportData<'_>, trial: &TopTrial<'a>) -> Value {
        let (main, factor) = self.main(trial.candles);
        let all = &trial.outcome.trades;
        let by = |a: &usize, b: &usize| all[*a].pnl.total_cmp(&all[*b].pnl).then(b.cmp(a));
        let win = (0..all.len()).max_by(by).filter(|&i| all[i].pnl > 0.0);
        let loss = (0..all.len()).min_by(by).filter(|&i| all[i].pnl < 0.0);
        let kept: Vec<usize> =
            (0..all.len()).filter(|&i| i < TRADES || Some(i) == win || Some(i) == loss).collect();
        let place = |trade: Option<usize>| trade.and_then(|i| kept.iter().position(|&k| k == i));
        let details: Vec<usize> = [win, loss]
            .into_iter()
            .flatten()
            .filter(|_| factor > 1)
            .filter_map(|i| {
                let (from, to) = (all[i].entry.bar, all[i].entry.bar + all[i].bars);
                // The script opens 30 bars or 0.6 of the trade on either side.
                let pad = (all[i].bars * 7 / 10).max(150);
                let range = from.saturating_sub(pad)..(to + pad).min(trial.candles.len());
                (range.len() <= DETAIL_BARS).then(|| self.push(trial.candles, range, 1))
            })
            .collect();
        let points: Vec<_> = trial.points().collect();
        let curve = downsample::curve(&points, CURVE_BUCKETS);
        let times: Vec<i64> = curve.iter().map(|point| point.timestamp).collect();
        let step = trial.candles.interval().millis();
        let trades: Vec<&Trade> = kept.iter().map(|&i| &all[i]).collect();
        json!({
            "label": label(&trial.symbol, &trial.window),
            "cash": number(trial.initial_cash),
            "objective": data.table.metrics.get(trial.row).and_then(|_| data.table.metric(trial.row, data.objective.metric.id)),
            "series": main,
            "details": details,
            "step": step,
            "bars": points.len(),
            "thinned": curve.len() < points.len(),
            "t0": times.first(),
            "t": steps(&times, step),
            "equity": curve.iter().map(|point| digits(point.equity, 7)).collect::<Vec<_>>(),
            "hold": curve.iter().map(|point| digits(point.buy_and_hold, 7)).collect::<Vec<_>>(),
            "win": place(win),
            "loss": place(loss),
            "traded": all.len(),
            "trades": columns(&kept, &trades),
        })
    }
}

fn columns(kept: &[usize], trades: &[&Trade]) -> Value {
    let values = |of: fn(&Trade) -> f64| trades.iter().map(|trade| digits(of(trade), 8)).collect::<Vec<_>>();
    json!({
        "number": kept.iter().map(|i| i + 1).collect::<Vec<_>>(),
        "direction": trades.iter().map(|trade| trade.direction.id()).collect::<Vec<_>>(),
        "quantity": values(|trade| trade.quantity),
        "entryTime": trades.iter().map(|trade| trade.entry.timestamp).collect::<Vec<_>>(),
        "entryPrice": values(|trade| trade.entry.price),
        "entryReason": trades.iter().map(|trade| trade.entry.reason.id()).collect::<Vec<_>>(),
        "exitTime": trades.iter().map(|trade| trade.exit.map(|exit| exit.timestamp)).collect::<Vec<_>>(),
        "exitPrice": trades.iter().map(|trade| trade.exit.map(|exit| digits(exit.price, 8))).collect::<Vec<_>>(),
        "exitReason": trades.iter().map(|trade| trade.exit.map(|exit| exit.reason.id())).collect::<Vec<_>>(),
        "fees": values(|trade| trade.entry.fee + trade.exit.map_or(0.0, |exit| exit.fee)),
        "pnl": values(|trade| trade.pnl),
        "return": values(|trade| trade.return_fraction),
        "bars": trades.iter().map(|trade| trade.bars).collect::<Vec<_>>(),
    })
}

/// Distances in steps of the interval.
fn steps(times: &[i64], step: i64) -> Vec<i64> {
    let mut before = times.first().copied().unwrap_or(0);
    times.iter().map(|&at| (at - std::mem::replace(&mut before, at)) / step).collect()
}

/// `value` to `n` significant digits.
fn digits(value: f64, n: usize) -> Value {
    if !value.is_finite() {
        return Value::Null;
    }
    format!("{value:.*e}", n - 1).parse().map_or(Value::Null, number)
}
