//! The routes, without a socket.

use std::sync::{LazyLock, Mutex};

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode, header};
use logmon_core::filter::Filter;
use logmon_core::hub::Start;
use logmon_core::{
    AppendError, BoxFuture, Commit, Committed, Group, Log, MemoryJournal, NewBatch, Position,
    ReadError, Timestamp,
};
use logmon_store::{DiskJournal, JournalConfig, JournalStore};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tower::ServiceExt as _;

use super::*;

struct Well;

impl Health for Well {
    fn faults(&self) -> Vec<String> {
        Vec::new()
    }

    fn troubles(&self) -> Vec<String> {
        Vec::new()
    }

    fn figures(&self) -> Value {
        Value::Null
    }

    fn ledger(&self) -> Value {
        Value::Null
    }

    fn measure(&self, _: &mut Figures<'_>) -> std::fmt::Result {
        Ok(())
    }
}

fn app(journal: Arc<dyn Journal>, store: Option<Arc<dyn Store>>) -> App {
    // Nobody ends it, which is not the same as that nobody can.
    static RUNNING: LazyLock<watch::Sender<bool>> = LazyLock::new(|| watch::Sender::new(false));
    ending(journal, store, RUNNING.subscribe())
}

fn ending(
    journal: Arc<dyn Journal>,
    store: Option<Arc<dyn Store>>,
    shutdown: watch::Receiver<bool>,
) -> App {
    App::new(Parts {
        hub: Hub::following(journal.clone(), 1 << 20),
        journal,
        in_journal: store.clone(),
        store,
        fields: Arc::default(),
        intake: Arc::default(),
        health: Arc::new(Well),
        guard: Guard { origins: vec!["https://good.example".into()], ..Guard::default() },
        cursor_key: [0; 32],
        max_body_bytes: 16 << 20,
        shutdown,
    })
}

fn in_memory() -> App {
    app(Arc::new(MemoryJournal::new(1 << 20)), None)
}

async fn ask(app: App, request: Request<Body>) -> Response<Body> {
    app.router().oneshot(request).await.unwrap()
}

async fn text(response: Response<Body>) -> Value {
    let bytes = axum::body::to_bytes(response.into_body(), 64 << 20).await.unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn request(method: Method, path: &str, headers: &[(&str, &str)], body: Body) -> Request<Body> {
    let request = Request::builder().method(method).uri(path);
    headers
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, *value))
        .body(body)
        .unwrap()
}

async fn post(app: App, media: &str, body: impl Into<Body>) -> (StatusCode, Value) {
    let headers = [("content-type", media)];
    let response = ask(app, request(Method::POST, "/api/logs", &headers, body.into())).await;
    (response.status(), text(response).await)
}

const JSON: &str = "application/json";

/// A page of a named origin can read what went wrong.
#[tokio::test]
async fn problems_keep_the_headers_of_other_layers() {
    let origin = [("origin", "https://good.example")];
    let search = request(Method::GET, "/api/logs?limit=0", &origin, Body::empty());
    let response = ask(in_memory(), search).await;
    assert_eq!(response.status(), 400);
    assert_eq!(response.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "https://good.example");
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    let put = request(Method::PUT, "/api/logs", &[], Body::empty());
    let response = ask(in_memory(), put).await;
    assert_eq!(response.status(), 405);
    assert!(response.headers().contains_key(header::ALLOW));
    assert_eq!(text(response).await["code"], "method_not_allowed");
}

/// R-073.
#[tokio::test]
async fn options_is_only_the_preflight_of_a_named_origin() {
    let asks = ("access-control-request-method", "POST");
    for (headers, status) in [
        (vec![("origin", "https://good.example"), asks], 200),
        (vec![("origin", "https://evil.example"), asks], 405),
        (vec![("origin", "https://good.example")], 405),
        (vec![], 405),
    ] {
        let options = request(Method::OPTIONS, "/api/logs", &headers, Body::empty());
        let response = ask(in_memory(), options).await;
        assert_eq!(response.status(), status, "{headers:?}");
        let names = |name: &header::HeaderName| name.as_str().starts_with("access-control-");
        assert_eq!(response.headers().keys().any(names), status == 200, "{headers:?}");
    }
    for method in [Method::TRACE, Method::DELETE] {
        let response = ask(in_memory(), request(method, "/", &[], Body::empty())).await;
        assert_eq!(response.status(), 405);
    }
}

/// R-049.
#[tokio::test]
async fn an_unknown_encoding_is_named() {
    for encoding in ["br", "gzip, gzip", "x"] {
        let headers = [("content-type", JSON), ("content-encoding", encoding)];
        let response =
            ask(in_memory(), request(Method::POST, "/api/logs", &headers, "{}".into())).await;
        assert_eq!(response.status(), 415);
        assert_eq!(text(response).await["code"], "unsupported_encoding");
    }
}

/// R-051, R-052.
#[tokio::test]
async fn events_of_a_body_are_limited() {
    for (media, body) in [
        ("application/x-ndjson", "{}\n".repeat(500_001)),
        (JSON, format!("[{}{{}}]", "{},".repeat(500_000))),
        ("text/plain", "a\n".repeat(500_001)),
    ] {
        let (status, problem) = post(in_memory(), media, body).await;
        assert_eq!((status.as_u16(), &problem["code"]), (413, &json!("payload_too_large")));
    }
    let (status, answer) = post(in_memory(), JSON, "[".repeat(10_000_000)).await;
    assert_eq!((status.as_u16(), &answer["rejected"]), (400, &json!(1)));
}

#[tokio::test]
async fn nothing_to_store_is_no_fault() {
    for (media, body) in [(JSON, "[]"), ("application/x-ndjson", "\n"), ("text/plain", "")] {
        assert_eq!(post(in_memory(), media, body).await.0, 200, "{media}");
    }
}

/// R-051.
#[tokio::test]
async fn a_byte_order_mark_is_passed_over() {
    let mark = "\u{feff}";
    let (status, answer) = post(in_memory(), JSON, format!("{mark}[{{}}, {{}}]")).await;
    assert_eq!((status.as_u16(), &answer["accepted"]), (200, &json!(2)));
    let (_, answer) = post(in_memory(), JSON, format!("{mark}{{\"a\": tru}}")).await;
    assert_eq!(answer["errors"][0]["offset"], 12);
}

/// A bomb is stopped by what comes out of it.
#[tokio::test]
async fn the_limit_of_a_body_is_that_of_its_content() {
    // 17 MiB of blanks, as one run of zstd (RFC 8878: a frame without size, blocks of type RLE).
    let mut bomb = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58];
    for left in (0..17 * 8_u32).rev() {
        let header = (128 << 10) << 3 | 1 << 1 | u32::from(left == 0);
        bomb.extend_from_slice(&header.to_le_bytes()[..3]);
        bomb.push(b' ');
    }
    let headers = [("content-type", JSON), ("content-encoding", "zstd")];
    let response =
        ask(in_memory(), request(Method::POST, "/api/logs", &headers, bomb.into())).await;
    assert_eq!(response.status(), 413);
    assert_eq!(text(response).await["code"], "payload_too_large");
}

/// A journal that takes so many batches and no more.
#[derive(Debug)]
struct Filling(MemoryJournal, Mutex<usize>);

impl Journal for Filling {
    fn append(&self, batch: NewBatch) -> Commit {
        let mut left = self.1.lock().unwrap();
        match left.checked_sub(1) {
            None => Commit::ready(Err(AppendError::Busy { queued_bytes: 1 })),
            Some(rest) => {
                *left = rest;
                self.0.append(batch)
            }
        }
    }

    fn stage(&self) -> BoxFuture<'_, Result<Box<dyn logmon_core::Staging>, AppendError>> {
        self.0.stage()
    }

    fn read(&self, from: Position, max: usize) -> BoxFuture<'_, Result<Option<Group>, ReadError>> {
        self.0.read(from, max)
    }

    fn head(&self) -> Position {
        self.0.head()
    }

    fn oldest(&self) -> Position {
        self.0.oldest()
    }

    fn advanced(&self, seq: u64) -> BoxFuture<'_, ()> {
        self.0.advanced(seq)
    }
}

/// What was stored is not called refused: it would be sent again and stored twice.
#[tokio::test]
async fn tells_which_events_a_full_journal_refused() {
    let filling =
        |batches| app(Arc::new(Filling(MemoryJournal::new(1 << 24), Mutex::new(batches))), None);
    // Six events of 300 kB: four make a batch.
    let body = vec![format!("{{\"message\": \"{}\"}}", "x".repeat(300_000)); 6].join("\n");
    let (status, answer) = post(filling(1), "application/x-ndjson", body.clone()).await;
    assert_eq!(status, 207);
    assert_eq!((&answer["accepted"], &answer["rejected"]), (&json!(4), &json!(2)));
    assert_eq!(answer["errors"][0]["code"], "overloaded");
    assert_eq!(
        (&answer["errors"][0]["index"], &answer["errors"][0]["last_index"]),
        (&json!(4), &json!(5))
    );
    assert_eq!(answer["last_seq"], "4");
    let (status, problem) = post(filling(0), "application/x-ndjson", body).await;
    assert_eq!((status.as_u16(), &problem["code"]), (503, &json!("overloaded")));
}

/// A journal on disk with events of these timestamps, and the number of the first.
async fn stored(seconds: &[i64]) -> (tempfile::TempDir, App, u64) {
    let folder = tempfile::tempdir().unwrap();
    let journal = DiskJournal::open(folder.path(), JournalConfig::default()).unwrap().0;
    let journal = Arc::new(journal);
    let mut first = None;
    for at in seconds {
        let mut log = Log::new("x");
        log.timestamp = Timestamp::from_seconds(*at, 0).unwrap();
        let done: Committed = journal.append(log.to_batch().unwrap()).await.unwrap();
        first.get_or_insert(done.first.seq);
    }
    let store = Arc::new(JournalStore::new(journal.clone()));
    (folder, app(journal, Some(store)), first.unwrap())
}

fn begun(start: Start, first: u64) -> u64 {
    match start {
        Start::At(position) => position.seq - first,
        other => panic!("{other:?}"),
    }
}

/// A stream from a time has every event of that time and later, also those that came before an
/// older one.
#[tokio::test]
async fn a_late_event_does_not_hide_those_before_it() {
    let (_folder, app, first) = stored(&[50, 105, 107, 101, 110]).await;
    let all = Filter::parse("").unwrap();
    let start = start::from_text(&app, "100", &all).await.unwrap();
    assert_eq!(begun(start, first), 1);
    assert_eq!(start::from_text(&app, "200", &all).await.unwrap(), Start::Head);
    // More than one page, against the order of time.
    let backwards: Vec<i64> = (0..2_500).rev().map(|at| 1_000 + at).collect();
    let (_folder, app, first) = stored(&backwards).await;
    let start = start::from_text(&app, "2000", &all).await.unwrap();
    assert_eq!(begun(start, first), 0);
}

/// One event from a clock that is ahead does not bring the whole past with it.
#[tokio::test]
async fn the_last_events_are_the_last_that_came() {
    let seconds: Vec<i64> = std::iter::once(4_000_000_000).chain(0..100).collect();
    let (_folder, app, first) = stored(&seconds).await;
    let all = Filter::parse("").unwrap();
    assert_eq!(begun(start::last(&app, 10, &all).await.unwrap(), first), 91);
    assert_eq!(start::last(&in_memory(), 10, &all).await.unwrap(), Start::Head);
}

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

/// Reads until the text comes.
async fn expect(stream: &mut TcpStream, text: &str) {
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains(text) {
        let more = stream.read_buf(&mut read).await.unwrap();
        assert!(more > 0, "{}", String::from_utf8_lossy(&read));
    }
}

/// A WebSocket is a connection as long as it is open: it counts, and the end waits for its farewell.
#[tokio::test]
async fn a_websocket_is_a_connection() {
    let (stop, stopped) = watch::channel(false);
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), 1).await.unwrap();
    let address = server.local_addr().unwrap();
    let app = ending(Arc::new(MemoryJournal::new(1 << 20)), None, stopped.clone());
    let serving = tokio::spawn(server.run(app, stopped));
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(UPGRADE.as_bytes()).await.unwrap();
    expect(&mut socket, "\"t\":\"welcome\"").await;
    let mut another = TcpStream::connect(address).await.unwrap();
    expect(&mut another, "503 Service Unavailable").await;
    // It is not read from yet, so the server cannot have said farewell but before it ends.
    stop.send_replace(true);
    serving.await.unwrap();
    expect(&mut socket, "\"t\":\"bye\"").await;
    assert_eq!(socket.read(&mut [0; 256]).await.unwrap(), 0, "it is closed");
}
