//! Connections that speak JSON.

use super::{End, Row, message};

const GOOD: &str = r#"["t",1,{"message":"a"},{"chunk":"id"}]"#;
const ACK: &str = r#"{"ack":"id"}"#;

pub(super) fn rows() -> Vec<Row> {
    let mut rows = kept();
    rows.extend(closed());
    rows
}

/// A message behind a good one, refused alone.
fn kept() -> Vec<Row> {
    let deep =
        format!(r#"["t",1,{{"a":{}{}}},{{"chunk":"id"}}]"#, "[".repeat(200), "]".repeat(200));
    let long = format!(r#"["t",1,{{"a":"{}"}},{{"chunk":"id"}}]"#, "x".repeat(5 << 20));
    let row = |(name, wrong, code, is_acked): (_, &str, _, bool)| {
        let acks = ACK.repeat(1 + usize::from(is_acked));
        let row = Row::new(name, [GOOD, wrong].concat().into()).answered(acks).stores(&["a"]);
        row.ends(End::KeptJson).refuses(code, 1)
    };
    let whole = |(name, wrong, code, is_acked): (_, &str, _, bool)| {
        row((name, wrong, code, is_acked)).keeps(wrong.into())
    };
    vec![
        whole(("F-059: an object", r#"{"a":1}"#, "message_shape", false)),
        whole(("1.7: packed", r#"["t","packed",{"chunk":"id"}]"#, "payload_type", true)),
        whole(("F-121: tag null", r#"[null,[],{"chunk":"id"}]"#, "tag_type", true)),
        row(("6.2-15: record null", r#"["t",1,null,{"chunk":"id"}]"#, "entry_record", true)),
        row(("R-027: time text", r#"["t","1",{},{"chunk":"id"}]"#, "payload_type", true)),
        whole(("R-009: too deep", &deep, "json_too_deep", false)),
        row(("R-039, F-133: too long", &long, "message_too_big", true)),
    ]
}

fn closed() -> Vec<Row> {
    let behind = |name, wrong: &[u8]| {
        let row = Row::new(name, [GOOD.as_bytes(), wrong].concat());
        row.answered(ACK).stores(&["a"])
    };
    let endless = format!(r#"["t",1,{{"a":{}"#, "[".repeat(200_000)).into_bytes();
    let syntax = |name, wrong: &[u8]| behind(name, wrong).closes("json_syntax");
    vec![
        syntax("F-060, 6.2-34: no comma", br#"["t",1 {}]"#),
        syntax("6.2-34: no value", br#"["t",1,{"a":}]"#),
        syntax("6.2-34: text between messages", b"text"),
        syntax("6.2-34: no UTF-8", b"[\"t\",1,{\"a\":\"\xff\"}]"),
        syntax("R-040, 6.2-35: msgpack behind JSON", &message("b", "2")),
        behind("R-039: without an end", &endless).closes("nesting_too_deep"),
        behind("R-039, 6.2-1: the end in a message", br#"["t",1,{"a":"#).ends(End::Cut),
    ]
}
