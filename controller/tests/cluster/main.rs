//! The operator's program against a real API server, a real Redis and a real S3 server, all of which are killed, stopped
//! and lied to. There is no kubelet: where pods are needed, the tests say what a kubelet would, and start the workers that
//! the pods' templates ask for. A case runs once; `make chaos` repeats all of them with seeds of their own and more rounds.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod faults;
mod jobs;
mod kubelet;
mod leaders;
mod money;
mod planners;
mod pools;
mod refusals;
mod rig;
#[path = "../../../grid/tests/support/mod.rs"]
mod support;
mod terms;
