//! Messages too big for memory, and what was refused, through the listener.

use std::sync::Arc;
use std::time::Duration;

use logmon_core::{AppendError, MemoryJournal, QuarantinedKind};
use logmon_forward::ListenerConfig;
use logmon_forward::codec::InvalidEvent;
use rmpv::Value as V;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::common::*;
use crate::journals::{HandJournal, HandQuarantine, Lines};
use crate::server::{Server, stored};

/// Memory for a fraction of the messages of these tests.
fn little_memory(config: &mut ListenerConfig) {
    config.max_in_flight_bytes = 64 << 10;
    config.settings.limits.max_decompressed_bytes = 1 << 20;
    config.settings.limits.max_message_bytes = 1 << 20;
}

fn memory() -> Arc<MemoryJournal> {
    Arc::new(MemoryJournal::new(1 << 30))
}

fn entries(count: usize) -> Vec<V> {
    (0..count).map(|number| entry(1, &format!("{number:>100}"))).collect()
}

fn ack(id: &str) -> Vec<u8> {
    encode(&map([("ack", V::from(id))]))
}

/// A packed message whose header says so many bytes more than there are.
fn cut_short(payload: &[u8], missing: u32) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap() + missing;
    [b"\x93\xa1t\xc6", &len.to_be_bytes()[..], payload].concat()
}

async fn expect(client: &mut TcpStream, bytes: &[u8]) {
    let mut found = vec![0; bytes.len()];
    client.read_exact(&mut found).await.unwrap();
    assert_eq!(found, bytes);
}

/// F-053: every mode, acknowledged once, and in order between small messages.
#[tokio::test]
async fn big_messages_are_staged_in_every_mode() {
    let plain = packed(&entries(2_000));
    assert!(plain.len() > 200_000);
    let modes = [
        V::Array(entries(2_000)),
        V::Binary(plain.clone()),
        V::Binary(gzip(&plain)),
        V::Binary([gzip(&plain[..99_999]), gzip(&plain[99_999..])].concat()),
        V::Binary(zstd(&plain)),
    ];
    for payload in modes {
        let journal = memory();
        let server = Server::start(journal.clone(), little_memory);
        let big = encode(&array(["big".into(), payload, chunk("two")]));
        let small = |id: &str| encode(&array(["t".into(), array([entry(1, id)]), chunk(id)]));
        let bytes = [small("one"), big, small("three")].concat();
        let answer = server.exchange(&bytes).await;
        assert_eq!(answer, [ack("one"), ack("two"), ack("three")].concat());
        let figures = server.end().await;
        assert_eq!((figures.staged, figures.events, figures.appended), (1, 2_002, 2_002));
        let stored = stored(&journal).await;
        assert_eq!(stored.len(), 2_002);
        let texts = (0..2_000).map(|number| ("big".to_owned(), format!("{number:>100}")));
        assert!(stored[1..2_001].iter().cloned().eq(texts));
        assert_eq!((stored[0].1.as_str(), stored[2_001].1.as_str()), ("one", "three"));
    }
}

/// A-1: nothing of a staged message is acknowledged before its commit, and nothing is committed
/// before its end.
#[tokio::test]
async fn a_staged_message_is_acknowledged_after_its_commit() {
    let journal = Arc::new(HandJournal::default());
    let server = Server::start(journal.clone(), little_memory);
    let message = encode(&array(["t".into(), V::Binary(packed(&entries(2_000))), chunk("id")]));
    let mut client = server.connect().await;
    let (most, rest) = message.split_at(message.len() - 1);
    client.write_all(most).await.unwrap();
    let staged = journal.wait_for_staged(|staged| staged.pushed > 1).await;
    assert_eq!((staged.begun, staged.committed, staged.dropped), (1, 0, 0));
    assert_eq!(journal.events(), 0);
    client.write_all(rest).await.unwrap();
    journal.wait_for_staged(|staged| staged.committed == 1).await;
    assert_eq!(server.stats.snapshot().acks_sent, 0);
    assert_eq!(journal.events(), 2_000);
    let last = journal.batches().len() - 1;
    journal.resolve(last, Ok(()));
    expect(&mut client, &ack("id")).await;
    drop(client);
    assert_eq!(server.end().await.appended, 2_000);
}

/// A-7: the connection ends inside the message.
#[tokio::test]
async fn a_cut_message_leaves_nothing_staged() {
    let journal = Arc::new(HandJournal::default());
    let server = Server::start(journal.clone(), little_memory);
    let mut client = server.connect().await;
    client.write_all(&cut_short(&packed(&entries(2_000)), 1)).await.unwrap();
    journal.wait_for_staged(|staged| staged.pushed > 1).await;
    drop(client);
    let staged = journal.wait_for_staged(|staged| staged.dropped == 1).await;
    assert_eq!((staged.begun, staged.committed), (1, 0));
    let figures = server.end().await;
    assert_eq!((figures.truncated, figures.events, figures.appended), (1, 0, 0));
}

/// F-130, F-128, F-133: what makes a message void makes all of it void, and it is acknowledged as
/// refused.
#[tokio::test]
async fn a_void_message_leaves_nothing_staged() {
    let mut damaged = gzip(&packed(&entries(3_000)));
    *damaged.last_mut().unwrap() ^= 1;
    let damaged = [gzip(&packed(&entries(3_000))), damaged].concat();
    let bomb = gzip(&packed(&entries(10_000)));
    let too_long = V::Array(entries(12_000));
    let signal = map([("chunk", "id".into()), ("fluent_signal", V::from(1))]);
    let cases = [
        (V::Binary(damaged), chunk("id"), Some("corrupt_compression")),
        (V::Binary(bomb), chunk("id"), Some("decompressed_too_big")),
        (too_long, chunk("id"), Some("message_too_big")),
        (V::Array(entries(3_000)), signal, None),
    ];
    for (payload, option, reason) in cases {
        let journal = Arc::new(HandJournal::default());
        let server = Server::start(journal.clone(), little_memory);
        let message = encode(&array(["t".into(), payload, option]));
        let answer = server.exchange(&message).await;
        assert_eq!(answer, ack("id"), "{reason:?}");
        let staged = journal.wait_for_staged(|_| true).await;
        assert_eq!((staged.begun, staged.dropped, staged.committed), (1, 1, 0), "{reason:?}");
        let figures = server.end().await;
        assert_eq!((figures.appended, figures.events), (0, 0));
        assert_eq!(figures.signals_dropped, u64::from(reason.is_none()));
        assert_eq!(figures.rejected.keys().next().copied(), reason);
    }
}

/// 6.2-36: a journal without room for staging is waited for; one that fails ends the connection
/// without an acknowledgement; one that can never take the message refuses it.
#[tokio::test(start_paused = true)]
async fn staging_waits_and_fails_as_appending_does() {
    let busy = || AppendError::Busy { queued_bytes: 1 };
    let message = encode(&array(["t".into(), V::Binary(packed(&entries(2_000))), chunk("id")]));
    let journal = Arc::new(HandJournal::default());
    journal.refuse_staging([busy(), busy()], [busy(), busy(), busy()]);
    let server = Server::start(journal.clone(), little_memory);
    let mut client = server.connect().await;
    client.write_all(&message).await.unwrap();
    journal.wait_for_staged(|staged| staged.committed == 1).await;
    assert_eq!(journal.events(), 2_000);
    journal.resolve(journal.batches().len() - 1, Ok(()));
    expect(&mut client, &ack("id")).await;
    drop(client);
    assert_eq!(server.end().await.journal_busy, 5);

    for (begins, pushes) in [(Some(AppendError::Closed), None), (None, Some(AppendError::Closed))] {
        let journal = Arc::new(HandJournal::default());
        journal.refuse_staging(begins, pushes);
        let server = Server::start(journal.clone(), little_memory);
        assert_eq!(server.exchange(&message).await, b"");
        assert_eq!(journal.events(), 0);
        assert_eq!(server.end().await.acks_sent, 0);
    }

    let journal = Arc::new(HandJournal::default());
    journal.refuse_staging(None, Some(AppendError::TooLarge { bytes: 1 }));
    let server = Server::start(journal.clone(), little_memory);
    assert_eq!(server.exchange(&message).await, ack("id"));
    assert_eq!(server.end().await.rejected.get("message_too_big"), Some(&1));
}

/// Metadata that comes behind entries which were staged is told of, and the events are taken.
#[tokio::test]
async fn metadata_behind_staged_entries_is_told_of() {
    let (lines, _guard) = Lines::record();
    let journal = memory();
    let server = Server::start(journal.clone(), little_memory);
    let option = map([("metadata", map([("k", V::from(1))])), ("chunk", "id".into())]);
    let message = encode(&array(["t".into(), V::Array(entries(2_000)), option]));
    assert_eq!(server.exchange(&message).await, ack("id"));
    let figures = server.end().await;
    assert_eq!((figures.metadata_too_late, figures.appended), (1, 2_000));
    assert!(lines.of("WARN")[0].contains("metadata_too_late"));
}

/// Sees what it is given and keeps nothing.
#[derive(Debug)]
struct Sink(MemoryJournal);
impl logmon_core::Journal for Sink {
    fn append(&self, batch: logmon_core::NewBatch) -> logmon_core::Commit {
        self.0.append(batch)
    }
    fn stage(
        &self,
    ) -> logmon_core::BoxFuture<'_, Result<Box<dyn logmon_core::Staging>, AppendError>> {
        Box::pin(std::future::ready(Ok(Box::new(Count(0)) as _)))
    }
    fn read(
        &self,
        from: logmon_core::Position,
        most: usize,
    ) -> logmon_core::BoxFuture<'_, Result<Option<logmon_core::Group>, logmon_core::ReadError>>
    {
        self.0.read(from, most)
    }
    fn head(&self) -> logmon_core::Position {
        self.0.head()
    }
    fn oldest(&self) -> logmon_core::Position {
        self.0.oldest()
    }
    fn advanced(&self, seq: u64) -> logmon_core::BoxFuture<'_, ()> {
        self.0.advanced(seq)
    }
}

/// Counts events.
#[derive(Debug)]
struct Count(u64);
impl logmon_core::Staging for Count {
    fn push(
        &mut self,
        batch: logmon_core::NewBatch,
    ) -> logmon_core::BoxFuture<'_, Result<(), AppendError>> {
        assert!(batch.entries.payload().len() < 3 << 20);
        self.0 += batch.entries.len() as u64;
        Box::pin(std::future::ready(Ok(())))
    }
    fn commit(self: Box<Self>, _: Vec<logmon_core::Fingerprint>) -> logmon_core::Commit {
        let first = crate::journals::position(1);
        logmon_core::Commit::ready(Ok(logmon_core::Committed::new(first, self.0 + 1)))
    }
}

/// F-053: memory does not grow with the message: 256 MiB through what may hold 8 MiB.
#[tokio::test]
async fn a_huge_message_takes_little_memory() {
    let server = Server::start(Arc::new(Sink(MemoryJournal::new(1))), |_| {});
    let block = packed(&vec![entry(1, &"x".repeat(1_000)); 1_000]);
    let rounds = (256 << 20) / block.len() + 1;
    let len = u32::try_from(block.len() * rounds).unwrap();
    let mut client = server.connect().await;
    client.write_all(&[b"\x93\xa1t\xdb", &len.to_be_bytes()[..]].concat()).await.unwrap();
    client.write_all(&block).await.unwrap();
    let before = resident();
    for _ in 1..rounds {
        client.write_all(&block).await.unwrap();
    }
    client.write_all(&encode(&chunk("id"))).await.unwrap();
    expect(&mut client, &ack("id")).await;
    let grown = resident().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes more");
    drop(client);
    assert_eq!(server.end().await.appended, rounds as u64 * 1_000);
}

/// The bytes of memory of this process, where the system tells.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<usize>().ok());
    kib.unwrap_or(0) * 1024
}

/// A-5: what is refused is in the quarantine before the acknowledgement, with its bytes.
#[tokio::test]
async fn refusals_are_kept_before_the_acknowledgement() {
    let gate = Arc::new(Semaphore::new(0));
    let quarantine = HandQuarantine::behind(&gate);
    let journal = memory();
    let server = Server::start_with(journal.clone(), Some(quarantine.clone()), |_| {});
    let wrong = [array([1.into(), "no map".into()]), array([2.into(), V::Nil])];
    let all = array([entry(1, "a"), wrong[0].clone(), entry(2, "b"), wrong[1].clone()]);
    let message = encode(&array(["t".into(), all, chunk("id")]));
    let mut client = server.connect().await;
    client.write_all(&message).await.unwrap();
    // A whole message goes by on another connection before the quarantine takes anything.
    let other = encode(&array(["t".into(), array([entry(1, "other")]), chunk("other")]));
    assert_eq!(server.exchange(&other).await, ack("other"));
    assert!(client.try_read(&mut [0; 1]).is_err());
    gate.add_permits(1);
    expect(&mut client, &ack("id")).await;
    let tag_less = encode(&array([V::Nil, array([entry(1, "c")]), chunk("whole")]));
    gate.add_permits(1);
    client.write_all(&tag_less).await.unwrap();
    expect(&mut client, &ack("whole")).await;
    let peer = client.local_addr().unwrap().to_string();
    drop(client);
    let figures = server.end().await;
    assert_eq!((figures.quarantined, figures.quarantine_failed), (2, 0));
    let items = quarantine.items();
    let (entries, whole) = (&items[0], &items[1]);
    assert_eq!(entries.kind, QuarantinedKind::Entries);
    assert_eq!((entries.reason.as_str(), entries.count), ("entry_record", 2));
    assert_eq!(entries.bytes, packed(&wrong));
    assert_eq!(entries.full_bytes, packed(&wrong).len() as u64);
    assert_eq!((entries.tag.as_deref(), entries.peer.as_ref()), (Some("t"), Some(&peer)));
    assert_eq!(entries.origin, "forward");
    assert_eq!((whole.kind, whole.reason.as_str()), (QuarantinedKind::Message, "tag_type"));
    assert_eq!(whole.bytes, tag_less);
}

/// What is kept of one message is bounded, and its length told.
#[tokio::test]
async fn what_is_kept_is_bounded() {
    let quarantine = Arc::new(HandQuarantine::default());
    let server = Server::start_with(memory(), Some(quarantine.clone()), |config| {
        little_memory(config);
        config.settings.limits.max_kept_entry_bytes = 1_000;
        config.settings.limits.max_kept_message_bytes = 5_000;
    });
    let wrong = array([1.into(), "x".repeat(300).into()]);
    let len = encode(&wrong).len();
    let entries = encode(&array(["t".into(), V::Array(vec![wrong; 10])]));
    let whole = encode(&array([V::Nil, V::Binary(vec![0x92; 10_000])]));
    let oversize = encode(&array(["t".into(), V::Binary(vec![0x92; 2 << 20])]));
    let bytes = [&entries[..], &whole, &oversize].concat();
    server.exchange(&bytes).await;
    server.end().await;
    let kept: Vec<_> =
        quarantine.items().iter().map(|item| (item.bytes.len(), item.full_bytes)).collect();
    let full = [len * 10, whole.len(), oversize.len()].map(|len| len as u64);
    assert_eq!(kept, [(len * 3, full[0]), (5_000, full[1]), (1_000, full[2])]);
    assert_eq!(quarantine.items()[2].bytes, oversize[..1_000]);
}

/// A-5: a quarantine that fails is told of and counted, and costs no acknowledgement.
#[tokio::test]
async fn a_broken_quarantine_costs_no_acknowledgement() {
    let (lines, _guard) = Lines::record();
    let server = Server::start_with(memory(), Some(HandQuarantine::broken()), |_| {});
    let wrong = encode(&array([V::Nil, array([entry(1, "c")]), chunk("id")]));
    assert_eq!(server.exchange(&wrong).await, ack("id"));
    let figures = server.end().await;
    assert_eq!((figures.quarantine_failed, figures.quarantined), (1, 0));
    assert_eq!((figures.rejected_acked, figures.acks_sent), (1, 1));
    assert!(lines.of("WARN").iter().any(|line| line.contains("the disk is full")));
}

/// `invalid_event = drop` keeps nothing; `close` acknowledges nothing, whatever was wrong.
#[tokio::test]
async fn invalid_events_are_kept_dropped_or_the_end() {
    let wrong = encode(&array([V::Nil, array([entry(1, "c")]), chunk("id")]));
    let too_big = encode(&array(["t".into(), V::Binary(vec![0x92; 9_000]), chunk("id")]));
    let too_deep =
        format!(r#"["t",1,{{"a":{}{}}},{{"chunk":"id"}}]"#, "[".repeat(200), "]".repeat(200));
    let start = |invalid_event, quarantine: &Arc<HandQuarantine>| {
        Server::start_with(memory(), Some(quarantine.clone()), |config| {
            config.settings.invalid_event = invalid_event;
            config.settings.limits.max_message_bytes = 8_000;
        })
    };
    let quarantine = Arc::new(HandQuarantine::default());
    let server = start(InvalidEvent::Drop, &quarantine);
    assert_eq!(server.exchange(&wrong).await, ack("id"));
    server.end().await;
    assert!(quarantine.items().is_empty());
    for (message, reason) in [
        (&wrong[..], "tag_type"),
        (&too_big, "message_too_big"),
        (too_deep.as_bytes(), "json_too_deep"),
    ] {
        let server = start(InvalidEvent::Close, &quarantine);
        let mut client = server.connect().await;
        client.write_all(message).await.unwrap();
        // Closed by the server: our side stays open.
        let mut answer = [0; 64];
        let end = tokio::time::timeout(Duration::from_secs(5), client.read(&mut answer));
        assert_eq!(end.await.unwrap().unwrap(), 0, "{reason}");
        drop(client);
        assert_eq!(server.end().await.rejected.get(reason), Some(&1), "{reason}");
    }
    assert!(quarantine.items().is_empty());
}

/// A long message is told of, with its tag and length, and taken.
#[tokio::test]
async fn long_messages_are_told_of() {
    let (lines, _guard) = Lines::record();
    let journal = memory();
    let server = Server::start(journal.clone(), |config| {
        config.settings.warn_message_bytes = Some(1_000);
    });
    let of = |tag: &str, count| encode(&array([tag.into(), V::Array(entries(count))]));
    server.exchange(&[of("short", 5), of("long.one", 20)].concat()).await;
    server.end().await;
    let warned = lines.of("WARN");
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(warned[0].contains("long_message") && warned[0].contains("long.one"));
    assert!(warned[0].contains("bytes="));
    assert_eq!(stored(&journal).await.len(), 25);
}
