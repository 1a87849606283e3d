//! Writing the figures that a part of the process keeps itself.

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Takes figures, each under its name.
pub(crate) struct Figures<'a> {
    encoder: DescriptorEncoder<'a>,
}

/// One figure of several with the same name: its labels, and what it is.
#[derive(Clone, Debug)]
pub(crate) struct Row<'l> {
    labels: Vec<(&'static str, &'l str)>,
    value: u64,
}

impl<'l> Row<'l> {
    /// The values of labels come from a set that does not grow.
    pub(crate) fn new(labels: impl Into<Vec<(&'static str, &'l str)>>, value: u64) -> Self {
        Self { labels: labels.into(), value }
    }
}

impl<'a> Figures<'a> {
    pub(super) const fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self { encoder }
    }

    /// A figure that only grows. Its name is written with `_total` behind it.
    pub(crate) fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let counter = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(counter)
    }

    /// A figure that comes and goes.
    pub(crate) fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let gauge = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(value).encode(gauge)
    }

    /// A duration or an instant.
    pub(crate) fn seconds(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let gauge = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(value).encode(gauge)
    }

    /// How long so many things took together.
    pub(crate) fn durations(
        &mut self,
        name: &str,
        help: &str,
        all: Duration,
        count: u64,
    ) -> fmt::Result {
        let kind = MetricType::Histogram;
        let mut durations = self.encoder.encode_descriptor(name, help, None, kind)?;
        durations.encode_histogram::<NoLabelSet>(
            all.as_secs_f64(),
            count,
            &[(f64::INFINITY, count)],
            None,
        )
    }

    /// Figures that only grow.
    pub(crate) fn counters<'l>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = Row<'l>>,
    ) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for Row { labels, value } in rows {
            ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// Figures that come and go.
    pub(crate) fn gauges<'l>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = Row<'l>>,
    ) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for Row { labels, value } in rows {
            ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::collector::Collector;
    use prometheus_client::encoding::text;
    use prometheus_client::registry::Registry;

    use super::*;

    #[derive(Debug)]
    struct Odd;

    impl Collector for Odd {
        fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
            let mut figures = Figures::new(encoder);
            figures.counters("a", "Some", [Row::new([("id", "x\"y\\z\nw")], 2)])?;
            figures.durations("b_seconds", "Some", Duration::from_millis(1_500), 3)
        }
    }

    /// what a label says cannot end it.
    #[test]
    fn labels_are_escaped() {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Odd));
        let mut out = String::new();
        text::encode(&mut out, &registry).unwrap();
        assert!(out.contains("a_total{id=\"x\\\"y\\\\z\\nw\"} 2\n"), "{out}");
        assert!(out.contains("b_seconds_sum 1.5\nb_seconds_count 3\n"), "{out}");
        assert!(out.contains("b_seconds_bucket{le=\"+Inf\"} 3\n"), "{out}");
    }
}
