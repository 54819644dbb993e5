//! The operator under a real client, against an API server by script: each thing that it writes meets each answer that an
//! API server, or the network before it, may give. Nothing here needs Kubernetes; `tests/cluster` has the real one.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod call;
mod matrix;
#[path = "../support/merge.rs"]
mod merge;
mod others;
mod rig;
mod server;
#[path = "../../../grid/tests/support/mod.rs"]
mod support;
mod watches;
