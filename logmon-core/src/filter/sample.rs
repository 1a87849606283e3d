//! An event for tests, written as JSON.

use std::borrow::Cow;

use serde_json::Value;

use crate::{Event, Level, Scalar, Timestamp};

#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    pub(super) timestamp: Timestamp,
    pub(super) received: Timestamp,
    pub(super) tag: String,
    pub(super) level: Option<Level>,
    pub(super) message: String,
    pub(super) source: Option<String>,
    pub(super) metadata: Value,
}

impl Sample {
    pub(super) fn from_json(text: &str) -> Self {
        let json: Value = serde_json::from_str(text).unwrap();
        let string = |key: &str| json.get(key).map(|value| value.as_str().unwrap().to_owned());
        let time = |key| string(key).map_or(Timestamp::EPOCH, |text| text.parse().unwrap());
        Self {
            timestamp: time("timestamp"),
            received: time("received"),
            tag: string("tag").unwrap_or_default(),
            level: string("level").map(|word| word.parse().unwrap()),
            message: string("message").unwrap_or_default(),
            source: string("source"),
            metadata: json.get("metadata").cloned().unwrap_or_default(),
        }
    }

    /// Every value at `path`, arrays opened.
    pub(super) fn values(&self, path: &str) -> Vec<&Value> {
        let mut found = Vec::new();
        collect(&self.metadata, Some(path), &mut found);
        found
    }
}

fn collect<'a>(value: &'a Value, path: Option<&str>, found: &mut Vec<&'a Value>) {
    match (value, path) {
        (Value::Array(elements), _) => {
            for element in elements {
                collect(element, path, found);
            }
        }
        (_, None) => found.push(value),
        (Value::Object(map), Some(path)) => {
            for (key, value) in map {
                if key == path {
                    collect(value, None, found);
                } else if let Some(rest) =
                    path.strip_prefix(&**key).and_then(|rest| rest.strip_prefix('.'))
                {
                    collect(value, Some(rest), found);
                }
            }
        }
        _ => {}
    }
}

impl Event for Sample {
    fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    fn received(&self) -> Timestamp {
        self.received
    }

    fn tag(&self) -> &str {
        &self.tag
    }

    fn level(&self) -> Option<Level> {
        self.level
    }

    fn message(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.message)
    }

    fn source(&self) -> Option<Cow<'_, str>> {
        self.source.as_deref().map(Cow::Borrowed)
    }

    fn visit_metadata(&self, path: &str, visit: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool {
        self.values(path).into_iter().any(|value| visit(scalar(value)))
    }
}

fn scalar(value: &Value) -> Scalar<'_> {
    match value {
        Value::Null | Value::Array(_) => Scalar::Nil,
        Value::Bool(bool) => Scalar::Bool(*bool),
        Value::Number(number) => match number.as_i128() {
            Some(int) => Scalar::Int(int),
            None => Scalar::Float(number.as_f64().unwrap()),
        },
        Value::String(text) => Scalar::Str(text),
        Value::Object(_) => Scalar::Map,
    }
}
