//! What a peer seems to speak that does not speak Forward.

/// A sentence about the first bytes of a connection, for the log line.
pub(crate) fn guess(bytes: &[u8]) -> &'static str {
    const VERBS: [&[u8]; 7] =
        [b"GET ", b"POST ", b"PUT ", b"HEAD ", b"OPTIONS ", b"CONNECT ", b"PRI "];
    let is_text = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7e);
    match bytes {
        [0x16, 0x03, ..] => "a TLS handshake came to a port without TLS",
        bytes if VERBS.iter().any(|verb| bytes.starts_with(verb)) => {
            "an HTTP request came to the Forward port"
        }
        [b'<', digit, ..] if digit.is_ascii_digit() => "a syslog line came to the Forward port",
        [b'[' | b'{', ..] => "JSON after msgpack on one connection",
        bytes if !bytes.is_empty() && bytes.iter().take(32).all(is_text) => {
            "plain text came to the Forward port"
        }
        _ => "the bytes do not begin a Forward message",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F-108.
    #[test]
    fn names_what_came() {
        assert!(guess(b"\x16\x03\x01\x02").contains("TLS"));
        assert!(guess(b"GET / HTTP/1.1\r\n").contains("HTTP"));
        assert!(guess(b"<13>Nov 22 16:00:00 host app: x").contains("syslog"));
        assert!(guess(b"hello\n").contains("plain text"));
        assert!(guess(&[0x01, 0xff]).contains("do not begin"));
    }
}
