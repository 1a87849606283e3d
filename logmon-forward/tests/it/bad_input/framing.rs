//! Bytes that cannot be told apart as messages, and messages that never end.

use super::{End, Row, ack, message};
use crate::common::*;

pub(super) fn rows() -> Vec<Row> {
    let mut rows = strangers();
    rows.extend(broken());
    rows.extend(cut());
    rows
}

fn strangers() -> Vec<Row> {
    let strangers: [(&str, &[u8]); 8] = [
        ("R-003, 6.2-30: HTTP", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("R-004, 6.2-30: TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        ("6.2-30: syslog", b"<13>Nov 22 16:00:00 host app: text\n"),
        ("6.2-3: a number first", &[0x07]),
        ("6.2-3: a map first", &[0x80]),
        ("6.2-3: true first", &[0xc3]),
        ("6.2-3: text first", b"\xa5hello"),
        ("6.2-3: ext first", b"\xd4\x05\x00"),
    ];
    let row = |(name, bytes): (_, &[u8])| Row::new(name, bytes.to_vec()).closes("not_forward");
    let mut rows: Vec<_> = strangers.map(row).into();
    let text = Row::new("F-134: text without end", b"all work and no play ".repeat(50_000));
    rows.push(text.closes("not_forward"));
    rows
}

fn broken() -> Vec<Row> {
    let (a, b) = (message("a", "1"), message("b", "2"));
    let both = || [ack("1"), ack("2")].concat();
    vec![
        Row::new("R-010, 6.2-2: the reserved byte", vec![0xc1]).closes("reserved_byte"),
        Row::new("6.2-2: the reserved byte in a message", b"\x93\xa1t\xc1".to_vec())
            .closes("reserved_byte"),
        Row::new("F-117, 6.2-33: behind good ones", [&a[..], &b, &[0xc1]].concat())
            .answered(both())
            .stores(&["a", "b"])
            .closes("reserved_byte"),
        Row::new("R-040, 6.2-35: JSON behind msgpack", [&a[..], br#"["t",1,{}]"#].concat())
            .answered(ack("1"))
            .stores(&["a"])
            .closes("not_forward"),
        Row::new("R-008, 6.2-9, F-127: a million levels", vec![0x91; 1_000_000])
            .closes("nesting_too_deep"),
        Row::new("R-008: a million levels of maps", b"\x81\x00".repeat(1_000_000))
            .closes("not_forward"),
        Row::new(
            "R-008: levels without end in a record",
            [&b"\x93\xa1t\x01"[..], &b"\x81\x00".repeat(200_000)].concat(),
        )
        .closes("nesting_too_deep"),
    ]
}

fn cut() -> Vec<Row> {
    let a = message("a", "1");
    let headers: [(&str, &[u8]); 6] = [
        ("R-005, 6.2-8, F-126: four billion elements", b"\xdd\xff\xff\xff\xff"),
        ("R-005, 6.2-8: four billion entries", b"\x92\xa1t\xdd\xff\xff\xff\xff"),
        ("R-006, 6.2-8: a str of 4 GiB", b"\x93\xa1t\xdb\xff\xff\xff\xffaaa"),
        ("R-006, 6.2-8: a tag of 4 GiB", b"\x93\xdb\xff\xff\xff\xffaaa"),
        ("R-006, 6.2-8: a bin of 4 GiB in a record", b"\x93\xa1t\x01\x81\xa1k\xc6\xff\xff\xff\xff"),
        ("R-007, 6.2-8: a map of four billion", b"\x93\xa1t\x01\xdf\xff\xff\xff\xff\xa1k\x01"),
    ];
    let row = |(name, bytes): (_, &[u8])| {
        Row::new(name, [&a[..], bytes].concat()).answered(ack("1")).stores(&["a"]).ends(End::Cut)
    };
    let mut rows: Vec<_> = headers.map(row).into();
    let half = encode(&array(["t".into(), array([entry(1, "b"), entry(2, "c")]), chunk("2")]));
    let half = &half[..half.len() - 1];
    rows.push(row(("6.2-1, F-116: the end in a message", half)));
    rows.push(Row::new("R-001, 6.2-4: heartbeats", vec![0xc0, 0x90, 0xc0]));
    rows
}
