//! The catalogue of bad input, over a real connection: what comes back, whether the connection goes
//! on, what is stored, counted, quarantined and told.

mod entries;
mod framing;
mod json;
mod messages;
mod options;
mod payloads;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use logmon_core::{MemoryJournal, QuarantinedKind};
use logmon_forward::ListenerConfig;
use logmon_forward::codec::{Class, Reason};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::common::*;
use crate::journals::{HandQuarantine, Lines};
use crate::server::{Server, stored};

/// Becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// A good message behind the input is taken and acknowledged.
    Kept,
    /// The same on a connection that speaks JSON.
    KeptJson,
    /// The server closes it, with FIN, and waits for no one.
    Closed,
    /// The peer ends it, and what it cut off is thrown away.
    Cut,
}

/// One line of the catalogue.
#[derive(Debug)]
struct Row {
    name: &'static str,
    input: Vec<u8>,
    acks: Vec<u8>,
    end: End,
    /// The texts of the events that the input leaves in the journal.
    texts: Vec<String>,
    /// What is counted as refused, by reason. Each of them has a line of its own, and, unless it is
    /// the connection that is refused, an item in the quarantine.
    refused: BTreeMap<&'static str, u64>,
    /// The bytes of the one item in the quarantine, where they are to be compared.
    kept: Option<Vec<u8>>,
    /// The one line of warning that costs nothing.
    warning: Option<&'static str>,
}

impl Row {
    /// Input that changes nothing. The rows of the catalogue that it shows stand in `name`.
    fn new(name: &'static str, input: Vec<u8>) -> Self {
        Self {
            name,
            input,
            acks: Vec::new(),
            end: End::Kept,
            texts: Vec::new(),
            refused: BTreeMap::new(),
            kept: None,
            warning: None,
        }
    }

    /// The acknowledgement of the chunk `id` comes back.
    fn acked(mut self) -> Self {
        self.acks = ack("id");
        self
    }

    fn answered(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.acks = bytes.into();
        self
    }

    fn stores(mut self, texts: &[&str]) -> Self {
        self.texts = texts.iter().map(|&text| text.to_owned()).collect();
        self
    }

    fn refuses(mut self, code: &'static str, count: u64) -> Self {
        self.refused.insert(code, count);
        self
    }

    /// The whole input is what the quarantine gets.
    fn keeps_it_all(self) -> Self {
        let input = self.input.clone();
        self.keeps(input)
    }

    fn keeps(mut self, bytes: Vec<u8>) -> Self {
        self.kept = Some(bytes);
        self
    }

    fn warns(mut self, code: &'static str) -> Self {
        self.warning = Some(code);
        self
    }

    fn ends(mut self, end: End) -> Self {
        self.end = end;
        self
    }

    /// The server closes the connection for this reason.
    fn closes(self, code: &'static str) -> Self {
        self.ends(End::Closed).refuses(code, 1)
    }

    /// What is sent behind the input, and what comes back for it.
    fn good(&self) -> (Vec<u8>, Vec<u8>) {
        let json = br#"["good",1,{"message":"good"},{"chunk":"good"}]"#;
        match self.end {
            End::Kept => (message("good", "good"), ack("good")),
            End::KeptJson => (json.to_vec(), br#"{"ack":"good"}"#.to_vec()),
            End::Closed | End::Cut => (Vec::new(), Vec::new()),
        }
    }

    async fn check(self) {
        let Self { name, .. } = self;
        let (lines, _guard) = Lines::record();
        let journal = Arc::new(MemoryJournal::new(1 << 30));
        let quarantine = Arc::new(HandQuarantine::default());
        let server = Server::start_with(journal.clone(), Some(quarantine.clone()), small);
        let (good, good_ack) = self.good();
        let mut client = server.connect().await;
        let answer = exchange(&mut client, &[&self.input[..], &good].concat(), self.end).await;
        assert_eq!(answer, [&self.acks[..], &good_ack].concat(), "{name}: what came back");
        drop(client);
        let figures = server.end().await;

        let mut texts = self.texts;
        texts.extend((!good.is_empty()).then(|| "good".to_owned()));
        let found: Vec<_> = stored(&journal).await.into_iter().map(|(_, text)| text).collect();
        assert_eq!(found, texts, "{name}: what was stored");
        assert_eq!(figures.rejected, self.refused, "{name}: what was counted");
        assert_eq!(figures.truncated, u64::from(self.end == End::Cut), "{name}: cut");
        assert_eq!(figures.connections_open, 0, "{name}");

        let items = quarantine.items();
        let found: BTreeSet<_> = items.iter().map(|item| item.reason.as_str()).collect();
        let reasons = Reason::ALL.iter().filter(|reason| self.refused.contains_key(reason.code()));
        let kept = reasons.filter(|reason| reason.class() != Class::Framing);
        let kept: BTreeSet<_> = kept.map(|reason| reason.code()).collect();
        assert_eq!(found, kept, "{name}: what was quarantined");
        for item in &items {
            let class = Reason::ALL.iter().find(|reason| reason.code() == item.reason).unwrap();
            let is_message = class.class() == Class::Message;
            assert_eq!(item.kind == QuarantinedKind::Message, is_message, "{name}: {item:?}");
        }
        if let Some(bytes) = &self.kept {
            let [item] = &items[..] else { panic!("{name}: {} items", items.len()) };
            assert_eq!(&item.bytes[..], &bytes[..], "{name}: the bytes in the quarantine");
            assert_eq!(item.count, self.refused[item.reason.as_str()], "{name}");
        }

        let warned = lines.of("WARN");
        let told = self.refused.keys().map(|code| format!(" reason={code:?} "));
        let told: Vec<_> =
            told.chain(self.warning.map(|code| format!(" warning={code:?} "))).collect();
        assert_eq!(warned.len(), told.len(), "{name}: {warned:?}");
        for line in &told {
            assert!(warned.iter().any(|warned| warned.contains(line)), "{name}: {warned:?}");
        }
    }
}

/// Limits that input of a test can reach.
fn small(config: &mut ListenerConfig) {
    let limits = &mut config.settings.limits;
    limits.max_message_bytes = 4 << 20;
    limits.max_decompressed_bytes = 4 << 20;
    limits.max_buffered_bytes = 1 << 20;
    limits.max_entry_bytes = 2 << 20;
}

/// Sends bytes and gives what comes back until the server closes the connection, which it does of
/// itself or because the peer has come to its end.
async fn exchange(client: &mut TcpStream, bytes: &[u8], end: End) -> Vec<u8> {
    // The server may have closed it before all of it has gone.
    let sent = client.write_all(bytes).await;
    assert!(sent.is_ok() || end == End::Closed, "{sent:?}");
    if end != End::Closed {
        client.shutdown().await.unwrap();
    }
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    answer
}

fn ack(id: &str) -> Vec<u8> {
    encode(&map([("ack", id.into())]))
}

/// A single event with a chunk id.
fn message(text: &str, id: &str) -> Vec<u8> {
    encode(&array(["t".into(), 1.into(), record(text), chunk(id)]))
}

/// F-117 to F-136 and R-001 to R-041, as far as a codec and a connection can show them; each row
/// names its own.
#[tokio::test]
async fn bad_input_is_met_as_the_catalogue_says() {
    let tables = [
        framing::rows(),
        messages::rows(),
        entries::rows(),
        payloads::rows(),
        options::rows(),
        json::rows(),
    ];
    let local = tokio::task::LocalSet::new();
    let mut wrong = Vec::new();
    for row in tables.into_iter().flatten() {
        let name = row.name;
        // Each row says for itself what is wrong with it.
        let checked = local.spawn_local(row.check());
        if local.run_until(checked).await.is_err() {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
