//! What a client says.

use serde::Deserialize;
use serde_json::Value;

use crate::http::params::Wanted;
use crate::http::problem::{Code, Problem};

/// One message of a client.
#[derive(Debug)]
pub(super) enum Request {
    Subscribe {
        sub: String,
        wish: Box<Wish>,
    },
    Unsubscribe {
        sub: String,
    },
    Command {
        sub: String,
        command: Command,
    },
    /// Everything up to this number has arrived.
    Ack {
        sub: String,
        seq: u64,
    },
    Ping {
        n: Value,
    },
}

/// What a subscription is told.
#[derive(Debug)]
pub(super) enum Command {
    /// Another filter at the same position.
    Update(Wanted),
    Pause,
    /// Go on here, or at the head.
    Resume {
        at_head: bool,
    },
}

/// What a new subscription is to be.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) wanted: Wanted,
    pub(super) from: From,
    pub(super) last: usize,
    pub(super) mode: Option<String>,
    pub(super) batch_ms: u64,
}

/// Where a subscription begins.
#[derive(Debug)]
pub(super) enum From {
    Cursor(String),
    /// `now`, `head`, `oldest` or a time.
    Word(String),
}

/// A message as it is written. Numbers of events are text, as JavaScript loses large integers.
#[derive(Debug, Deserialize)]
struct Raw {
    t: String,
    #[serde(default)]
    sub: String,
    #[serde(default)]
    q: String,
    #[serde(default)]
    search: String,
    #[serde(default)]
    level: OneOrMany,
    #[serde(default)]
    source: OneOrMany,
    from: Option<Value>,
    last: Option<usize>,
    mode: Option<String>,
    batch_ms: Option<u64>,
    seq: Option<Value>,
    #[serde(default)]
    n: Value,
    keep: Option<Value>,
    max_rate: Option<Value>,
    fields: Option<Value>,
    histogram: Option<Value>,
}

impl Raw {
    /// Refuses what the protocol has and this server does not do yet, as doing without it in
    /// silence would be a wrong answer.
    fn check_possible(&self) -> Result<(), Problem> {
        let wishes = [
            ("keep", &self.keep),
            ("max_rate", &self.max_rate),
            ("fields", &self.fields),
            ("histogram", &self.histogram),
        ];
        let is_nothing = |wish: &Value| wish.is_null() || *wish == 0;
        match wishes.iter().find(|(_, wish)| wish.as_ref().is_some_and(|wish| !is_nothing(wish))) {
            Some((name, _)) => Err(Problem::parameter(name, "this server cannot do that yet")),
            None => Ok(()),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    #[default]
    None,
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

/// The subscription a faulty message was about, and the fault.
type Fault = Box<(Option<String>, Problem)>;

impl Request {
    /// Reads a message.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let raw: Raw = serde_json::from_str(text).map_err(|error| {
            let detail = format!("the message cannot be read: {error}");
            Box::new((None, Problem::new(Code::Unreadable, detail)))
        })?;
        let sub = raw.sub.clone();
        if raw.t != "ping" && !(1..=64).contains(&sub.len()) {
            let problem = Problem::parameter("sub", "a name of 1 to 64 bytes is needed");
            return Err(Box::new((None, problem)));
        }
        Self::of(raw)
            .map_err(|problem| Box::new((Some(sub).filter(|sub| !sub.is_empty()), problem)))
    }

    fn of(raw: Raw) -> Result<Self, Problem> {
        let sub = raw.sub.clone();
        let command = match raw.t.as_str() {
            "ping" => return Ok(Self::Ping { n: raw.n }),
            "unsubscribe" => return Ok(Self::Unsubscribe { sub }),
            "subscribe" => {
                raw.check_possible()?;
                let wish = Box::new(Wish {
                    from: from(raw.from.as_ref())?,
                    last: raw.last.unwrap_or(0),
                    mode: raw.mode.clone(),
                    batch_ms: raw.batch_ms.unwrap_or(50),
                    wanted: wanted(raw),
                });
                return Ok(Self::Subscribe { sub, wish });
            }
            "update" => Command::Update(wanted(raw)),
            "pause" => Command::Pause,
            "resume" => match raw.from.as_ref().and_then(Value::as_str) {
                None | Some("here") => Command::Resume { at_head: false },
                Some("head") => Command::Resume { at_head: true },
                Some(other) => {
                    let detail = format!("`{other}` is not possible; expected here or head");
                    return Err(Problem::parameter("from", detail));
                }
            },
            "ack" => return Ok(Self::Ack { sub, seq: seq(raw.seq.as_ref())? }),
            other => {
                let detail =
                    format!("there is no message `{}`", other.chars().take(64).collect::<String>());
                return Err(Problem::parameter("t", detail));
            }
        };
        Ok(Self::Command { sub, command })
    }
}

fn wanted(raw: Raw) -> Wanted {
    Wanted {
        q: raw.q,
        levels: raw.level.into_vec(),
        sources: raw.source.into_vec(),
        search: raw.search,
    }
}

/// `"head"`, `{"cursor": "c1.…"}` or `{"at": "head"}`.
fn from(value: Option<&Value>) -> Result<From, Problem> {
    let word = |text: &str| Ok(From::Word(text.to_owned()));
    match value {
        None | Some(Value::Null) => word("head"),
        Some(Value::String(text)) => word(text),
        Some(Value::Object(map)) => match (map.get("cursor"), map.get("at")) {
            (Some(Value::String(cursor)), _) => Ok(From::Cursor(cursor.clone())),
            (None, Some(Value::String(at))) => word(at),
            _ => Err(Problem::parameter("from", "expected {\"cursor\": …} or {\"at\": …}")),
        },
        Some(_) => Err(Problem::parameter("from", "expected a text or {\"cursor\": …}")),
    }
}

fn seq(value: Option<&Value>) -> Result<u64, Problem> {
    let number = match value {
        Some(Value::String(text)) => text.parse().ok(),
        Some(Value::Number(number)) => number.as_u64(),
        _ => None,
    };
    number.ok_or_else(|| Problem::parameter("seq", "expected the number of an event as text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_messages_of_the_protocol() {
        let parse = |text: &str| Request::parse(text).unwrap();
        assert!(matches!(
            parse(r#"{"t":"subscribe","sub":"a","q":"x","level":["ALL"],"source":"web","from":{"cursor":"c1.x"},"last":5}"#),
            Request::Subscribe { sub, wish } if sub == "a" && wish.last == 5
                && wish.wanted.sources == ["web"]
                && matches!(&wish.from, From::Cursor(text) if text == "c1.x")
        ));
        assert!(matches!(
            parse(r#"{"t":"ack","sub":"a","seq":"1000250"}"#),
            Request::Ack { seq: 1_000_250, .. }
        ));
        assert!(matches!(
            parse(r#"{"t":"resume","sub":"a","from":"head"}"#),
            Request::Command { command: Command::Resume { at_head: true }, .. }
        ));
        assert!(matches!(parse(r#"{"t":"ping","n":7}"#), Request::Ping { n } if n == 7));
    }

    #[test]
    fn tells_whose_message_is_wrong() {
        for (text, sub) in [
            ("not json", None),
            (r#"{"t":"subscribe"}"#, None),
            (r#"{"t":"sing","sub":"a"}"#, Some("a")),
            (r#"{"t":"ack","sub":"a","seq":-1}"#, Some("a")),
            (r#"{"t":"subscribe","sub":"a","from":5}"#, Some("a")),
            (r#"{"t":"subscribe","sub":"a","keep":"level>=error"}"#, Some("a")),
        ] {
            assert_eq!(Request::parse(text).unwrap_err().0.as_deref(), sub, "{text}");
        }
    }
}
