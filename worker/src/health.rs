//! `/livez`, `/readyz`, `/metrics`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use blockgrid_grid::Queue;

use crate::service::Worker;

/// Answers until it is dropped; the address that it listens on.
///
/// # Errors
/// When the address is taken or not ours.
pub async fn serve<Q: Queue>(worker: Arc<Worker<Q>>, address: SocketAddr) -> std::io::Result<SocketAddr> {
    let (ready, metrics) = (Arc::clone(&worker), worker);
    let routes = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route(
            "/readyz",
            get(|| async move {
                match ready.is_ready().await {
                    Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
                    Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
                }
            }),
        )
        .route("/metrics", get(|| async move { metrics.metrics().await }));
    let listener = tokio::net::TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(address)
}
