//! The decisions: against a model of the world, whatever happens and in whatever order; and as sentences, one for each
//! phase and reason.

mod events;
mod laws;
mod model;
mod sentences;
