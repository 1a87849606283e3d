//! Packed payloads that are not what they should be.

use rmpv::Value as V;

use super::Row;
use crate::common::*;

pub(super) fn rows() -> Vec<Row> {
    let mut rows = damaged();
    rows.extend(trailing());
    rows.extend(bombs());
    rows.extend(odd());
    rows
}

fn both() -> Vec<u8> {
    packed(&[entry(1, "a"), entry(2, "b")])
}

/// A payload whose compression the option tells.
fn message(payload: &[u8], compressed: &str) -> Vec<u8> {
    let option = map([("compressed", compressed.into()), ("chunk", "id".into())]);
    encode(&array(["t".into(), V::Binary(payload.to_vec()), option]))
}

fn damaged() -> Vec<Row> {
    let mut sum = [gzip(&both()), gzip(&both())].concat();
    let at = sum.len() - 8;
    sum[at] ^= 1;
    let cut = |bytes: Vec<u8>| bytes[..bytes.len() - 3].to_vec();
    let window = b"\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00".to_vec();
    let declared = b"\x28\xb5\x2f\xfd\xe0\x00\x00\x00\x00\x00\x00\x00\x80\x01\x00\x00".to_vec();
    let row = |(name, payload, kind, code): (_, Vec<u8>, _, _)| {
        Row::new(name, message(&payload, kind)).keeps_it_all().acked().refuses(code, 1)
    };
    let mut rows: Vec<_> = [
        ("6.2-11, F-130: a wrong sum", sum, "gzip", "corrupt_compression"),
        ("6.2-12: gzip without its end", cut(gzip(&both())), "gzip", "corrupt_compression"),
        ("6.2-12: zstd without its end", cut(zstd(&both())), "zstd", "corrupt_compression"),
        ("R-018, F-129: a window of 2 GiB", window, "zstd", "corrupt_compression"),
        ("R-018: zstd of 2^63 bytes", declared, "zstd", "corrupt_compression"),
    ]
    .map(row)
    .into();
    // What is in such a payload cannot be told, so that nobody knows what to say of the option.
    let unread = [
        ("R-016, F-030: unknown, and unreadable", "br", "unsupported_compression"),
        ("R-016: no gzip, and unreadable", "gzip", "corrupt_compression"),
    ];
    rows.extend(unread.map(|(name, kind, code)| {
        row((name, b"\x04\x22\x4d\x18plain".to_vec(), kind, code)).warns("compression_mismatch")
    }));
    rows
}

fn trailing() -> Vec<Row> {
    let with = |tail: &[u8]| [&both()[..], tail].concat();
    let half = &encode(&entry(3, "c"))[..9];
    let row = |(name, payload, kept): (_, Vec<u8>, &[u8])| {
        let row = Row::new(name, message(&payload, "text")).stores(&["a", "b"]);
        row.keeps(kept.to_vec()).acked().refuses("trailing_garbage", 1)
    };
    let gzipped = |bytes: Vec<u8>| [&gzip(&bytes)[..], b"garbage"].concat();
    let compressed = |(name, payload, kept): (_, Vec<u8>, &[u8])| {
        row((name, payload, kept)).warns("compression_mismatch")
    };
    let nothing = Row::new("R-019: gzip in gzip", message(&gzip(&gzip(&both())), "gzip"));
    vec![
        row(("R-014, 6.2-28, F-131: half an entry", with(half), half)),
        row(("6.2-28: text behind entries", with(b"garbage"), b"garbage")),
        compressed(("R-014: half an entry, gzip", gzip(&with(half)), half)),
        compressed(("R-017, 6.2-28: text behind gzip", gzipped(both()), b"")),
        nothing.keeps(gzip(&both())).acked().refuses("trailing_garbage", 1),
        Row::new("R-008: levels without end in a payload", message(&[0x91; 1_000_000], "text"))
            .acked()
            .refuses("trailing_garbage", 1),
    ]
}

fn bombs() -> Vec<Row> {
    let zeros = vec![0xc0; 16 << 20];
    [
        ("R-018, 6.2-10, F-128: a bomb of gzip", gzip(&zeros), "gzip"),
        ("R-018, 6.2-10, F-128: a bomb of zstd", zstd(&zeros), "zstd"),
    ]
    .map(|(name, bomb, kind)| {
        Row::new(name, message(&bomb, kind)).acked().refuses("decompressed_too_big", 1)
    })
    .into()
}

/// Payloads that are taken.
fn odd() -> Vec<Row> {
    let row = |(name, payload, kind): (_, Vec<u8>, _)| {
        Row::new(name, message(&payload, kind)).acked().stores(&["a", "b"])
    };
    let members = [gzip(&both()[..9]), gzip(b""), gzip(&both()[9..])].concat();
    let frames = [zstd(&both()[..9]), zstd(&both()[9..])].concat();
    let empty = |name, kind| Row::new(name, message(b"", kind)).acked();
    let mut rows: Vec<_> = [
        ("R-017, 6.2-13: members, one of them empty", members, "gzip"),
        ("6.2-13, 6.2-14: frames of zstd", frames, "zstd"),
    ]
    .map(row)
    .into();
    let told = [
        ("R-016: gzip in name only", both(), "gzip"),
        ("R-016, F-029: unknown, but readable", both(), "br"),
        ("F-028: zstd called gzip", zstd(&both()), "gzip"),
    ];
    rows.extend(told.map(|odd| row(odd).warns("compression_mismatch")));
    let none = encode(&array(["t".into(), V::Array(vec![]), chunk("id")]));
    rows.extend([
        Row::new("R-012: no entries", none).acked(),
        empty("R-013: an empty payload", "text"),
        empty("R-013: an empty payload called gzip", "gzip"),
        empty("R-013: an empty payload called zstd", "zstd"),
    ]);
    for size in [V::from(1), 999.into(), (-1).into(), 1.5.into(), "2".into(), u64::MAX.into()] {
        let option = map([("size", size), ("chunk", "id".into())]);
        let bytes = encode(&array(["t".into(), V::Binary(both()), option]));
        rows.push(
            Row::new("R-015, 6.2-29: a size that is none", bytes).acked().stores(&["a", "b"]),
        );
    }
    rows
}
