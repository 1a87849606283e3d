//! Liveness and readiness.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Value, json};

use super::{App, Figures};

/// What the rest of the program says of itself.
pub(crate) trait Health: Send + Sync + 'static {
    /// Why events are not taken at present; empty if they are.
    fn faults(&self) -> Vec<String>;
    /// What else is wrong, though events are taken.
    fn troubles(&self) -> Vec<String>;
    /// Figures for `/health`.
    fn figures(&self) -> Value;
    /// What became of every event.
    fn ledger(&self) -> Value;
    /// Figures for `/metrics`.
    fn measure(&self, figures: &mut Figures<'_>) -> std::fmt::Result;
}

/// `GET /health`: the process lives.
pub(super) async fn health(State(app): State<App>) -> Response {
    let mut faults = app.0.health.faults();
    faults.extend(app.0.health.troubles());
    let status = if faults.is_empty() { "ok" } else { "degraded" };
    Json(json!({
        "status": status,
        "version": env!("CARGO_PKG_VERSION"),
        "head_seq": app.0.hub.head().seq.to_string(),
        "filters": app.0.hub.filters(),
        "faults": faults,
        "figures": app.0.health.figures(),
    }))
    .into_response()
}

/// `GET /ready`: events are taken.
pub(super) async fn ready(State(app): State<App>) -> Response {
    let mut faults = app.0.health.faults();
    if *app.0.shutdown.borrow() {
        faults.push("shutting down".to_owned());
    }
    let code = if faults.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(json!({"ready": faults.is_empty(), "reasons": faults}))).into_response()
}

/// `GET /api/ledger`: the books.
pub(super) async fn ledger(State(app): State<App>) -> Response {
    super::logs::json_response(app.0.health.ledger().to_string().into_bytes())
}
