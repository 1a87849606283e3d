//! The HTTP side: REST, server-sent events, WebSocket and the page.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use logmon_core::{FieldMap, Hub, Journal, Store};
use tokio::sync::watch;

mod asked;
mod batcher;
mod connection;
mod context;
mod cursor;
mod fields;
mod guard;
mod health;
mod ingest;
mod intake;
mod logs;
mod metrics;
mod params;
mod problem;
mod query;
mod server;
mod socketio;
mod sse;
mod start;
mod stats;
mod ui;
mod ws;

pub(crate) use guard::Guard;
pub(crate) use health::Health;
pub(crate) use intake::Intake;
pub(crate) use metrics::{Figures, Row};
pub(crate) use server::Server;

use cursor::Signer;
use metrics::Metrics;

/// How long a body may rest without a byte.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest body that holds parameters.
const MAX_PARAMETER_BYTES: usize = 1 << 20;

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").finish_non_exhaustive()
    }
}

struct Shared {
    parts: Parts,
    metrics: Metrics,
}

impl std::ops::Deref for Shared {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

/// The parts of an [`App`].
pub(crate) struct Parts {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) hub: Hub,
    /// `None` where only live works.
    pub(crate) store: Option<Arc<dyn Store>>,
    /// What has the events of the journal alone, under their numbers: where a stream can begin.
    pub(crate) in_journal: Option<Arc<dyn Store>>,
    pub(crate) fields: Arc<FieldMap>,
    pub(crate) intake: Arc<Intake>,
    pub(crate) health: Arc<dyn Health>,
    pub(crate) guard: Guard,
    pub(crate) cursor_key: [u8; 32],
    pub(crate) max_body_bytes: usize,
    /// Turns true when the server is to end.
    pub(crate) shutdown: watch::Receiver<bool>,
}

impl App {
    pub(crate) fn new(parts: Parts) -> Self {
        let metrics = Metrics::new(parts.health.clone(), parts.hub.clone());
        Self(Arc::new(Shared { parts, metrics }))
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
        let logs = get(logs::search).head(logs::count).post(ingest::ingest).layer((
            tower_http::decompression::RequestDecompressionLayer::new(),
            body,
            tower_http::timeout::RequestBodyTimeoutLayer::new(BODY_TIMEOUT),
        ));
        let queries = Router::new()
            .route("/api/logs/query", post(logs::search))
            .route("/api/stats/count", get(stats::count).post(stats::count))
            .route("/api/stats/facets", get(stats::facets).post(stats::facets))
            .route("/api/stats/histogram", get(stats::histogram).post(stats::histogram))
            .route("/api/stats/top", get(stats::top).post(stats::top))
            .layer((
                DefaultBodyLimit::max(MAX_PARAMETER_BYTES),
                tower_http::timeout::RequestBodyTimeoutLayer::new(BODY_TIMEOUT),
            ));
        Router::new()
            .merge(queries)
            .route("/metrics", get(metrics::metrics))
            .route("/health", get(health::health))
            .route("/ready", get(health::ready))
            .route("/api/logs", logs)
            .route("/api/logs/stream", get(sse::stream))
            .route("/api/logs/{id}", get(logs::one))
            .route("/api/logs/{id}/context", get(context::context))
            .route("/api/ledger", get(health::ledger))
            .route("/api/fields", get(fields::fields))
            .route("/api/fields/{name}/values", get(fields::values))
            .route("/ws", get(ws::upgrade))
            .route("/problems/{name}", get(ui::problem_page))
            .fallback(ui::asset)
            .method_not_allowed_fallback(ui::method_not_allowed)
            .layer(socketio::layer(&self))
            .layer(self.0.guard.cors())
            .layer(axum::middleware::from_fn_with_state(self.clone(), guard::outermost))
            .with_state(self)
    }
}

#[cfg(test)]
mod tests;
