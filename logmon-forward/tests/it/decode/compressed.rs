//! Entries in a str or bin, compressed.

use logmon_core::Codec;

use super::*;

/// F-022, F-024, R-017: any number of members, an empty one among them, cut through an entry.
#[test]
fn gzip_members_are_one_payload() {
    let entries = packed(&[entry(1, "a"), entry(2, "b"), entry(3, "c")]);
    let (start, rest) = entries.split_at(20);
    let (middle, end) = rest.split_at(3);
    for members in [
        [gzip(start), gzip(rest)].concat(),
        [gzip(start), gzip(middle), gzip(end)].concat(),
        [gzip(start), gzip(b""), gzip(rest)].concat(),
    ] {
        let message = decode_one(&compressed(&members, Some("gzip")));
        assert_eq!((message.mode, message.events()), (Mode::Gzip, 3));
        assert!(message.rejected.is_empty());
    }
}

/// F-023: the first bytes of a member inside a member's data are data.
#[test]
fn gzip_data_may_look_like_a_member() {
    let text = "\u{1f}\u{8b}\u{8}";
    let mut encoder = flate2::GzBuilder::new().write(Vec::new(), flate2::Compression::none());
    let raw = map([("message", V::Binary(b"\x1f\x8b\x08\x1f\x8b\x08".to_vec()))]);
    let payload = packed(&[array([1.into(), raw]), entry(2, text)]);
    std::io::Write::write_all(&mut encoder, &payload).unwrap();
    let bytes = encoder.finish().unwrap();
    assert!(bytes.windows(3).skip(1).any(|window| window == b"\x1f\x8b\x08"));
    assert_eq!(decode_one(&compressed(&bytes, Some("gzip"))).events(), 2);
}

/// F-025, F-026.
#[test]
fn zstd_frames_are_one_payload() {
    let message = decode_one(&compressed(&example("zstd-payload"), Some("zstd")));
    assert_eq!((message.mode, message.events()), (Mode::Zstd, 2));
    let skippable = b"\x50\x2a\x4d\x18\x03\0\0\0xyz";
    let entries = packed(&[entry(1, "a"), entry(2, "b")]);
    let (start, end) = entries.split_at(9);
    for frames in [
        [&zstd(start)[..], skippable, &zstd(end)].concat(),
        [skippable, &zstd(start)[..], &zstd(end)].concat(),
    ] {
        assert_eq!(decode_one(&compressed(&frames, Some("zstd"))).events(), 2);
    }
}

/// F-153: what came compressed is kept in that form where it is just the events and nothing else.
#[test]
fn the_compressed_form_is_kept_where_it_is_the_events() {
    let many: Vec<V> = (0..40).map(|n| entry(n, "the same text")).collect();
    let entries = packed(&many);
    let kept = |bytes: &[u8]| {
        let message = decode_one(bytes);
        assert!(!message.batches.is_empty());
        let forms: Vec<_> = message.batches.iter().map(|batch| batch.compressed.clone()).collect();
        assert!(forms.len() == 1 || forms.iter().all(Option::is_none), "{forms:?}");
        forms[0].as_ref().map(|form| (form.codec, form.bytes.to_vec()))
    };
    let (start, end) = entries.split_at(9);
    let members = [gzip(start), gzip(b""), gzip(end)].concat();
    for (payload, name, codec) in [
        (gzip(&entries), "gzip", Codec::Gzip),
        (members, "gzip", Codec::Gzip),
        (zstd(&entries), "zstd", Codec::Zstd),
        // Told wrong, but it is what it is.
        (zstd(&entries), "gzip", Codec::Zstd),
    ] {
        assert_eq!(kept(&compressed(&payload, Some(name))), Some((codec, payload)));
    }
    // An entry is dropped, something stands behind them, metadata is added, or it is no smaller.
    let broken = packed(&[many.clone(), vec![V::Nil, array([1.into()])], many].concat());
    assert_eq!(kept(&compressed(&gzip(&broken), Some("gzip"))), None);
    let garbage = [gzip(&entries), b"garbage".to_vec()].concat();
    assert_eq!(kept(&compressed(&garbage, Some("gzip"))), None);
    let option = map([("metadata", map([("k", V::from("v"))])), ("compressed", "gzip".into())]);
    assert_eq!(kept(&encode(&array(["t".into(), V::Binary(gzip(&entries)), option]))), None);
    let one = packed(&[entry(1, "a")]);
    assert_eq!(kept(&compressed(&gzip(&one), Some("gzip"))), None);
    assert_eq!(kept(&compressed(&entries, Some("text"))), None);
}

/// F-153: a payload that others may not be able to read is taken, but not kept in that form: a
/// journal's reader has bounds for the names in a header, and what it cannot read is lost.
#[test]
fn unusual_compressed_payloads_are_not_kept() {
    let entries = packed(&(0..9_000).map(|n| entry(n, "the same text")).collect::<Vec<_>>());
    for (len, is_kept) in [(100, true), (70_000, false)] {
        let name = "n".repeat(len);
        let level = flate2::Compression::fast();
        let mut encoder = flate2::GzBuilder::new().filename(name).write(Vec::new(), level);
        std::io::Write::write_all(&mut encoder, &entries).unwrap();
        let payload = [gzip(b""), encoder.finish().unwrap()].concat();
        assert!(payload.len() < entries.len());
        let message = decode_one(&compressed(&payload, Some("gzip")));
        assert_eq!(message.events(), 9_000);
        assert_eq!(message.batches[0].compressed.is_some(), is_kept, "{len}");
    }
}

/// F-027, F-028, F-029, R-016: the bytes themselves tell what they are.
#[test]
fn first_bytes_win_over_the_option() {
    let entries = packed(&[entry(1, "a")]);
    for (payload, name, mode) in [
        (gzip(&entries), None, Mode::Gzip),
        (gzip(&entries), Some("text"), Mode::Gzip),
        (zstd(&entries), Some("gzip"), Mode::Zstd),
        (entries.clone(), Some("gzip"), Mode::Packed),
        (entries.clone(), Some("lz4"), Mode::Packed),
        (gzip(&entries), Some("br"), Mode::Gzip),
    ] {
        let message = decode_one(&compressed(&payload, name));
        assert_eq!((message.mode, message.events()), (mode, 1));
        assert_eq!(message.warnings, [Warning::CompressionMismatch]);
    }
}

/// F-030, F-130, R-019, 6.2-11 and 6.2-12: nothing of a damaged payload is taken, and the peer is
/// told not to send it again.
#[test]
fn damaged_payloads_are_refused_whole() {
    let entries = packed(&[entry(1, "a"), entry(2, "b")]);
    let mut bad_sum = [gzip(&entries), gzip(&entries)].concat();
    let at = bad_sum.len() - 8;
    bad_sum[at] ^= 1;
    let cut = &gzip(&entries)[..gzip(&entries).len() - 3];
    let cut_zstd = &zstd(&entries)[..zstd(&entries).len() - 3];
    let lz4 = b"\x04\x22\x4d\x18\x64\x40\xa7";
    for (payload, name, reason) in [
        (&bad_sum[..], "gzip", "corrupt_compression"),
        (cut, "gzip", "corrupt_compression"),
        (cut_zstd, "zstd", "corrupt_compression"),
        (lz4, "lz4", "unsupported_compression"),
        (b"plain", "gzip", "corrupt_compression"),
    ] {
        let bytes = [compressed(payload, Some(name)), example("message")].concat();
        let messages = decode(&bytes);
        assert_eq!(refused(&messages), [(reason, 1)], "{name}");
        assert_eq!(chunks(&messages), [b"id"]);
        assert_eq!(events(&messages).len(), 1, "the connection goes on");
    }
    let twice = decode_one(&compressed(&gzip(&gzip(&entries)), Some("gzip")));
    assert_eq!((twice.events(), refused(&[twice])), (0, vec![("trailing_garbage", 1)]));
}

/// F-128, F-129, R-018: the cap is on what is made, not on what is declared.
#[test]
fn bombs_stop_at_the_cap() {
    let mut settings = Settings::default();
    settings.limits.max_decompressed_bytes = 1 << 20;
    let zeros = vec![0; 64 << 20];
    for (payload, name) in [(gzip(&zeros), "gzip"), (zstd(&zeros), "zstd")] {
        let bytes = compressed(&payload, Some(name));
        let (messages, error) = decode_pieces(settings.clone(), [&bytes[..]]);
        assert_eq!(error, None);
        assert_eq!(refused(&messages), [("decompressed_too_big", 1)]);
        assert_eq!(chunks(&messages), [b"id"]);
    }
    // A window of 2 GiB, and a content of 2^63 bytes.
    for head in [&[0x00, 0xa8][..], &[0xe0, 0, 0, 0, 0, 0, 0, 0, 0x80]] {
        let frame = [b"\x28\xb5\x2f\xfd", head, &[0x01, 0, 0]].concat();
        let message = decode_one(&compressed(&frame, Some("zstd")));
        assert_eq!(refused(&[message]), [("corrupt_compression", 1)]);
    }
}

/// A compressed payload says how much room it may take before it takes it.
#[test]
fn decompression_waits_for_room() {
    use logmon_forward::codec::Next;
    let payload = zstd(&packed(&vec![entry(1, &"x".repeat(1_000)); 20_000]));
    let mut settings = Settings::default();
    settings.limits.max_buffered_bytes = 64 << 20;
    let mut decoder = decoder(settings);
    decoder.buffer().extend_from_slice(&compressed(&payload, Some("zstd")));
    let now = logmon_core::Timestamp::EPOCH;
    let (mut room, mut asked) = (0, Vec::new());
    let message = loop {
        match decoder.next_message(now, room).unwrap() {
            Next::Message(message) => break message,
            Next::NeedsRoom(more) => {
                asked.push(more);
                room = more;
            }
            next => panic!("{next:?}"),
        }
    };
    assert_eq!(message.events(), 20_000);
    assert_eq!(asked[0], 64 << 10);
    assert!(asked.windows(2).all(|pair| pair[1] == (pair[0] * 4).min(64 << 20)), "{asked:?}");
    decoder.buffer().extend_from_slice(&example("packed-gzip"));
    let Ok(Next::NeedsRoom(little)) = decoder.next_message(now, 0) else { panic!() };
    assert_eq!(little, 54 * 1032);
}
