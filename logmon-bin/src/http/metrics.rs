//! `GET /metrics`: figures for Prometheus.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use logmon_core::Hub;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::problem::{Code, Problem};
use super::{App, Health};

mod figures;

pub(crate) use figures::{Figures, Row};

/// All figures of the process.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    queries: Queries,
}

impl Metrics {
    pub(super) fn new(health: Arc<dyn Health>, hub: Hub) -> Self {
        let mut registry = Registry::default();
        let queries = Queries::register(&mut registry);
        let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        registry.register_collector(Box::new(Process { health, hub, began }));
        Self { registry, queries }
    }

    pub(super) const fn queries(&self) -> &Queries {
        &self.queries
    }
}

/// `GET /metrics`: in the form of OpenMetrics where that is asked for, else as Prometheus reads it.
pub(super) async fn metrics(
    State(app): State<App>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut out = String::with_capacity(16 << 10);
    text::encode(&mut out, &app.0.metrics.registry)
        .map_err(|error| Problem::new(Code::Overloaded, error.to_string()))?;
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let wants_open = accept.is_some_and(|accept| accept.contains("application/openmetrics-text"));
    let (media, body) = if wants_open {
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", out)
    } else {
        ("text/plain; version=0.0.4; charset=utf-8", classic(&out))
    };
    let headers = [(header::CONTENT_TYPE, media), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, body).into_response())
}

/// The older form: it names counters with their ending in the lines about them, too.
fn classic(open: &str) -> String {
    let mut out = String::with_capacity(open.len() + 1024);
    let mut help = "";
    for line in open.lines() {
        if line.starts_with("# HELP ") {
            help = line;
            continue;
        }
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap_or((kind, "untyped"));
            let ending = if kind == "counter" { "_total" } else { "" };
            let help = help.strip_prefix("# HELP ").and_then(|help| help.split_once(' '));
            let help = help.map_or("", |(_, help)| help);
            let name = format!("{name}{ending}");
            out.extend(["# HELP ", &name, " ", help, "\n# TYPE ", &name, " ", kind, "\n"]);
        } else if line != "# EOF" {
            out += line;
            out.push('\n');
        }
    }
    out
}

/// How a request to the store ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Ok,
    /// Some events are missing in the answer, which says so.
    Partial,
    /// Too many queries ran.
    Busy,
    Failed,
    /// Nobody waited for the answer any more.
    Cancelled,
}

impl Outcome {
    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Partial => "partial",
            Self::Busy => "busy",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A name and a value.
type Label = (&'static str, &'static str);

/// The upper ends of the ranges of durations, in seconds.
const DURATIONS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// What requests to the store took.
#[derive(Debug)]
pub(super) struct Queries {
    requests: Family<[Label; 2], Counter>,
    durations: Family<[Label; 1], Histogram>,
    scanned_bytes: Counter,
    inflight: Gauge,
}

impl Queries {
    fn register(registry: &mut Registry) -> Self {
        let new = || Histogram::new(DURATIONS);
        let queries = Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(new as fn() -> Histogram),
            scanned_bytes: Counter::default(),
            inflight: Gauge::default(),
        };
        registry.register(
            "logmon_query_requests",
            "Requests to the store, by how they ended",
            queries.requests.clone(),
        );
        registry.register(
            "logmon_query_duration_seconds",
            "How long requests to the store took",
            queries.durations.clone(),
        );
        registry.register(
            "logmon_query_scanned_bytes",
            "Bytes that queries have read",
            queries.scanned_bytes.clone(),
        );
        registry.register(
            "logmon_query_inflight",
            "Requests to the store under way",
            queries.inflight.clone(),
        );
        queries
    }

    pub(super) fn begin(&self) {
        self.inflight.inc();
    }

    pub(super) fn end(&self, endpoint: &'static str, outcome: Outcome, took: Duration) {
        let endpoint = ("endpoint", endpoint);
        self.inflight.dec();
        self.requests.get_or_create(&[endpoint, ("outcome", outcome.name())]).inc();
        self.durations.get_or_create(&[endpoint]).observe(took.as_secs_f64());
    }

    pub(super) fn scanned(&self, bytes: u64) {
        self.scanned_bytes.inc_by(bytes);
    }
}

/// What the parts of the process say of themselves when they are asked.
struct Process {
    health: Arc<dyn Health>,
    hub: Hub,
    began: Duration,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("began", &self.began).finish_non_exhaustive()
    }
}

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut figures = Figures::new(encoder);
        figures.gauges(
            "logmon_build_info",
            "The version that runs",
            [Row::new([("version", env!("CARGO_PKG_VERSION"))], 1)],
        )?;
        figures.seconds(
            "logmon_start_time_seconds",
            "When the process began, in Unix time",
            self.began.as_secs_f64(),
        )?;
        let filters = u64::try_from(self.hub.filters()).unwrap_or(u64::MAX);
        figures.gauge("logmon_live_filters", "Distinct filters of live streams", filters)?;
        let help =
            "Atoms of live filters tested on single events, as no index finds those that pass";
        figures.counter("logmon_live_filter_tests", help, self.hub.tests())?;
        let is_taking = u64::from(self.health.faults().is_empty());
        figures.gauge("logmon_ready", "Whether events are taken", is_taking)?;
        self.health.measure(&mut figures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_form_names_counters_whole() {
        let open = "# HELP a_b Some text.\n# TYPE a_b counter\na_b_total{x=\"y\"} 1\n\
                    # HELP c Text.\n# TYPE c gauge\nc 2\n# EOF\n";
        assert_eq!(
            classic(open),
            "# HELP a_b_total Some text.\n# TYPE a_b_total counter\na_b_total{x=\"y\"} 1\n\
             # HELP c Text.\n# TYPE c gauge\nc 2\n"
        );
    }
}
