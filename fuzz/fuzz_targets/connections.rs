//! Several connections whose pieces come in any order, over one journal: the events and the
//! acknowledgements of each are those of a decoder that reads its bytes alone.
//!
//! Input: operations of one byte and a piece. Of the byte, the two highest bits are the connection,
//! the others the length of the piece.
#![no_main]

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use libfuzzer_sys::fuzz_target;
use logmon_core::{Event as _, Journal as _, MemoryJournal, NewBatch, Staging, Timestamp};
use logmon_forward::codec::{Decoder, Message, Next, Settings};

const CONNECTIONS: usize = 4;

/// One connection, and what has come of it.
struct Connection {
    decoder: Decoder,
    staging: Option<Box<dyn Staging>>,
    bytes: Vec<u8>,
    acks: Vec<u8>,
    end: Option<&'static str>,
}

/// What is ready at once, as all of a journal in memory is.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a journal in memory has nothing to wait for"),
    }
}

/// The settings of a connection: its tags tell it, and each holds another amount.
fn settings(number: usize) -> Arc<Settings> {
    let mut settings = Settings::default();
    settings.add_tag_prefix = Some(format!("c{number}"));
    settings.limits.max_decompressed_bytes = 1 << 20;
    if number % 2 == 1 {
        settings.limits.max_buffered_bytes = 20 * number;
        settings.limits.part_bytes = 50;
    }
    if number >= 2 {
        settings.limits.max_message_bytes = 200;
        settings.group_attributes_key = Some("group".to_owned());
    }
    Arc::new(settings)
}

impl Connection {
    fn new(number: usize) -> Self {
        let decoder = Decoder::new(settings(number));
        Self { decoder, staging: None, bytes: Vec::new(), acks: Vec::new(), end: None }
    }

    fn receive(&mut self, piece: &[u8], journal: &MemoryJournal) {
        self.bytes.extend_from_slice(piece);
        if self.end.is_some() {
            return;
        }
        self.decoder.buffer().extend_from_slice(piece);
        loop {
            match self.decoder.next_message(Timestamp::EPOCH, usize::MAX) {
                Ok(Next::Part(batch)) => self.stage(batch, journal),
                Ok(Next::Void) => self.staging = None,
                Ok(Next::Message(message)) => self.take(message, journal),
                Ok(Next::NeedsBytes | Next::NeedsRoom(_)) => return,
                Err(error) => {
                    self.end = Some(error.reason.code());
                    return;
                }
            }
        }
    }

    fn stage(&mut self, batch: NewBatch, journal: &MemoryJournal) {
        let mut staging =
            self.staging.take().unwrap_or_else(|| now(journal.stage()).expect("there is room"));
        now(staging.push(batch)).expect("there is room");
        self.staging = Some(staging);
    }

    fn take(&mut self, mut message: Message, journal: &MemoryJournal) {
        assert_eq!(message.parted > 0, self.staging.is_some());
        let batches = std::mem::take(&mut message.batches);
        if self.staging.is_some() {
            batches.into_iter().for_each(|batch| self.stage(batch, journal));
            let staging = self.staging.take().expect("it is there");
            now(staging.commit(Vec::new())).expect("it is kept");
        } else {
            for batch in batches {
                now(journal.append(batch)).expect("it is kept");
            }
        }
        message.chunks.write_acks(self.decoder.wire(), &mut self.acks);
    }
}

/// The tags and entries of a journal that begin with a prefix, in order.
fn events(journal: &MemoryJournal, prefix: &str) -> Vec<(String, Vec<u8>)> {
    let (mut from, mut all) = (journal.oldest(), Vec::new());
    while let Some(group) = now(journal.read(from, usize::MAX)).expect("it is there") {
        let mine = group.iter().filter(|log| log.tag().starts_with(prefix));
        all.extend(mine.map(|log| (log.tag().to_owned(), log.entry().to_vec())));
        from = group.end();
    }
    all
}

fuzz_target!(|data: &[u8]| {
    let journal = MemoryJournal::new(1 << 30);
    let mut connections: [_; CONNECTIONS] = std::array::from_fn(Connection::new);
    let mut rest = data;
    while let Some((&operation, behind)) = rest.split_first() {
        let length = usize::from(operation & 0x3f).min(behind.len());
        let (piece, behind) = behind.split_at(length);
        connections[usize::from(operation >> 6)].receive(piece, &journal);
        rest = behind;
    }
    let mut stored = 0;
    for (number, connection) in connections.iter().enumerate() {
        let alone = MemoryJournal::new(1 << 30);
        let mut reader = Connection::new(number);
        reader.receive(&connection.bytes, &alone);
        let prefix = format!("c{number}");
        let expected = events(&alone, &prefix);
        assert_eq!(events(&journal, &prefix), expected);
        assert_eq!(connection.acks, reader.acks);
        assert_eq!(connection.end, reader.end);
        assert_eq!(alone.head().seq - alone.oldest().seq, expected.len() as u64);
        stored += expected.len() as u64;
    }
    assert_eq!(journal.head().seq - journal.oldest().seq, stored, "of whom are the others?");
});
