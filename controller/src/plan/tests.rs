//! The decisions: against a model of the world, whatever happens and in whatever order; and as sentences, one for each
//! phase and reason.

mod asked;
mod events;
mod happens;
mod laws;
mod limits;
mod model;
mod money;
mod sentences;
mod upgrades;
mod workers;

use crate::world::Held;

/// What budgets say.
fn held(reason: &str, numbers: String, drain: bool) -> Held {
    Held { reason: reason.to_owned(), numbers, until: String::new(), asked_micro_usd: 0, drain }
}
