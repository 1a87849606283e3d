//! What outputs count, as others see it.

use logmon_core::RunnerFigures;
use logmon_forward::Sender;
use logmon_store::mongo::MongoSink;
use serde_json::{Map, Value, json};

use super::{OutputFigures, Writer};

impl OutputFigures {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn runner(&self) -> RunnerFigures {
        self.runner.figures()
    }

    /// The output to MongoDB, if it is one.
    pub(crate) fn mongodb(&self) -> Option<&MongoSink> {
        match &self.writer {
            Writer::MongoDb(sink) => Some(sink),
            Writer::Forward(_) => None,
        }
    }

    /// `head` is the number of the next event of the journal.
    pub(crate) fn json(&self, head: u64) -> Value {
        let runner = self.runner.figures();
        let mut figures = json!({
            "name": self.name,
            "routed": runner.routed,
            "delivered": runner.delivered,
            "lag": runner.lag,
            "quarantined": runner.quarantined,
            "dropped": {"expired": runner.expired, "damaged": runner.damaged},
            "retries": runner.retries,
            "cursor_seq": runner.position.map(|position| position.seq.to_string()),
            "behind": runner.position.map(|position| head.saturating_sub(position.seq)),
        });
        let own = match &self.writer {
            Writer::Forward(sender) => forward(sender),
            Writer::MongoDb(sink) => mongodb(sink),
        };
        if let Value::Object(all) = &mut figures {
            all.extend(own);
        }
        figures
    }
}

fn forward(sender: &Sender) -> Map<String, Value> {
    let sender = sender.stats();
    let failures: Map<String, Value> = sender
        .failures
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| (format!("{kind:?}").to_lowercase(), (*count).into()))
        .collect();
    Map::from_iter([
        ("kind".to_owned(), json!("forward")),
        ("chunks".to_owned(), json!(sender.chunks)),
        ("bytes".to_owned(), json!(sender.bytes)),
        ("resent".to_owned(), json!(sender.resent)),
        ("passed_through".to_owned(), json!(sender.passed_through)),
        ("connects".to_owned(), json!(sender.connects)),
        ("failures".to_owned(), Value::Object(failures)),
    ])
}

fn mongodb(sink: &MongoSink) -> Map<String, Value> {
    let figures = sink.figures();
    Map::from_iter([
        ("kind".to_owned(), json!("mongodb")),
        ("inserted".to_owned(), json!(figures.inserted)),
        ("duplicates".to_owned(), json!(figures.duplicates)),
        ("collisions".to_owned(), json!(figures.collisions)),
        ("commands".to_owned(), json!(figures.commands)),
        ("bytes".to_owned(), json!(figures.bytes)),
        (
            "failures".to_owned(),
            json!({
                "transient": figures.transient,
                "configuration": figures.configuration,
                "permanent": figures.permanent,
            }),
        ),
        (
            "pool".to_owned(),
            json!({
                "connections": figures.connections,
                "in_use": figures.in_use,
                "waiting": figures.waiting,
                "cleared": figures.cleared,
            }),
        ),
        ("trouble".to_owned(), json!(figures.trouble)),
        (
            "differences".to_owned(),
            json!(sink.differences().iter().map(ToString::to_string).collect::<Vec<_>>()),
        ),
    ])
}
