//! `/livez`, `/readyz`, `/metrics`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;

use crate::meters::Meters;

/// Whether the operator has begun: its connections work, and it leads or stands by.
#[derive(Debug, Default)]
pub struct Health {
    ready: AtomicBool,
}

impl Health {
    /// It has begun.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }
}

/// Answers until it is dropped; the address that it listens on.
///
/// # Errors
/// When the address is taken or not ours.
pub async fn serve(
    health: Arc<Health>,
    meters: Arc<Meters>,
    address: SocketAddr,
) -> std::io::Result<SocketAddr> {
    let ready = move || {
        let is = health.ready.load(Ordering::Relaxed);
        async move { if is { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not begun\n") } }
    };
    let routes = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(move || async move { meters.text() }));
    let listener = tokio::net::TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(address)
}
