//! HTTP/1.1 as far as the tests need it, with every header in their hands.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use serde::Deserialize;
use serde_json::Value;

use super::DEADLINE;
use super::server::Server;

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The value of a header, empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// The JSON of an answer that must be a success.
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()
    }

    /// The document of an answer that must be this problem.
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json");
        let document = self.json();
        assert_eq!((&document["status"], &document["code"]), (&status.into(), &code.into()));
        document
    }
}

/// Sends a request and reads the whole answer. A header given here replaces the usual one.
pub(crate) fn request(
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response {
    let mut reader = BufReader::new(send(to, method, path, headers, body));
    let (status, headers) = read_head(&mut reader);
    let mut response = Response { status, headers, body: Vec::new() };
    if response.header("transfer-encoding").eq_ignore_ascii_case("chunked") {
        let mut chunks = Chunks(reader);
        while let Some(chunk) = chunks.next_chunk() {
            response.body.extend(chunk);
        }
    } else if let Ok(length) = response.header("content-length").parse() {
        response.body = vec![0; length];
        if method != "HEAD" {
            reader.read_exact(&mut response.body).unwrap();
        }
    } else {
        reader.read_to_end(&mut response.body).unwrap();
    }
    response
}

fn send(
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> TcpStream {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let has = |name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    let mut lines = vec![format!("{method} {path} HTTP/1.1"), "Connection: close".to_owned()];
    if !has("host") {
        lines.push(format!("Host: {to}"));
    }
    if !body.is_empty() && !has("content-length") {
        lines.push(format!("Content-Length: {}", body.len()));
    }
    lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
    stream.write_all(format!("{}\r\n\r\n", lines.join("\r\n")).as_bytes()).unwrap();
    // A server that refuses a body may close before it is sent.
    drop(stream.write_all(body));
    stream
}

fn read_head(reader: &mut BufReader<TcpStream>) -> (u16, Vec<(String, String)>) {
    let line = read_line(reader);
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no status line: {line:?}"));
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader);
        let Some((name, value)) = line.split_once(':') else { return (status, headers) };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
}

fn read_line(reader: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// The chunks of a body in chunks.
struct Chunks(BufReader<TcpStream>);

impl Chunks {
    fn next_chunk(&mut self) -> Option<Vec<u8>> {
        let line = read_line(&mut self.0);
        let length = usize::from_str_radix(line.split(';').next()?, 16).ok()?;
        let mut chunk = vec![0; length];
        self.0.read_exact(&mut chunk).unwrap();
        read_line(&mut self.0);
        (length > 0).then_some(chunk)
    }
}

/// Server-sent events.
pub(crate) struct Events {
    chunks: Chunks,
    text: String,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: Option<String>,
    pub(crate) data: Value,
}

impl Events {
    /// Opens a stream that must be given.
    pub(crate) fn open(to: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut reader = BufReader::new(send(to, "GET", path, headers, b""));
        let (status, headers) = read_head(&mut reader);
        assert_eq!(status, 200);
        let is_stream = headers.iter().any(|(_, value)| value == "text/event-stream");
        assert!(is_stream, "{headers:?}");
        Self { chunks: Chunks(reader), text: String::new() }
    }

    /// The next event; `None` when the server has ended the stream.
    pub(crate) fn next_event(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let event = read_event(block);
                self.text = rest.to_owned();
                if event.is_some() {
                    return event;
                }
            }
            self.text += &String::from_utf8(self.chunks.next_chunk()?).unwrap();
        }
    }
}

/// Reads a block; a comment is nothing.
fn read_event(block: &str) -> Option<Event> {
    let field = |name| block.lines().find_map(|line| line.strip_prefix(name));
    Some(Event {
        name: field("event: ")?.to_owned(),
        id: field("id: ").map(str::to_owned),
        data: serde_json::from_str(field("data: ")?).unwrap(),
    })
}

/// An event as the tests compare it.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(crate) struct Found {
    pub(crate) id: String,
    pub(crate) seq: String,
    pub(crate) timestamp: String,
    pub(crate) tag: String,
    pub(crate) level: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) message: String,
    pub(crate) metadata: Value,
}

/// A page of a search.
#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    pub(crate) logs: Vec<Found>,
    pub(crate) next_cursor: Option<String>,
    pub(crate) head_cursor: String,
    pub(crate) complete: bool,
}

/// All times, so that no event is missing because of its clock.
pub(crate) const EVER: &str = "from=0&to=2200-01-01T00:00:00Z";

impl Server {
    pub(crate) fn page(&self, query: &str) -> Page {
        let response = self.get(&format!("/api/logs?{EVER}&{query}"));
        assert_eq!(response.status, 200, "{}", response.text());
        let page: Page = serde_json::from_slice(&response.body).unwrap();
        assert!(page.complete, "the search covers everything");
        page
    }

    /// Every event of the store.
    pub(crate) fn everything(&self) -> Vec<Found> {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.page(&format!("limit=10000&cursor={cursor}"));
            found.extend(page.logs);
            match page.next_cursor {
                Some(next) => cursor = next,
                None => return found,
            }
        }
    }

    pub(crate) fn messages(&self, query: &str) -> Vec<String> {
        self.page(query).logs.into_iter().map(|found| found.message).collect()
    }
}
