//! A `tracing` layer that publishes an application's own events.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::hub::Hub;
use crate::{Level, Log, Map, Tag, Value};

/// Publishes every `tracing` event into a [`Hub`], needing no runtime.
///
/// The target becomes the source; the fields become metadata, and so do the fields of the spans
/// around the event, under `span.NAME`. Events of logmon's own crates are left out, so that a hub
/// which is served by logmon never feeds itself.
///
/// # Examples
///
/// ```
/// use logmon_core::hub::Hub;
/// use tracing_subscriber::layer::SubscriberExt as _;
///
/// let hub = Hub::in_memory();
/// let subscriber = tracing_subscriber::registry().with(logmon_core::Layer::new(hub.clone()));
/// tracing::subscriber::with_default(subscriber, || tracing::warn!(disk = "sda", "nearly full"));
/// ```
#[derive(Clone, Debug)]
pub struct Layer {
    hub: Hub,
    tag: Tag,
}

impl Layer {
    /// A layer that publishes into `hub` under the tag `app`.
    pub fn new(hub: Hub) -> Self {
        Self { hub, tag: Tag::from("app") }
    }

    /// Publishes under another tag.
    pub fn with_tag(mut self, tag: impl Into<Tag>) -> Self {
        self.tag = tag.into();
        self
    }
}

/// The fields of a span, kept until it closes.
struct SpanFields(Map);

/// Collects fields, the message apart.
#[derive(Default)]
struct Fields {
    message: Option<String>,
    others: Map,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value.to_owned());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.others.insert(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.others.insert(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.others.insert(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.others.insert(field.name(), value);
    }
}

impl Fields {
    fn take(&mut self, field: &Field, text: String) {
        if field.name() == "message" {
            self.message = Some(text);
        } else {
            self.others.insert(field.name(), text);
        }
    }
}

const fn level_of(level: tracing::Level) -> Level {
    match level {
        tracing::Level::ERROR => Level::Error,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::INFO => Level::Info,
        tracing::Level::DEBUG => Level::Debug,
        tracing::Level::TRACE => Level::Trace,
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Layer {
    fn on_new_span(
        &self,
        attributes: &tracing::span::Attributes<'_>,
        id: &tracing::span::Id,
        context: Context<'_, S>,
    ) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(SpanFields(fields.others));
        }
    }

    fn on_record(
        &self,
        id: &tracing::span::Id,
        values: &tracing::span::Record<'_>,
        context: Context<'_, S>,
    ) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        if let Some(span) = context.span(id)
            && let Some(SpanFields(known)) = span.extensions_mut().get_mut()
        {
            for (key, value) in fields.others.iter() {
                known.insert(key, value.clone());
            }
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let target = event.metadata().target();
        if target.split("::").next().is_some_and(|root| root.starts_with("logmon")) {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut log = Log::new(fields.message.unwrap_or_default())
            .tag(self.tag.clone())
            .level(level_of(*event.metadata().level()))
            .source(target);
        log.metadata = fields.others;
        let spans: Map = context
            .event_scope(event)
            .into_iter()
            .flatten()
            .filter_map(|span| {
                let extensions = span.extensions();
                let SpanFields(fields) = extensions.get()?;
                Some((span.name(), Value::Map(fields.clone())))
            })
            .collect();
        if !spans.is_empty() {
            log.metadata.insert("span", spans);
        }
        // An event whose fields nest too deep to be stored has no one to be told.
        drop(self.hub.publish(&log));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::Delivery;
    use tracing_subscriber::layer::SubscriberExt as _;

    #[test]
    fn publishes_events_with_their_spans_and_without_a_runtime() {
        let hub = Hub::in_memory();
        let mut subscription = hub.subscribe("level>=warn").unwrap();
        let subscriber = tracing_subscriber::registry().with(Layer::new(hub).with_tag("demo"));
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("request", id = 7, user = tracing::field::Empty);
            span.record("user", "ann");
            let _inside = span.enter();
            tracing::info!("not wanted");
            tracing::warn!(target: "app::disk", free = 3, "nearly full");
            tracing::error!(target: "logmon_store", "its own");
        });
        let mut logs = Vec::new();
        while let std::task::Poll::Ready(Some(delivery)) =
            tokio_test::task::spawn(subscription.next()).poll()
        {
            if let Delivery::Batch(batch) = delivery {
                logs.extend(batch.logs().map(|log| log.to_log()));
            }
        }
        let [log] = &logs[..] else { panic!("{logs:?}") };
        assert_eq!(
            (&*log.message, log.level, &*log.tag),
            ("nearly full", Some(Level::Warn), "demo")
        );
        assert_eq!(log.source.as_deref(), Some("app::disk"));
        let json = Value::Map(log.metadata.clone()).to_json();
        assert_eq!(json, r#"{"free":3,"span":{"request":{"id":7,"user":"ann"}}}"#);
    }
}
