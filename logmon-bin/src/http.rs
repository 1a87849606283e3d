//! The HTTP side: REST, server-sent events, WebSocket and the page.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use logmon_core::{FieldMap, Hub, Journal, Store};
use tokio::sync::watch;

mod batcher;
mod connection;
mod cursor;
mod guard;
mod health;
mod ingest;
mod logs;
mod params;
mod problem;
mod server;
mod sse;
mod start;
mod ui;
mod ws;

pub(crate) use guard::Guard;
pub(crate) use health::Health;
pub(crate) use server::Server;

use cursor::Signer;

/// How long a body may rest without a byte.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct App(Arc<Parts>);

/// The parts of an [`App`].
pub(crate) struct Parts {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) hub: Hub,
    /// `None` where only live works.
    pub(crate) store: Option<Arc<dyn Store>>,
    pub(crate) fields: Arc<FieldMap>,
    pub(crate) health: Arc<dyn Health>,
    pub(crate) guard: Guard,
    pub(crate) cursor_key: [u8; 32],
    pub(crate) max_body_bytes: usize,
    /// Turns true when the server is to end.
    pub(crate) shutdown: watch::Receiver<bool>,
}

impl App {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    fn signer(&self) -> Signer {
        Signer::new(self.0.cursor_key)
    }

    /// Resolves when the server is to end.
    async fn ending(&self) {
        let mut shutdown = self.0.shutdown.clone();
        // An error means that whoever could end the server is gone.
        drop(shutdown.wait_for(|ending| *ending).await);
    }

    /// All routes.
    pub(crate) fn router(self) -> Router {
        let body = DefaultBodyLimit::max(self.0.max_body_bytes);
        let logs = get(logs::search).post(ingest::ingest).layer((
            tower_http::decompression::RequestDecompressionLayer::new(),
            body,
            tower_http::timeout::RequestBodyTimeoutLayer::new(BODY_TIMEOUT),
        ));
        Router::new()
            .route("/health", get(health::health))
            .route("/ready", get(health::ready))
            .route("/api/logs", logs)
            .route("/api/logs/stream", get(sse::stream))
            .route("/api/logs/{id}", get(logs::one))
            .route("/ws", get(ws::upgrade))
            .route("/problems/{name}", get(ui::problem_page))
            .fallback(ui::asset)
            .method_not_allowed_fallback(ui::method_not_allowed)
            .layer(self.0.guard.cors())
            .layer(axum::middleware::from_fn_with_state(self.clone(), guard::outermost))
            .with_state(self)
    }
}

#[cfg(test)]
mod tests;
