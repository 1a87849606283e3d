//! What stands on the wire.

use std::sync::Arc;

use logmon_core::{Journal as _, Log, MemoryJournal, Sink as _, SinkBatch, Timestamp, Verdicts};
use logmon_forward::Sender;
use logmon_forward::codec::{
    AckWire, Compressed, Decoder, EntriesFormat, Next, Packed, PackedForm, write_packed_as,
};
use logmon_forward::sender::{Compression, Metadata, SenderConfig};
use rmpv::Value as V;

use super::script::*;
use crate::common::*;

/// The chunk that comes of one send.
async fn chunk_of(
    change: impl FnOnce(&mut SenderConfig),
    sending: impl AsyncFnOnce(&Sender),
) -> Chunk {
    let script = Script::bind().await;
    let mut config = config(script.address());
    change(&mut config);
    let sender = Sender::new(config).unwrap();
    let serving = async {
        let mut wire = script.accept().await;
        let chunk = wire.chunk().await;
        wire.ack(&chunk.id).await;
        chunk
    };
    let ((), chunk) = tokio::join!(sending(&sender), serving);
    chunk
}

fn time() -> Timestamp {
    Timestamp::from_nanos(1_441_588_984_500_000_000)
}

async fn one_log(sender: &Sender) {
    sender.send_logs(&[Log::new("foo").tag("app.web").timestamp(time())]).await.unwrap();
}

/// S-1: a bin of `[EventTime, record]` and the options `size` and `chunk`, nothing else.
#[tokio::test]
async fn the_default_is_what_everybody_reads() {
    let chunk = chunk_of(|_| {}, one_log).await;
    let entry = array([event_time(1_441_588_984, 500_000_000), record("foo")]);
    assert_eq!((chunk.tag.as_str(), chunk.bytes()), ("app.web", &encode(&entry)[..]));
    let option = map([("size", 1.into()), ("chunk", V::from(chunk.id.as_str()))]);
    assert_eq!(chunk.option, option);
}

/// S-1: for Fluentd 0.12.
#[tokio::test]
async fn old_servers_get_str_and_seconds() {
    let old = |config: &mut SenderConfig| {
        config.entries_format = EntriesFormat::Str32;
        config.time_as_integer = true;
    };
    let chunk = chunk_of(old, one_log).await;
    let entry = encode(&array([1_441_588_984.into(), record("foo")]));
    let V::String(payload) = &chunk.payload else { panic!("{:?}", chunk.payload) };
    assert_eq!(payload.as_bytes(), entry);
}

/// S-3: compressed payloads, and the name of the compression.
#[tokio::test]
async fn payloads_are_compressed_when_asked() {
    let plain = chunk_of(|_| {}, one_log).await.bytes().to_vec();
    let chunk = chunk_of(|config| config.compression = Compression::gzip(), one_log).await;
    assert_eq!(chunk.option("compressed"), Some(&"gzip".into()));
    let mut inflated = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(chunk.bytes());
    std::io::Read::read_to_end(&mut decoder, &mut inflated).unwrap();
    assert_eq!(inflated, plain);
    let chunk = chunk_of(|config| config.compression = Compression::zstd(), one_log).await;
    assert_eq!(chunk.option("compressed"), Some(&"zstd".into()));
    assert_eq!(::zstd::stream::decode_all(chunk.bytes()).unwrap(), plain);
}

/// F-153: a compressed payload that came in goes out byte by byte as it was, and so do several
/// behind each other.
#[tokio::test]
async fn compressed_payloads_leave_as_they_came() {
    let (one, two) = (gzip(&packed(&[entry(1, "a")])), gzip(&packed(&[entry(2, "b")])));
    let both = [one, two].concat();
    let sent = both.clone();
    let chunk = chunk_of(
        |_| {},
        async move |sender| {
            sender.send_compressed("t", (&sent, Compressed::Gzip), 2).await.unwrap();
        },
    )
    .await;
    assert_eq!((chunk.bytes(), chunk.option("compressed")), (&both[..], Some(&"gzip".into())));
    assert_eq!(chunk.option("size"), Some(&2.into()));
}

/// F-153: the same at the level of the codec, through our decoder.
#[test]
fn relayed_payloads_are_read() {
    for (compressed, compress) in
        [(Compressed::Gzip, gzip as fn(&[u8]) -> Vec<u8>), (Compressed::Zstd, zstd)]
    {
        let both = [compress(&packed(&[entry(1, "a")])), compress(&packed(&[entry(2, "b")]))];
        let entries = both.concat();
        let mut out = Vec::new();
        let message = Packed { tag: "t", entries: &entries, events: 2, chunk: Some("id") };
        let form = PackedForm { compressed: Some(compressed), ..PackedForm::default() };
        write_packed_as(&mut out, &message, form);
        assert!(out.windows(entries.len()).any(|window| window == entries));
        let messages = decode(&out);
        let texts: Vec<String> = events(&messages).into_iter().map(|event| event.message).collect();
        assert_eq!(
            (texts, chunks(&messages)),
            (vec!["a".into(), "b".into()], vec![b"id".to_vec()])
        );
    }
}

/// Everything in a journal that took these bytes.
async fn batch(bytes: &[u8]) -> SinkBatch {
    let journal = MemoryJournal::new(1 << 20);
    let mut decoder = Decoder::new(Arc::default());
    decoder.buffer().extend_from_slice(bytes);
    while let Next::Message(message) = decoder.next_message(time(), usize::MAX).unwrap() {
        for batch in message.batches {
            journal.append(batch).await.unwrap();
        }
    }
    assert_eq!(decoder.wire(), AckWire::Msgpack);
    let group = journal.read(journal.oldest(), 1 << 20).await.unwrap().unwrap();
    let all: Vec<u32> = (0..u32::try_from(group.len()).unwrap()).collect();
    SinkBatch::new(group, all)
}

/// S-2: what came with metadata, from Fluent Bit, leaves as the server can read it.
#[tokio::test]
async fn metadata_is_dropped_kept_or_injected() {
    let header = array([event_time(7, 0), map([("k", "v".into())])]);
    let with = array([header, record("foo")]);
    let message = encode(&array(["t".into(), array([with.clone()])]));
    let sent = |metadata: Option<Metadata>| {
        let message = message.clone();
        chunk_of(
            move |config| config.metadata = metadata,
            async move |sender| {
                let written = sender.write(batch(&message).await).await;
                assert_eq!(written, Verdicts::All(logmon_core::Verdict::Delivered));
            },
        )
    };
    let without = array([event_time(7, 0), record("foo")]);
    assert_eq!(sent(None).await.bytes(), encode(&without));
    assert_eq!(sent(Some(Metadata::Keep)).await.bytes(), encode(&with));
    let inject = sent(Some(Metadata::Inject("meta".into()))).await;
    let both = map([("message", V::from("foo")), ("meta", map([("k", "v".into())]))]);
    assert_eq!(inject.bytes(), encode(&array([event_time(7, 0), both])));
}

/// F-140, S-16: chunks stay below what Fluent Bit takes; one longer event goes alone.
#[tokio::test]
async fn chunks_are_of_limited_size() {
    let script = Script::bind().await;
    let sender = Sender::new(config(script.address())).unwrap();
    let mut logs: Vec<Log> =
        (0..4_000).map(|n| Log::new(format!("{n} {}", "x".repeat(1_000)))).collect();
    logs.insert(2_000, Log::new("y".repeat(5 << 20)));
    let serving = async {
        let (mut wire, mut sizes, mut events) = (script.accept().await, Vec::new(), 0);
        while events < 4_001 {
            let chunk = wire.chunk().await;
            wire.ack(&chunk.id).await;
            events += chunk.option("size").and_then(V::as_u64).unwrap();
            sizes.push(chunk.bytes().len());
        }
        sizes
    };
    let (sent, sizes) = tokio::join!(sender.send_logs(&logs), serving);
    sent.unwrap();
    let long = sizes.iter().filter(|size| **size > 1 << 20).count();
    assert_eq!((sizes.len(), long), (5, 1), "{sizes:?}");
}
