//! Entries in a str or bin.

use super::*;

/// Payloads are slices of what was read, not copies (the fast path of packed and forward).
#[test]
fn packed_payloads_are_kept_as_they_came() {
    let payload = packed(&[entry(1, "a"), entry(2, "b")]);
    for message in [
        array(["t".into(), V::Binary(payload.clone())]),
        array(["t".into(), array([entry(1, "a"), entry(2, "b")]), map([("size", 2.into())])]),
    ] {
        let bytes = encode(&message);
        let message = decode_one(&bytes);
        assert_eq!(message.batches[0].entries.payload(), &payload);
    }
}

/// F-017, F-018, F-021: each header of bin and str.
#[test]
fn payloads_have_six_headers() {
    let entry = packed(&[array([1.into(), map([("message", V::Binary(vec![0xff; 9]))])])]);
    let long: Vec<u8> = entry.iter().copied().cycle().take(entry.len() * 2_000).collect();
    for payload in [&entry, &gzip(&entry), &long] {
        let len = u32::try_from(payload.len()).unwrap();
        let [_, _, short @ ..] = len.to_be_bytes();
        let events = if payload.len() > 100 { 2_000 } else { 1 };
        let mut headers = vec![
            [&[0xc6][..], &len.to_be_bytes()].concat(),
            [&[0xdb][..], &len.to_be_bytes()].concat(),
        ];
        if let Ok(short_len) = u16::try_from(len) {
            assert_eq!(short, short_len.to_be_bytes());
            headers.push([&[0xc5][..], &short].concat());
            headers.push([&[0xda][..], &short].concat());
        }
        if let Ok(byte) = u8::try_from(len) {
            headers.extend([vec![0xc4, byte], vec![0xd9, byte]]);
        }
        for header in headers {
            let bytes = [b"\x92\xa1t", &header[..], payload].concat();
            assert_eq!(decode_one(&bytes).events(), events);
        }
    }
}

/// F-131, R-014, R-017: what is whole is taken, the rest of the bytes is not.
#[test]
fn a_cut_payload_keeps_its_whole_entries() {
    let mut payload = packed(&[entry(1, "a"), entry(2, "b"), entry(3, "c")]);
    payload.truncate(payload.len() - 4);
    let text = [packed(&[entry(1, "a"), entry(2, "b")]), b"garbage".to_vec()].concat();
    let behind = [gzip(&packed(&[entry(1, "a"), entry(2, "b")])), b"garbage".to_vec()].concat();
    for payload in [payload.clone(), gzip(&payload), text, behind] {
        let message = decode_one(&compressed(&payload, Some("text")));
        assert_eq!(message.events(), 2);
        assert_eq!((refused(&[message])), [("trailing_garbage", 1)]);
    }
}

/// A payload that is kept, for the journal or the quarantine, keeps no more than twice its own
/// bytes of what was read with it.
#[test]
fn payloads_do_not_keep_what_was_read_with_them() {
    const READ: usize = 1 << 20;
    let of = |len: usize, head: V| {
        let payload = packed(&[entry(1, &"x".repeat(len))]);
        encode(&array([head, V::Binary(payload)]))
    };
    // The last message stands alone at the end of the buffer.
    for (last, is_refused) in [(2_000, false), (300_000, false), (900_000, false), (300_000, true)]
    {
        let last = of(last, if is_refused { V::Nil } else { "t".into() });
        let mut bytes = Vec::with_capacity(READ);
        while bytes.len() + last.len() + 2_000 < READ {
            bytes.extend(of(1_000, "t".into()));
        }
        bytes.extend(&last);
        let mut decoder = decoder(Settings::default());
        decoder.buffer().reserve(READ);
        decoder.buffer().extend_from_slice(&bytes);
        let mut kept = Vec::new();
        while let Ok(logmon_forward::codec::Next::Message(message)) =
            decoder.next_message(logmon_core::Timestamp::EPOCH, usize::MAX)
        {
            let payloads = message.batches.iter().map(|batch| batch.entries.payload().clone());
            kept.extend(payloads.chain(message.rejected.iter().map(|reject| reject.bytes.clone())));
        }
        drop(decoder);
        assert!(kept.len() > 10);
        for payload in kept {
            let len = payload.len();
            let mut payload = payload.try_into_mut().unwrap();
            payload.clear();
            assert!(!payload.try_reclaim(len * 2 + 100), "{len} bytes keep more than twice that");
        }
    }
}

/// What says that it is longer than any entry, and than what is left of the payload, is no entry
/// that is too long, held or in parts.
#[test]
fn what_reaches_behind_the_payload_is_no_entry() {
    let tail = b"\x92\x01\x81\xa1k\xdb\x7f\xff\xff\xffabc";
    let payload = [packed(&[entry(1, "a"), entry(2, "b")]), tail.to_vec()].concat();
    let bytes = encode(&array(["t".into(), V::Binary(payload), chunk("id")]));
    let mut parted = Settings::default();
    parted.limits.max_buffered_bytes = 20;
    for settings in [Settings::default(), parted] {
        for step in [1, 30, 1_000] {
            let (messages, error) = decode_pieces(settings.clone(), bytes.chunks(step));
            assert_eq!((error, refused(&messages)), (None, vec![("trailing_garbage", 1)]));
            assert_eq!(messages[0].rejected[0].bytes, &tail[..]);
            assert_eq!((events(&messages).len(), chunks(&messages).len()), (2, 1));
        }
    }
}
