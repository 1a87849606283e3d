//! Any bytes, whole and in pieces, held and handed out in parts: no panic, and the pieces change
//! nothing.
//!
//! Input: a count of pieces, that many lengths of one byte each, then the stream.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use logmon_core::Timestamp;
use logmon_forward::codec::{AckWire, Decoder, Next, Settings};

/// What a stream comes to: payloads by tag, acknowledgements, refusals by reason, and the end.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    events: Vec<(String, Vec<u8>)>,
    acks: Vec<u8>,
    refused: Vec<(&'static str, u32)>,
    end: Option<(&'static str, u64)>,
}

impl Outcome {
    fn event(&mut self, tag: &str, payload: &[u8]) {
        match self.events.last_mut() {
            Some((last, bytes)) if last == tag => bytes.extend_from_slice(payload),
            _ => self.events.push((tag.to_owned(), payload.to_vec())),
        }
    }

    fn refusal(&mut self, code: &'static str, count: u32) {
        match self.refused.iter_mut().find(|(known, _)| *known == code) {
            Some((_, known)) => *known += count,
            None => self.refused.push((code, count)),
        }
    }
}

fn decode<'a>(settings: &Arc<Settings>, pieces: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let mut decoder = Decoder::new(settings.clone());
    let mut outcome = Outcome::default();
    let mut parts = Vec::new();
    for piece in pieces {
        decoder.buffer().extend_from_slice(piece);
        loop {
            match decoder.next_message(Timestamp::EPOCH, usize::MAX) {
                Ok(Next::Part(batch)) => parts.push(batch),
                Ok(Next::Void) => parts.clear(),
                Ok(Next::Message(message)) => {
                    assert_eq!(message.parted > 0, !parts.is_empty());
                    for batch in parts.drain(..).chain(message.batches) {
                        outcome.event(&batch.tag, batch.entries.payload());
                    }
                    message.chunks.write_acks(AckWire::Msgpack, &mut outcome.acks);
                    for reject in &message.rejected {
                        outcome.refusal(reject.reason.code(), reject.count);
                    }
                }
                Ok(Next::NeedsBytes | Next::NeedsRoom(_)) => break,
                Err(error) => {
                    outcome.end = Some((error.reason.code(), error.offset));
                    break;
                }
            }
        }
    }
    outcome.refused.sort_unstable();
    outcome
}

fuzz_target!(|data: &[u8]| {
    let Some((&count, rest)) = data.split_first() else { return };
    let Some((lengths, stream)) = rest.split_at_checked(usize::from(count)) else { return };
    let mut settings = Settings::default();
    settings.limits.max_decompressed_bytes = 1 << 20;
    if count % 2 == 1 {
        settings.limits.max_message_bytes = 100;
    }
    if count % 4 >= 2 {
        settings.group_attributes_key = Some("group".to_owned());
    }
    let mut parted = settings.clone();
    parted.limits.max_buffered_bytes = 20;
    parted.limits.part_bytes = 50;
    let settings = Arc::new(settings);
    let mut left = stream;
    let pieces = lengths.iter().map(|length| {
        let (piece, rest) = left.split_at(usize::from(*length).min(left.len()));
        left = rest;
        piece
    });
    let mut pieces: Vec<_> = pieces.collect();
    pieces.push(left);
    let whole = decode(&settings, std::iter::once(stream));
    assert_eq!(decode(&settings, pieces.iter().copied()), whole);
    // In parts, the pieces change nothing either. (The metadata of an option is a matter of what is
    // held, so parts are not compared with the whole here.)
    let parted = Arc::new(parted);
    let whole = decode(&parted, std::iter::once(stream));
    assert_eq!(decode(&parted, pieces.into_iter()), whole);
});
