//! The HTTP client of the command line.

use std::io::{BufRead, BufReader};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use ureq::{Agent, Body};

/// Talks to one server.
#[derive(Debug)]
pub(crate) struct Client {
    agent: Agent,
    url: String,
}

/// The server understood and said no, as it would again.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(String);

/// Longer silence than two heartbeats means that the connection is dead.
const SILENCE: Duration = Duration::from_secs(25);

impl Client {
    pub(crate) fn new(url: &str) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(5)))
            .timeout_recv_response(Some(Duration::from_secs(75)))
            .timeout_recv_body(None)
            .build()
            .into();
        Self { agent, url: url.trim_end_matches('/').to_owned() }
    }

    /// The lines of an answer in NDJSON.
    ///
    /// # Errors
    /// The server cannot be reached or refuses.
    pub(crate) fn lines(
        &self,
        path: &str,
        pairs: &[(&str, &str)],
    ) -> anyhow::Result<impl BufRead + use<>> {
        let body = self.get(path, pairs, &[("Accept", "application/x-ndjson")])?;
        Ok(BufReader::new(body.into_reader()))
    }

    /// An answer in JSON.
    ///
    /// # Errors
    /// The server cannot be reached or refuses.
    pub(crate) fn json(&self, path: &str, pairs: &[(&str, &str)]) -> anyhow::Result<Value> {
        let body = self.get(path, pairs, &[("Accept", "application/json")])?;
        serde_json::from_reader(body.into_reader()).context("the answer of the server broke off")
    }

    /// Opens a stream of server-sent events, behind `cursor` if there is one.
    ///
    /// # Errors
    /// The server cannot be reached or refuses.
    pub(crate) fn stream(
        &self,
        path: &str,
        pairs: &[(&str, &str)],
        cursor: Option<&str>,
    ) -> anyhow::Result<Stream> {
        let mut headers = vec![("Accept", "text/event-stream")];
        headers.extend(cursor.map(|cursor| ("Last-Event-ID", cursor)));
        let body = self.get(path, pairs, &headers)?;
        Ok(Stream::read(BufReader::new(body.into_reader())))
    }

    fn get(
        &self,
        path: &str,
        pairs: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> anyhow::Result<Body> {
        let url = format!("{}{path}", self.url);
        let mut request = self.agent.get(&url).query_pairs(pairs.iter().copied());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.call().with_context(|| format!("asking {} failed", self.url))?;
        if response.status().is_success() {
            return Ok(response.into_body());
        }
        let status = response.status();
        let body = response.into_body().read_to_string().unwrap_or_default();
        let problem: Value = serde_json::from_str(&body).unwrap_or_default();
        let text = told(&problem).unwrap_or_else(|| format!("the server answered {status}"));
        let is_final = status.is_client_error() && !matches!(status.as_u16(), 408 | 429);
        if is_final { Err(Refused(text).into()) } else { Err(anyhow::anyhow!(text)) }
    }
}

/// What a problem document says, with the place in the query.
fn told(problem: &Value) -> Option<String> {
    let detail = problem.get("detail")?.as_str()?;
    let title = problem.get("title")?.as_str()?;
    let column = problem.pointer("/position/column").and_then(Value::as_u64);
    let column = column.map_or_else(String::new, |column| format!(" (column {column})"));
    let hint = problem.get("hint").and_then(Value::as_str);
    let hint = hint.map_or_else(String::new, |hint| format!("; {hint}"));
    Some(format!("{title}: {detail}{column}{hint}"))
}

/// A stream of server-sent events.
pub(crate) struct Stream {
    lines: Receiver<String>,
}

/// Lines that wait to be printed; the reading stops when there are so many.
const WAITING_LINES: usize = 64;

/// One event of a stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct StreamEvent {
    pub(crate) name: String,
    pub(crate) id: Option<String>,
    pub(crate) data: String,
}

impl Stream {
    /// Reads on a thread of its own, as only so silence can be told from a connection that lives.
    fn read(lines: impl BufRead + Send + 'static) -> Self {
        let (sender, receiver) = sync_channel(WAITING_LINES);
        std::thread::spawn(move || {
            for line in lines.lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { lines: receiver }
    }

    /// The next event; `None` when the connection ends or has been silent for too long.
    pub(crate) fn next_event(&self) -> Option<StreamEvent> {
        let mut event = StreamEvent::default();
        loop {
            let line = self.lines.recv_timeout(SILENCE).ok()?;
            if line.is_empty() {
                if event.name.is_empty() && event.data.is_empty() {
                    continue;
                }
                return Some(event);
            }
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut event.name),
                "id" => event.id = Some(value.to_owned()),
                "data" => event.data.push_str(value),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_server_sent_events() {
        let text = "retry: 1000\nevent: open\ndata: {}\n\n:\n\nid: c1.x\nevent: batch\ndata: {\"a\":1}\n\n";
        let stream = Stream::read(text.as_bytes());
        let open = stream.next_event().unwrap();
        assert_eq!((&*open.name, open.id), ("open", None));
        let batch = stream.next_event().unwrap();
        assert_eq!(
            (&*batch.name, batch.id.as_deref(), &*batch.data),
            ("batch", Some("c1.x"), "{\"a\":1}")
        );
        assert_eq!(stream.next_event(), None);
    }
}
