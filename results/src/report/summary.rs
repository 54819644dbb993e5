//! What came out, in sentences with numbers.

use crate::format::{self, decimal, percent};
use crate::top::TopTrial;

use super::ReportData;

/// How much of the net profit a few trades made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Concentration {
    /// Sum of all profits and losses.
    pub net: f64,
    /// Sum of the five best.
    pub best_five: f64,
    /// Sum of the best tenth of the trades.
    pub best_tenth: f64,
    /// How many trades a tenth is: rounded up.
    pub tenth: usize,
}

/// Where the profit of these trades (profit and loss each) came from.
pub fn concentration(profits: &[f64]) -> Concentration {
    let mut sorted = profits.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let tenth = profits.len().div_ceil(10);
    let best = |n: usize| sorted.iter().take(n).sum();
    Concentration { net: profits.iter().sum(), best_five: best(5), best_tenth: best(tenth), tenth }
}

/// The sentences of the first section, plain text.
pub(super) fn sentences(data: &ReportData<'_>) -> Vec<String> {
    let Some(&best) = data.ranked.first() else {
        return vec!["No trial was run.".to_owned()];
    };
    let mut out = vec![outcome(data, best)];
    out.extend(data.top.first().filter(|top| top.row == best).map(costs_and_concentration));
    out
}

/// The sober line about the best of many.
pub(super) fn multiple_testing(data: &ReportData<'_>) -> Option<String> {
    let n = data.table.len();
    (n > 1).then(|| {
        format!(
            "This is the best of {} tries: some of its lead is chance, so judge it on data it has not seen.",
            decimal(n as f64, 0)
        )
    })
}

fn outcome(data: &ReportData<'_>, best: usize) -> String {
    let table = data.table;
    let pairs: Vec<(f64, f64)> = (0..table.len())
        .filter_map(|row| {
            Some((table.metric(row, "total_return")?, table.metric(row, "buy_and_hold_return")?))
        })
        .collect();
    let beat = pairs.iter().filter(|(own, hold)| own > hold).count();
    let value = |id: &str| table.metric(best, id);
    let objective = data.objective.metric;
    let count = match (pairs.len(), beat) {
        (0, _) => "None of the trials could be compared with buy and hold".to_owned(),
        (1, 0) => "The trial did not beat buy and hold".to_owned(),
        (1, _) => "The trial beat buy and hold".to_owned(),
        (n, _) => format!(
            "{} of {} trials ({}) beat buy and hold",
            decimal(beat as f64, 0),
            decimal(n as f64, 0),
            percent(beat as f64 / n as f64)
        ),
    };
    let mut name = table.symbol[best].to_string();
    let parameters = table.parameters_of(best);
    if !parameters.is_empty() {
        name = format!("{name} with {}", format::parameters(&parameters));
    }
    let shown = |fraction: Option<f64>| fraction.map_or(format::NULL.to_owned(), percent);
    let Some(reached) = value(objective.id) else {
        return format!("{count}. No trial has a defined {}; the first is {name}.", objective.id);
    };
    let first = if table.len() > 1 {
        format!("; the best by {} is {name}, with ", objective.id)
    } else {
        format!(": {name} reached ")
    };
    let own = if objective.id == "total_return" {
        String::new()
    } else {
        format!(" and a total return of {}", shown(value("total_return")))
    };
    format!(
        "{count}{first}{} {}{own}, against {} for buy and hold, at a maximum drawdown of {}.",
        objective.id,
        format::metric(objective, Some(reached)),
        shown(value("buy_and_hold_return")),
        shown(value("max_drawdown")),
    )
}

fn costs_and_concentration(top: &TopTrial<'_>) -> String {
    let trades = &top.outcome.trades;
    if trades.is_empty() {
        return "It did not trade, so there are no fees and there is no profit to take apart.".to_owned();
    }
    let profits: Vec<f64> = trades.iter().map(|trade| trade.pnl).collect();
    let fees: f64 =
        trades.iter().map(|trade| trade.entry.fee + trade.exit.map_or(0.0, |exit| exit.fee)).sum();
    let parts = concentration(&profits);
    let gross = parts.net + fees;
    let costs = if gross <= 0.0 {
        format!("It lost {} before fees, and fees took {} more", decimal(-gross, 2), decimal(fees, 2))
    } else if parts.net <= 0.0 {
        format!("Fees of {} ate all of its gross profit of {}", decimal(fees, 2), decimal(gross, 2))
    } else {
        format!(
            "Fees of {} ate {} of its gross profit of {}",
            decimal(fees, 2),
            percent(fees / gross),
            decimal(gross, 2)
        )
    };
    format!("{costs}; {}.", shares(&parts, trades.len()))
}

fn shares(parts: &Concentration, trades: usize) -> String {
    if parts.net <= 0.0 {
        let plural = if trades == 1 {
            "its one trade".to_owned()
        } else {
            format!("its {} trades", decimal(trades as f64, 0))
        };
        return format!("{plural} made no net profit ({})", decimal(parts.net, 2));
    }
    if trades <= 5 {
        return format!(
            "all its net profit of {} comes from {trades} trade{}",
            decimal(parts.net, 2),
            if trades == 1 { "" } else { "s" }
        );
    }
    let mut out = format!(
        "its best 5 of {} trades made {} of the net profit of {}, the best tenth ({} trade{}) {}",
        decimal(trades as f64, 0),
        percent(parts.best_five / parts.net),
        decimal(parts.net, 2),
        decimal(parts.tenth as f64, 0),
        if parts.tenth == 1 { "" } else { "s" },
        percent(parts.best_tenth / parts.net),
    );
    if parts.best_five > parts.net {
        out += &format!("; without those 5 it would have lost {}", decimal(parts.best_five - parts.net, 2));
    }
    out
}

/// Warnings the report finds itself, then those it was given.
pub(super) fn warnings(data: &ReportData<'_>) -> Vec<String> {
    let mut out = Vec::new();
    let cold = data.table.first_bar.iter().filter(|bar| bar.is_none()).count();
    if cold > 0 {
        out.push(format!(
            "{} of {} trials were never warm: the candles do not reach back far enough.",
            decimal(cold as f64, 0),
            decimal(data.table.len() as f64, 0)
        ));
    }
    let mut seen: Vec<&str> = Vec::new();
    for top in data.top {
        if !seen.contains(&top.symbol.as_str()) && top.candles.gaps() > 0 {
            seen.push(&top.symbol);
            out.push(format!(
                "{}: {} candles are missing; orders across a gap were filled at the next existing open.",
                top.symbol,
                decimal(top.candles.gaps() as f64, 0)
            ));
        }
    }
    let rejected: u64 = data.table.rejected_orders.iter().map(|&n| u64::from(n)).sum();
    if rejected > 0 {
        let best = data.ranked.first().map_or(0, |&row| data.table.rejected_orders[row]);
        out.push(format!("{} orders were rejected over all trials, {} of them in the best one (below the minimum notional, a stop on the wrong side, no money, or an unknown price).", decimal(rejected as f64, 0), decimal(f64::from(best), 0)));
    }
    let deficits = data.table.deficit.iter().filter(|&&deficit| deficit > 0.0).count();
    if deficits > 0 {
        out.push(format!(
            "{} trials were liquidated below zero; the deficit is in the table.",
            decimal(deficits as f64, 0)
        ));
    }
    let short = |top: &TopTrial<'_>| {
        top.outcome.trades.iter().any(|trade| trade.direction == blockgrid_engine::sim::Direction::Short)
    };
    if data.top.iter().any(short) {
        out.push("No funding or borrow was charged for shorts.".to_owned());
    }
    out.extend(data.warnings.iter().cloned());
    out
}
