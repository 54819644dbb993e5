//! What profile `vectorbt` cannot do: a key that contradicts it is an error, never silently ignored.

use blockgrid_engine::sim::{FillAt, Semantics};
use blockgrid_engine::strategy::{Distance, Order, Reentry, SameBar, Size, TrailBy, TrailUpdate};

use crate::decode::FieldError;
use crate::spec::JobSpec;

/// Every field that contradicts the profile of the job.
pub(crate) fn contradictions(spec: &JobSpec) -> Vec<FieldError> {
    if spec.execution.semantics != Semantics::Vectorbt {
        return Vec::new();
    }
    let mut errors = Vec::new();
    let mut refuse = |contradicts: bool, path: &str, why: &str| {
        if contradicts {
            errors.push(FieldError::new(path, format!("contradicts `semantics: vectorbt`: {why}")));
        }
    };
    let (execution, strategy, risk) = (&spec.execution, &spec.strategy, &spec.strategy.risk);
    let fees = &execution.fees;
    refuse(
        execution.fill == FillAt::NextOpen,
        "spec.execution.fill",
        "it fills at the signal bar's close (fill: close)",
    );
    refuse(
        fees.maker_bps != fees.taker_bps,
        "spec.execution.fees.makerBps",
        "it has one fee: write takerBps alone",
    );
    refuse(
        execution.slippage.range_share > 0.0,
        "spec.execution.slippage.rangeShare",
        "its slippage is a share of the price: write bps",
    );
    for (name, side) in [("long", &strategy.long), ("short", &strategy.short)] {
        let resting = side.as_ref().is_some_and(|side| side.order != Order::Market);
        refuse(resting, &format!("spec.strategy.{name}.order"), "it has market orders only");
    }
    for (name, distance) in [("stopLoss", &risk.stop_loss), ("takeProfit", &risk.take_profit)] {
        let other = matches!(distance, Some(Distance::Price(_) | Distance::Atr { .. }));
        refuse(
            other,
            &format!("spec.strategy.risk.{name}"),
            "its stops are fractions of the entry bar's close",
        );
    }
    if let Some(trail) = &risk.trail {
        let by_atr = matches!(trail.distance, TrailBy::Atr { .. });
        refuse(by_atr, "spec.strategy.risk.trail", "its trail is a percentage");
        refuse(
            trail.update == TrailUpdate::Intrabar,
            "spec.strategy.risk.trail.update",
            "its trail moves at the close",
        );
        refuse(
            risk.stop_loss.is_some(),
            "spec.strategy.risk.trail",
            "its stop either trails or stands: give one of stopLoss and trail",
        );
    }
    refuse(risk.break_even.is_some(), "spec.strategy.risk.breakEven", "it has none");
    refuse(risk.max_bars.is_some(), "spec.strategy.risk.maxBars", "it has none");
    refuse(risk.cooldown_bars.is_some(), "spec.strategy.risk.cooldownBars", "it has none");
    refuse(
        risk.same_bar != SameBar::StopFirst,
        "spec.strategy.risk.sameBar",
        "the stop comes first (stopFirst)",
    );
    refuse(
        risk.reentry != Reentry::NextBar,
        "spec.strategy.risk.reentry",
        "it enters again on the next bar (nextBar)",
    );
    refuse(strategy.size != Size::AllIn, "spec.strategy.size", "it is always all in (allIn)");
    refuse(strategy.session.is_some(), "spec.strategy.session", "it has none");
    for symbol in &spec.data.symbols {
        let rules = symbol.rules != blockgrid_engine::sim::SymbolRules::default();
        refuse(
            rules,
            &format!("spec.data.symbols.{}", symbol.name),
            "it has no lot, tick or minimum notional",
        );
    }
    errors
}
