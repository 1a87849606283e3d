//! A reader of `/ws` that goes on over lost connections and proves that nothing is missing.
//!
//! The server says of every message which numbers it is about, and ranges join without a gap: rule
//! 1 of the protocol. [`Follower`] checks that across connections, and tells of any breach.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tungstenite::{Message as Frame, WebSocket};

/// Longer silence than two heartbeats means that the connection is dead.
const SILENCE: Duration = Duration::from_secs(25);
const CONNECT: Duration = Duration::from_secs(5);

/// What is to be read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    pub(crate) query: String,
    pub(crate) level: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) begin: Begin,
    /// Whether a reader that is too slow is moved on, and told so.
    pub(crate) may_skip: bool,
}

/// Where the reading begins.
#[derive(Clone, Debug, Default)]
pub(crate) enum Begin {
    /// With what comes next.
    #[default]
    Head,
    /// With so many of the newest events.
    Last(usize),
    /// A time, `oldest`, or a cursor.
    At(String),
}

/// What the server says.
#[derive(Debug)]
pub(crate) enum Message {
    /// What follows is what this query, in canonical form, accepts.
    Subscribed { query: String },
    /// All that is accepted from the first number to the last.
    Batch { from: u64, to: u64, logs: Vec<Box<RawValue>> },
    /// Nothing is accepted from the first number to the last.
    Progress { from: u64, to: u64 },
    /// What is not shown from the first number to the last.
    Dropped(Dropped),
    /// There is nothing more at the moment.
    CaughtUp,
    /// Anything else that the protocol has.
    Other { kind: String },
}

/// Events that are not shown.
#[derive(Debug)]
pub(crate) struct Dropped {
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// How many there are by level; `None` if nobody can tell.
    pub(crate) by_level: Option<BTreeMap<String, u64>>,
    pub(crate) reason: String,
}

/// Why there is no next message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// The connection is lost, or there is none; asking again makes a new one.
    #[error("{0}")]
    Lost(String),
    /// The server understood and said no, as it would again.
    #[error("{}", told(.0))]
    Refused(Value),
    /// The server broke rule 1. Asking again begins anew behind the last message that was right.
    #[error(transparent)]
    Breach(#[from] Breach),
}

/// A hole in the numbers, or a repeat.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server went on with number {found} in place of {expected}: this is a bug of logmon")]
pub(crate) struct Breach {
    expected: u64,
    found: u64,
}

/// Checks that ranges join.
#[derive(Debug, Default)]
struct Continuity {
    next: Option<u64>,
}

impl Continuity {
    fn check(&mut self, from: u64, to: u64) -> Result<(), Breach> {
        match self.next {
            Some(expected) if expected != from => return Err(Breach { expected, found: from }),
            _ => self.next = Some(to + 1),
        }
        Ok(())
    }

    /// The server has another past than the one that was read; it says where that goes on.
    fn jump(&mut self, to: u64) {
        self.next = Some(to + 1);
    }
}

/// One reading.
#[derive(Debug)]
pub(crate) struct Follower {
    url: String,
    wish: Wish,
    cursor: Option<String>,
    continuity: Continuity,
    socket: Option<WebSocket<TcpStream>>,
    /// The last number that has arrived and is not yet acknowledged.
    unacked: Option<u64>,
}

/// A message as it is written.
#[derive(Debug, Deserialize)]
struct Raw {
    t: String,
    #[serde(default)]
    query: String,
    #[serde(default, deserialize_with = "number")]
    from_seq: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    to_seq: Option<u64>,
    cursor: Option<String>,
    #[serde(default)]
    logs: Vec<Box<RawValue>>,
    by_level: Option<BTreeMap<String, u64>>,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    problem: Value,
}

/// Numbers are text on the wire.
fn number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

impl Follower {
    /// A reading of the server at an `http` URL. It connects when it is asked for a message.
    pub(crate) fn new(url: &str, wish: Wish) -> Self {
        Self {
            url: url.trim_end_matches('/').to_owned(),
            wish,
            cursor: None,
            continuity: Continuity::default(),
            socket: None,
            unacked: None,
        }
    }

    /// Asks another server from now on, which goes on where the first one was.
    pub(crate) fn set_url(&mut self, url: &str) {
        url.trim_end_matches('/').clone_into(&mut self.url);
    }

    /// Whether anything was ever read.
    pub(crate) const fn has_begun(&self) -> bool {
        self.cursor.is_some()
    }

    /// The next message. What was returned before counts as arrived.
    ///
    /// # Errors
    /// See [`Trouble`]. A breach leaves the cursor where all was right.
    pub(crate) fn next(&mut self) -> Result<Message, Trouble> {
        let read = self.read();
        if matches!(read, Err(Trouble::Lost(_) | Trouble::Breach(_))) {
            self.disconnect();
        }
        read
    }

    /// Ends the connection; the next message comes over a new one.
    pub(crate) fn disconnect(&mut self) {
        self.socket = None;
        self.unacked = None;
    }

    /// Sends a command such as `{"t": "pause"}`.
    ///
    /// # Errors
    /// The connection is lost.
    pub(crate) fn command(&mut self, mut command: Value) -> Result<(), Trouble> {
        if let Some(query) = command.get("q").and_then(Value::as_str) {
            // Also for the next connection.
            query.clone_into(&mut self.wish.query);
        }
        command["sub"] = json!(SUB);
        self.send(&command)
    }

    fn read(&mut self) -> Result<Message, Trouble> {
        if self.socket.is_none() {
            self.socket = Some(connect(&self.url)?);
            self.send(&self.subscribe())?;
        }
        if let Some(seq) = self.unacked.take() {
            self.send(&json!({"t": "ack", "sub": SUB, "seq": seq.to_string()}))?;
        }
        loop {
            let Some(socket) = &mut self.socket else { return Err(lost("there is none")) };
            match socket.read().map_err(lost)? {
                Frame::Text(text) => {
                    let raw = serde_json::from_str(&text).map_err(lost)?;
                    if let Some(message) = self.take(raw)? {
                        return Ok(message);
                    }
                }
                Frame::Close(_) => return Err(lost("the server closed it")),
                // The library answers pings.
                _ => {}
            }
        }
    }

    fn take(&mut self, raw: Raw) -> Result<Option<Message>, Trouble> {
        let ends = || Some((raw.from_seq?, raw.to_seq?));
        let range = || ends().ok_or_else(|| lost(format!("a {} without numbers", raw.t)));
        let message = match raw.t.as_str() {
            "subscribed" => Message::Subscribed { query: raw.query },
            "batch" => {
                let (from, to) = range()?;
                self.continuity.check(from, to)?;
                self.unacked = Some(to);
                Message::Batch { from, to, logs: raw.logs }
            }
            "progress" => {
                let (from, to) = range()?;
                self.continuity.check(from, to)?;
                Message::Progress { from, to }
            }
            "dropped" => {
                let (from, to) = range()?;
                if matches!(raw.reason.as_str(), "diverged" | "foreign_cursor") {
                    self.continuity.jump(to);
                } else {
                    self.continuity.check(from, to)?;
                }
                let (by_level, reason) = (raw.by_level, raw.reason);
                Message::Dropped(Dropped { from, to, by_level, reason })
            }
            "caught_up" => Message::CaughtUp,
            "error" => return Err(Trouble::Refused(raw.problem)),
            "welcome" => return Ok(None),
            "bye" => return Err(lost("the server is ending")),
            _ => Message::Other { kind: raw.t },
        };
        if let Some(cursor) = raw.cursor {
            self.cursor = Some(cursor);
        }
        Ok(Some(message))
    }

    fn subscribe(&self) -> Value {
        let Wish { query, level, source, begin, may_skip } = &self.wish;
        let (from, last) = match (&self.cursor, begin) {
            (Some(cursor), _) => (json!({"cursor": cursor}), 0),
            (None, Begin::Head) => (json!("head"), 0),
            (None, Begin::Last(last)) => (json!("head"), *last),
            (None, Begin::At(at)) => (json!({"at": at}), 0),
        };
        let mode = if *may_skip { "latest" } else { "lossless" };
        json!({
            "t": "subscribe", "sub": SUB, "q": query, "level": level.as_slice(),
            "source": source.as_slice(), "from": from, "last": last, "mode": mode,
        })
    }

    fn send(&mut self, message: &Value) -> Result<(), Trouble> {
        let Some(socket) = &mut self.socket else { return Err(lost("there is none")) };
        socket.send(Frame::text(message.to_string())).map_err(lost)
    }
}

/// The name of the one subscription of a connection.
const SUB: &str = "a";

#[expect(clippy::needless_pass_by_value, reason = "it takes errors from `map_err`")]
fn lost(why: impl ToString) -> Trouble {
    Trouble::Lost(why.to_string())
}

fn connect(url: &str) -> Result<WebSocket<TcpStream>, Trouble> {
    let rest = url.strip_prefix("http://").ok_or_else(|| lost("the URL begins with http://"))?;
    let host = rest.split('/').next().unwrap_or(rest);
    let port =
        if host.rsplit(']').next().is_some_and(|end| end.contains(':')) { "" } else { ":80" };
    let addresses = std::net::ToSocketAddrs::to_socket_addrs(&format!("{host}{port}"));
    let mut error = lost(format!("{host} has no address"));
    for address in addresses.map_err(lost)? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => {
                stream.set_nodelay(true).map_err(lost)?;
                stream.set_read_timeout(Some(SILENCE)).map_err(lost)?;
                stream.set_write_timeout(Some(SILENCE)).map_err(lost)?;
                let (socket, _) =
                    tungstenite::client(format!("ws://{rest}/ws"), stream).map_err(lost)?;
                return Ok(socket);
            }
            Err(refused) => error = lost(format!("asking {url} failed: {refused}")),
        }
    }
    Err(error)
}

/// What a problem document says, with the place in the query.
pub(crate) fn told(problem: &Value) -> String {
    let text = |name: &str| problem.get(name).and_then(Value::as_str);
    let (Some(title), Some(detail)) = (text("title"), text("detail")) else {
        return "the server refuses".to_owned();
    };
    let column = problem.pointer("/position/column").and_then(Value::as_u64);
    let column = column.map_or_else(String::new, |column| format!(" (column {column})"));
    let hint = text("hint").map_or_else(String::new, |hint| format!("; {hint}"));
    format!("{title}: {detail}{column}{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(follower: &mut Follower, text: &str) -> Result<Option<Message>, Trouble> {
        follower.take(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn a_hole_and_a_repeat_are_told_and_not_taken() {
        let mut follower = Follower::new("http://h/", Wish::default());
        let good = r#"{"t":"batch","from_seq":"5","to_seq":"9","cursor":"c1.a","logs":[{"n":1}]}"#;
        assert!(matches!(
            take(&mut follower, good),
            Ok(Some(Message::Batch { from: 5, to: 9, .. }))
        ));
        for (from, to) in [(9, 12), (11, 12)] {
            let text = format!(
                r#"{{"t":"progress","from_seq":"{from}","to_seq":"{to}","cursor":"c1.b"}}"#
            );
            let Err(Trouble::Breach(breach)) = take(&mut follower, &text) else { panic!() };
            assert_eq!(breach, Breach { expected: 10, found: from });
        }
        assert_eq!(follower.subscribe()["from"], json!({"cursor": "c1.a"}));
    }

    #[test]
    fn another_past_may_jump() {
        let mut follower = Follower::new("http://h/", Wish::default());
        let dropped = |from: u64, to: u64, reason: &str| {
            format!(
                r#"{{"t":"dropped","from_seq":"{from}","to_seq":"{to}","count":null,"by_level":null,"reason":"{reason}"}}"#
            )
        };
        assert!(take(&mut follower, &dropped(1, 9, "retention")).is_ok());
        assert!(take(&mut follower, &dropped(4, 3, "diverged")).is_ok());
        assert!(take(&mut follower, &dropped(4, 6, "slow_reader")).is_ok());
        assert!(take(&mut follower, &dropped(9, 9, "slow_reader")).is_err());
    }

    #[test]
    fn says_what_the_server_refuses() {
        let mut follower = Follower::new("http://h/", Wish::default());
        let text = r#"{"t":"error","sub":"a","problem":{"title":"No","detail":"never","position":{"column":3},"hint":"ask"}}"#;
        let refused = take(&mut follower, text).unwrap_err();
        assert_eq!(refused.to_string(), "No: never (column 3); ask");
    }
}
