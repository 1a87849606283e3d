//! `POST /api/logs`: an object, an array, or one event per line.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use logmon_core::{AppendError, Commit, Entries, Index, Level, NewBatch, Reading, Tag, Timestamp};
use serde_json::{Value, json};

use super::App;
use super::params::Params;
use super::problem::{Code, Problem};

mod elements;
mod entry;

use elements::{Element, array_elements, lines};
use entry::Defaults;

const KNOWN: &[&str] = &["tag", "source", "level", "wait", "on_error", "dry_run"];

/// The most faults that an answer lists.
const MAX_ERRORS: usize = 100;

/// The most events of one body. Small ones take far more room in memory than on the wire.
const MAX_EVENTS: usize = 500_000;

/// The mark that some writers put before their text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How many bytes of packed entries make one batch.
const BATCH_BYTES: usize = 1 << 20;

/// What the request wants beside storing.
struct Wishes {
    tag: Tag,
    defaults: Defaults,
    waits: bool,
    aborts: bool,
    is_dry: bool,
}

/// A body taken apart: packed batches and what could not be read.
struct Taken {
    parts: Vec<Part>,
    accepted: usize,
    rejected: usize,
    errors: Vec<Value>,
}

/// A batch, and the first and last index of its events in the body.
struct Part {
    first: usize,
    last: usize,
    entries: Entries,
}

/// `POST /api/logs`.
pub(super) async fn ingest(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let wishes = Wishes::read(&Params::parse(query.as_deref()))?;
    let body = body.map_err(|rejection| unreadable_body(&rejection))?;
    let mut taken = take(&app, &wishes, &headers, &body)?;
    if wishes.is_dry {
        return Ok(dry_answer(&wishes, &taken));
    }
    let mut arrival = app.0.intake.arrive(taken.accepted + taken.rejected);
    arrival.refused(taken.rejected);
    if taken.rejected > 0 && (wishes.aborts || taken.accepted == 0) {
        arrival.refused(taken.accepted);
        return Ok(taken.answer(StatusCode::BAD_REQUEST, 0, None));
    }
    let append =
        |part: &Part| app.0.journal.append(NewBatch::new(wishes.tag.clone(), part.entries.clone()));
    let commits: Vec<_> = taken.parts.iter().map(append).collect();
    if !wishes.waits {
        return Ok(taken.answer(StatusCode::ACCEPTED, taken.accepted, None));
    }
    let settled = taken.settle(commits).await;
    let stored = settled.as_ref().map_or(0, |(stored, _)| *stored);
    arrival.appended(stored);
    arrival.lost(taken.accepted - stored);
    let (stored, last) = settled?;
    let is_all = taken.rejected == 0 && stored == taken.accepted;
    let status = if is_all { StatusCode::OK } else { StatusCode::MULTI_STATUS };
    Ok(taken.answer(status, stored, last))
}

impl Wishes {
    fn read(params: &Params) -> Result<Self, Problem> {
        params.allow(KNOWN)?;
        let choice = |name: &str, default: &'static str, other: &'static str| match params.get(name)
        {
            None => Ok(false),
            Some(text) if text == default => Ok(false),
            Some(text) if text == other => Ok(true),
            Some(text) => {
                let detail = format!("`{text}` is not possible; expected {default} or {other}");
                Err(Problem::parameter(name, detail))
            }
        };
        let level = params.get("level").map(str::parse::<Level>).transpose();
        let level = level.map_err(|error| Problem::parameter("level", error.to_string()))?;
        let tag = params.get("tag").unwrap_or("http");
        if tag.len() > 4096 {
            return Err(Problem::parameter("tag", "longer than 4096 bytes"));
        }
        Ok(Self {
            tag: Tag::from(tag),
            defaults: Defaults { level, source: params.get("source").map(str::to_owned) },
            waits: !choice("wait", "committed", "accepted")?,
            aborts: choice("on_error", "skip", "abort")?,
            is_dry: choice("dry_run", "false", "true")?,
        })
    }
}

/// Reads the body in the form its media type names.
fn take(app: &App, wishes: &Wishes, headers: &HeaderMap, body: &[u8]) -> Result<Taken, Problem> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|media| media.to_str().ok());
    let media = media.unwrap_or("application/json").split(';').next().unwrap_or("").trim();
    let mut packer = Packer::new(app, &wishes.defaults);
    // One more than there may be tells that there are too many.
    let most = MAX_EVENTS + 1;
    let text = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    match media.to_ascii_lowercase().as_str() {
        // The form type is what curl says when it is told nothing. Pages of other origins are
        // refused before this, so it opens nothing to them.
        "application/json" | "application/x-www-form-urlencoded" => match text
            .trim_ascii_start()
            .first()
        {
            Some(b'[') => array_elements(body).take(most).for_each(|element| packer.json(element)),
            _ => packer.json(Ok(Element { index: 0, offset: 0, bytes: body })),
        },
        "application/x-ndjson" | "application/jsonl" | "application/x-jsonlines" => {
            lines(body).take(most).for_each(|line| packer.json(Ok(line)));
        }
        "text/plain" => lines(text).take(most).for_each(|line| packer.text(&line)),
        other => {
            let detail = format!(
                "`{other}` is not taken; send application/json, application/x-ndjson or text/plain"
            );
            return Err(Problem::new(Code::UnsupportedMedia, detail));
        }
    }
    let taken = packer.finish();
    if taken.accepted + taken.rejected > MAX_EVENTS {
        let detail = format!("a body has at most {MAX_EVENTS} events; send it in parts");
        return Err(Problem::new(Code::PayloadTooLarge, detail));
    }
    Ok(taken)
}

/// Packs events into batches of bounded size.
struct Packer<'a> {
    reading: Reading,
    defaults: &'a Defaults,
    payload: Vec<u8>,
    index: Index,
    /// Of the events in the payload, in the body.
    indices: Option<(usize, usize)>,
    taken: Taken,
}

impl<'a> Packer<'a> {
    fn new(app: &App, defaults: &'a Defaults) -> Self {
        let reading = Reading::new(Arc::clone(&app.0.fields), Timestamp::now());
        let taken = Taken { parts: Vec::new(), accepted: 0, rejected: 0, errors: Vec::new() };
        Self {
            reading,
            defaults,
            payload: Vec::new(),
            index: Index::default(),
            indices: None,
            taken,
        }
    }

    fn json(&mut self, element: Result<Element<'_>, elements::Broken>) {
        let element = match element {
            Ok(element) => element,
            Err(broken) => {
                return self.reject(broken.index, broken.offset, "invalid_json", &broken.detail);
            }
        };
        match entry::from_json(element.bytes, &self.reading, self.defaults) {
            Ok(entry) => self.push(&element, &entry),
            Err(fault) => {
                self.reject(
                    element.index,
                    element.offset + fault.offset,
                    fault.code,
                    &fault.detail,
                );
            }
        }
    }

    fn text(&mut self, line: &Element<'_>) {
        let entry = entry::from_text(line.bytes, &self.reading, self.defaults);
        self.push(line, &entry);
    }

    fn push(&mut self, element: &Element<'_>, entry: &[u8]) {
        let start = self.payload.len();
        self.payload.extend_from_slice(entry);
        match self.index.push(&self.payload, start, &self.reading) {
            Ok(_) => {
                self.taken.accepted += 1;
                let first = self.indices.map_or(element.index, |(first, _)| first);
                self.indices = Some((first, element.index));
            }
            Err(error) => {
                self.payload.truncate(start);
                self.reject(
                    element.index,
                    element.offset,
                    "invalid_event",
                    &error.kind.to_string(),
                );
            }
        }
        if self.payload.len() >= BATCH_BYTES {
            self.close();
        }
    }

    fn reject(&mut self, index: usize, offset: usize, code: &str, detail: &str) {
        self.taken.rejected += 1;
        if self.taken.errors.len() < MAX_ERRORS {
            let error = json!({"index": index, "code": code, "detail": detail, "offset": offset});
            self.taken.errors.push(error);
        }
    }

    fn close(&mut self) {
        let Some((first, last)) = self.indices.take() else { return };
        let payload = Bytes::from(std::mem::take(&mut self.payload));
        let index = std::mem::take(&mut self.index);
        let entries = Entries::new(payload, index, &self.reading);
        self.taken.parts.push(Part { first, last, entries });
    }

    fn finish(mut self) -> Taken {
        self.close();
        self.taken
    }
}

impl Taken {
    /// Waits for what became of the parts; gives the number of events that are stored and the last
    /// number. A part that was refused is named among the errors, so that it alone is sent again.
    async fn settle(&mut self, commits: Vec<Commit>) -> Result<(usize, Option<u64>), Problem> {
        let (mut stored, mut last_seq, mut refused_parts) = (0, None, Vec::new());
        let mut refusal = None;
        for (part, commit) in self.parts.iter().zip(commits) {
            match commit.await {
                Ok(committed) => {
                    stored += part.entries.len();
                    last_seq = Some(committed.end_seq.saturating_sub(1));
                }
                Err(error) => {
                    let problem = refused(&error);
                    refused_parts.push(json!({
                        "index": part.first,
                        "last_index": part.last,
                        "code": problem.code().name(),
                        "detail": error.to_string(),
                    }));
                    refusal = Some(problem);
                }
            }
        }
        if let Some(problem) = refusal.filter(|_| stored == 0) {
            return Err(problem);
        }
        self.errors.splice(0..0, refused_parts);
        self.errors.truncate(MAX_ERRORS);
        Ok((stored, last_seq))
    }

    fn answer(&self, status: StatusCode, accepted: usize, last_seq: Option<u64>) -> Response {
        let body = json!({
            "accepted": accepted,
            "rejected": self.rejected + (self.accepted - accepted),
            "errors": self.errors,
            "last_seq": last_seq.map(|seq| seq.to_string()),
        });
        (status, super::logs::json_response(body.to_string().into_bytes())).into_response()
    }
}

/// The events as they would be stored, under numbers that mean nothing.
fn dry_answer(wishes: &Wishes, taken: &Taken) -> Response {
    let mut out = b"{\"logs\":[".to_vec();
    let epoch = logmon_core::Epoch::from_bytes([0; 7]);
    let mut is_first = true;
    for part in &taken.parts {
        let batch = NewBatch::new(wishes.tag.clone(), part.entries.clone());
        for log in logmon_core::GroupBuilder::single(epoch, &batch, 0).iter() {
            out.extend_from_slice(if is_first { b"" } else { b"," });
            is_first = false;
            log.write_json(&mut out);
        }
    }
    let rest = json!({"rejected": taken.rejected, "errors": taken.errors}).to_string();
    out.extend_from_slice(b"],");
    out.extend_from_slice(rest.as_bytes().get(1..).unwrap_or_default());
    super::logs::json_response(out)
}

fn refused(error: &AppendError) -> Problem {
    if matches!(error, AppendError::TooLarge { .. }) {
        // To send it again as it is would not help.
        return Problem::new(Code::PayloadTooLarge, error.to_string());
    }
    Problem::new(Code::Overloaded, error.to_string()).retry_after(1)
}

fn unreadable_body(rejection: &BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let detail = "the body is longer than [http] max_body_bytes; send it in parts";
        return Problem::new(Code::PayloadTooLarge, detail);
    }
    Problem::new(Code::Unreadable, rejection.body_text())
}
