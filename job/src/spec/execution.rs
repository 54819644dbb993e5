//! `spec.execution`: how orders are executed.

use blockgrid_engine::sim::{Execution, Fees, FillAt, Semantics, Slippage};

use crate::decode::{Field, Object};

/// Costs of a run that names none: those of a large exchange's lowest tier. Zero would flatter every strategy.
const DEFAULT_FEES: Fees = Fees { taker_bps: 10.0, maker_bps: 2.0, per_order: 0.0 };
const DEFAULT_SLIPPAGE: Slippage = Slippage { bps: 2.0, range_share: 0.0 };
const DEFAULT_CASH: f64 = 10_000.0;

/// The execution of a manifest; of none, the defaults.
pub(super) fn decode(field: Option<&Field<'_>>) -> Option<Execution> {
    let native = Execution {
        semantics: Semantics::Native,
        fill: FillAt::NextOpen,
        fees: DEFAULT_FEES,
        slippage: DEFAULT_SLIPPAGE,
        initial_cash: DEFAULT_CASH,
    };
    let Some(field) = field else { return Some(native) };
    let object = field.object()?;
    let semantics = object.get("semantics").map_or(Some(Semantics::Native), |f| {
        f.choice(&[("native", Semantics::Native), ("vectorbt", Semantics::Vectorbt)])
    });
    // vectorbt's documented defaults: no costs, cash of 100, fills at the signal's close.
    let defaults = match semantics {
        Some(Semantics::Vectorbt) => Execution {
            semantics: Semantics::Vectorbt,
            fill: FillAt::Close,
            fees: Fees::default(),
            slippage: Slippage::default(),
            initial_cash: 100.0,
        },
        _ => native,
    };
    let fill = object.get("fill").map_or(Some(defaults.fill), |f| {
        f.choice(&[("nextOpen", FillAt::NextOpen), ("close", FillAt::Close)])
    });
    let fees = object.get("fees").map_or(Some(defaults.fees), |f| fees(&f));
    let slippage = object.get("slippage").map_or(Some(defaults.slippage), |f| slippage(&f));
    let cash = object.get("initialCash").map_or(Some(defaults.initial_cash), |f| {
        f.number_where("an amount above 0 and at most 1e15", |n| n > 0.0 && n <= 1e15)
    });
    object.done();
    // What does not read has been reported: with the default in its place the rest can still be checked.
    Some(Execution {
        semantics: semantics?,
        fill: fill.unwrap_or(defaults.fill),
        fees: fees.unwrap_or(defaults.fees),
        slippage: slippage.unwrap_or(defaults.slippage),
        initial_cash: cash.unwrap_or(defaults.initial_cash),
    })
}

/// A cost in basis points; what is not written costs nothing.
fn cost(object: &Object<'_>, key: &'static str, what: &str, most: f64) -> f64 {
    let Some(field) = object.get(key) else { return 0.0 };
    field.number_where(what, |n| (0.0..most).contains(&n)).unwrap_or(0.0)
}

fn fees(field: &Field<'_>) -> Option<Fees> {
    let object = field.object()?;
    let bps = "basis points from 0 to below 10000 (10 is 0.1 %)";
    let taker_bps = cost(&object, "takerBps", bps, 10_000.0);
    let fees = Fees {
        taker_bps,
        // A venue that names one fee charges it for both; a field without a value names none.
        maker_bps: if object.get("makerBps").is_some() {
            cost(&object, "makerBps", bps, 10_000.0)
        } else {
            taker_bps
        },
        per_order: cost(&object, "perOrder", "an amount of quote currency of at least 0", 1e15),
    };
    object.done();
    Some(fees)
}

fn slippage(field: &Field<'_>) -> Option<Slippage> {
    let object = field.object()?;
    let bps = cost(&object, "bps", "basis points from 0 to below 10000", 10_000.0);
    let range_share = cost(&object, "rangeShare", "a share of the bar's range from 0 to 1", 1.000_000_1);
    object.done();
    Some(Slippage { bps, range_share })
}
