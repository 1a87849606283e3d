use super::super::security::{ClientMatch, ClientRule, SecuritySettings, User};
use super::super::vectors::{PING_KEY, PING_PASSWORD, PONG_KEY};
use super::*;

const NONCE: &[u8] = b"0123456789abcdef";
const AUTH: &[u8] = b"fedcba9876543210";
const SALT: &[u8] = b"00112233445566778899aabbccddeeff";

fn settings() -> SecuritySettings {
    let user = |username: &str, password: &str| User {
        username: username.into(),
        password: password.into(),
    };
    SecuritySettings {
        self_hostname: "server.example".into(),
        shared_key: Some("s3cret".into()),
        users: vec![user("alice", "other"), user("alice", "pa55"), user("bob", "pa55")],
        ..SecuritySettings::default()
    }
}

fn server_at(settings: SecuritySettings, ip: &str) -> Server {
    let security = Arc::new(Security::new(settings).unwrap());
    let peer = PeerInfo { ip: Some(ip.parse().unwrap()), keepalive: true };
    Server { security, peer, nonce: NONCE.into(), auth: AUTH.into(), has_ended: false }
}

fn server() -> Server {
    server_at(settings(), "192.0.2.7")
}

fn text(out: &mut Vec<u8>, bytes: &[u8], is_bin: bool) {
    if is_bin {
        msgpack::write_bin(out, bytes);
    } else if let Ok(length) = u8::try_from(bytes.len()) {
        out.extend([0xd9, length]);
        out.extend(bytes);
    } else {
        panic!("long text");
    }
}

fn ping_of(fields: &[&[u8]], is_bin: bool) -> BytesMut {
    let mut out = Vec::new();
    msgpack::write_array_len(&mut out, u32::try_from(fields.len()).unwrap() + 1);
    msgpack::write_str(&mut out, "PING");
    for field in fields {
        text(&mut out, field, is_bin);
    }
    out.as_slice().into()
}

fn ping_with(hostname: &[u8], salt: &[u8], key: &[u8], user: &[u8], password: &[u8]) -> BytesMut {
    let key = HexDigest::of_key(salt, hostname, NONCE, key);
    let password = HexDigest::of_password(AUTH, user, password);
    ping_of(&[hostname, salt, key.as_bytes(), user, password.as_bytes()], false)
}

fn ping() -> BytesMut {
    ping_with(b"client.example", SALT, b"s3cret", b"alice", b"pa55")
}

#[track_caller]
fn refusal(progress: Progress) -> Refusal {
    match progress {
        Progress::Refused(refused) => {
            assert!(refused.pong.starts_with(b"\x95\xa4PONG\xc2"));
            assert!(refused.pong.ends_with(b"\xa0\xa0"));
            refused.refusal
        }
        other => panic!("not refused: {other:?}"),
    }
}

fn is_accepted(progress: &Progress) -> bool {
    matches!(progress, Progress::Accepted { .. })
}

fn feed(mut server: Server, mut bytes: BytesMut) -> Progress {
    server.feed(&mut bytes)
}

/// F-082.
#[test]
fn helo_is_short_and_text_in_bin() {
    let mut expected = b"\x92\xa4HELO\x83\xa5nonce\xc4\x10".to_vec();
    expected.extend(NONCE);
    expected.extend(b"\xa4auth\xc4\x10");
    expected.extend(AUTH);
    expected.extend(b"\xa9keepalive\xc3");
    assert_eq!(server().helo(), expected);
    assert_eq!(expected.len(), 65);

    let security = Arc::new(Security::new(settings()).unwrap());
    let of = || Server::new(security.clone(), PeerInfo::default()).unwrap();
    let (a, b) = (of(), of());
    assert_ne!(a.nonce, b.nonce);
    assert_ne!(a.nonce, a.auth);
    let helo = a.helo();
    assert!(helo.len() < 128, "{}", helo.len());
    assert!(helo.ends_with(b"\xa9keepalive\xc2"));
    assert!(helo.starts_with(b"\x92\xa4HELO\x83\xa5nonce\xc4\x20"));
    assert!(a.nonce.iter().chain(&a.auth).all(u8::is_ascii_hexdigit));
}

/// F-083, F-085: the vector of the specification; what follows the PING is kept.
#[test]
fn lets_the_vector_in() {
    let mut buffer = BytesMut::from(
        &[
            b"\x96\xa4PING\xaeclient.example\xd9\x20",
            SALT,
            b"\xd9\x80",
            PING_KEY.as_bytes(),
            b"\xa5alice\xd9\x80",
            PING_PASSWORD.as_bytes(),
        ]
        .concat()[..],
    );
    assert_eq!(buffer.len(), 321);
    buffer.extend_from_slice(b"\x93\xa1t");
    let Progress::Accepted { pong, login } = server().feed(&mut buffer) else { panic!() };
    let mut expected = b"\x95\xa4PONG\xc3\xa0\xaeserver.example\xd9\x80".to_vec();
    expected.extend(PONG_KEY.as_bytes());
    assert_eq!(pong, expected);
    assert_eq!(pong.len(), 153);
    assert_eq!(&buffer[..], b"\x93\xa1t");
    assert_eq!(login.client_hostname, "client.example");
    assert_eq!(login.username, "alice");
    assert_eq!(login.rule, None);
}

/// F-084: in whatever pieces it comes, nothing is decided before it is whole.
#[test]
fn a_ping_may_come_byte_by_byte() {
    let (mut server, mut buffer) = (server(), BytesMut::new());
    let ping = ping();
    let (last, first) = ping.split_last().unwrap();
    for byte in first {
        buffer.extend_from_slice(&[*byte]);
        assert_eq!(server.feed(&mut buffer), Progress::NeedsBytes);
    }
    buffer.extend_from_slice(&[*last]);
    assert!(is_accepted(&server.feed(&mut buffer)));
}

/// F-086: salts and names need not be text, and digests may be in upper case.
#[test]
fn salts_come_in_many_forms() {
    for salt in [&b"\x00\xff\x80\xfe0123456789ab"[..], b"", SALT] {
        for is_bin in [false, true] {
            for is_upper in [false, true] {
                let key = HexDigest::of_key(salt, b"h\xff", NONCE, b"s3cret");
                let password = HexDigest::of_password(AUTH, b"bob", b"pa55");
                let case = |digest: HexDigest| {
                    let mut text = digest.as_bytes().to_vec();
                    if is_upper {
                        text.make_ascii_uppercase();
                    }
                    text
                };
                let fields = [&b"h\xff"[..], salt, &case(key), b"bob", &case(password)];
                assert!(is_accepted(&feed(server(), ping_of(&fields, is_bin))), "{salt:x?}");
            }
        }
    }
}

/// What npm's `fluent-logger` sends where no user is configured: nil for the name. It is a client
/// without a user, not one that is let in as any.
#[test]
fn a_user_may_be_nil() {
    let ping = |key: &[u8]| {
        let key = HexDigest::of_key(SALT, b"h", NONCE, key);
        let digest = HexDigest::of_password(AUTH, b"", b"");
        let mut out = ping_of(&[b"h", SALT, key.as_bytes(), digest.as_bytes()], false).to_vec();
        // Six elements, and nil in front of the last.
        out[0] = 0x96;
        out.insert(out.len() - digest.as_bytes().len() - 2, 0xc0);
        out.as_slice().into()
    };
    assert_eq!(refusal(feed(server(), ping(b"s3cret"))), Refusal::UserMismatch);
    assert_eq!(refusal(feed(server(), ping(b"wrong"))), Refusal::KeyMismatch);
}

/// F-087, F-088: in Fluentd's words, and the user is not looked at without the key.
#[test]
fn wrong_keys_and_passwords_are_refused() {
    let fail = b"\x95\xa4PONG\xc2\xb3shared_key mismatch\xa0\xa0";
    let wrong = ping_with(b"c", SALT, b"wrong", b"alice", b"nonsense");
    let Progress::Refused(refused) = feed(server(), wrong) else { panic!() };
    assert_eq!(refused.pong, fail);
    assert_eq!(refused.login.client_hostname, "c");
    for (user, password) in [(&b"alice"[..], &b"x"[..]), (b"nobody", b"pa55"), (b"", b"")] {
        let wrong = ping_with(b"c", SALT, b"s3cret", user, password);
        assert_eq!(refusal(feed(server(), wrong)), Refusal::UserMismatch);
    }
    // Nobody's password is the nonce, which a client knows.
    let wrong = ping_with(b"c", SALT, b"s3cret", b"nobody", NONCE);
    assert_eq!(refusal(feed(server(), wrong)), Refusal::UserMismatch);
}

/// F-090: no key is needed, but the users are.
#[test]
fn an_empty_key_still_asks_for_users() {
    let settings = SecuritySettings { shared_key: None, empty_shared_key: true, ..settings() };
    let at = || server_at(settings.clone(), "192.0.2.7");
    assert!(is_accepted(&feed(at(), ping_with(b"c", SALT, b"", b"bob", b"pa55"))));
    let wrong = ping_with(b"c", SALT, b"", b"bob", b"");
    assert_eq!(refusal(feed(at(), wrong)), Refusal::UserMismatch);
    let wrong = ping_with(b"c", SALT, b"s3cret", b"bob", b"pa55");
    assert_eq!(refusal(feed(at(), wrong)), Refusal::KeyMismatch);
    let event = BytesMut::from(&b"\x93\xa1t\x01\x80"[..]);
    assert_eq!(refusal(feed(at(), event)), Refusal::EventsFirst);
}

/// F-061, F-091, R-043, H-6: what is no PING is refused as early as that is known.
#[test]
fn only_a_ping_is_taken() {
    use Refusal::{EventsFirst, InvalidPing};
    for (bytes, expected) in [
        (&b"\x93\xa1t"[..], EventsFirst),
        (b"\x92\xa4HELO", EventsFirst),
        (b"\xc0", InvalidPing),
        (b"\x90", InvalidPing),
        (b"{\"", InvalidPing),
        (b"[\"t", InvalidPing),
        (b"\x16\x03\x01", InvalidPing),
        (b"GET /", InvalidPing),
        (b"\xc1", InvalidPing),
        (b"\x94\xa4PING", InvalidPing),
        (b"\x95\xa4PING", InvalidPing),
        (b"\x97\xa4PING", InvalidPing),
        (b"\xdd\xff\xff\xff\xff\xa4PING", InvalidPing),
        (b"\x96\x01", InvalidPing),
        (b"\x96\xa4PING\x01", InvalidPing),
        (b"\x96\xa4PING\xa1h\x91", InvalidPing),
        (b"\x96\xa4PING\xa1h\xc6\xff\xff\xff\xff", InvalidPing),
        (b"\x96\xa4PING\xa1h\xc6\x00\x98\x96\x80", InvalidPing),
    ] {
        assert_eq!(refusal(feed(server(), bytes.into())), expected, "{bytes:x?}");
    }
    // R-044: digests of other lengths, and a PING for another nonce.
    for length in [0, 127, 129] {
        let digest = vec![b'0'; length];
        let ping = ping_of(&[b"c", SALT, &digest, b"", b""], false);
        assert_eq!(refusal(feed(server(), ping)), Refusal::KeyMismatch);
    }
    let mut other = server();
    other.nonce = b"another nonce 16".to_vec();
    assert_eq!(refusal(feed(other, ping())), Refusal::KeyMismatch);
}

/// F-099: the longest that is waited for is 4 KiB.
#[test]
fn a_long_ping_is_refused() {
    let mut buffer = BytesMut::from(&b"\x96\xa4PING\xda\x0f\x00"[..]);
    buffer.extend_from_slice(&[b'h'; 0xf00]);
    assert_eq!(server().feed(&mut buffer.clone()), Progress::NeedsBytes);
    buffer.extend_from_slice(b"\xda\x02\x00");
    assert_eq!(refusal(server().feed(&mut buffer)), Refusal::InvalidPing);
}

/// F-092.
#[test]
fn there_is_no_second_chance() {
    let mut server = server();
    assert_eq!(
        refusal(server.feed(&mut ping_with(b"c", SALT, b"wrong", b"", b""))),
        Refusal::KeyMismatch
    );
    assert_eq!(refusal(server.feed(&mut ping())), Refusal::InvalidPing);
}

fn network(network: &str, key: Option<&str>, users: Option<&[&str]>) -> ClientRule {
    ClientRule {
        network: Some(network.into()),
        shared_key: key.map(Into::into),
        users: users.map(|users| users.iter().map(|user| (*user).to_owned()).collect()),
        ..ClientRule::default()
    }
}

/// F-093, F-094: the first rule that fits wins, or the longest if that is set.
#[test]
fn rules_give_keys_by_address() {
    let mut settings = settings();
    settings.clients = vec![
        network("10.0.0.0/8", Some("wide"), None),
        network("10.1.0.0/16", Some("narrow"), None),
        network("192.0.2.0/24", None, None),
    ];
    let is_key = |settings: &SecuritySettings, ip: &str, key: &[u8]| {
        let ping = ping_with(b"c", SALT, key, b"bob", b"pa55");
        is_accepted(&feed(server_at(settings.clone(), ip), ping))
    };
    assert!(is_key(&settings, "10.1.0.1", b"wide"));
    assert!(is_key(&settings, "::ffff:10.1.0.1", b"wide"));
    assert!(!is_key(&settings, "10.1.0.1", b"narrow"));
    assert!(!is_key(&settings, "10.1.0.1", b"s3cret"));
    assert!(is_key(&settings, "192.0.2.1", b"s3cret"));
    assert!(is_key(&settings, "198.51.100.1", b"s3cret"));
    settings.client_match = ClientMatch::Longest;
    assert!(is_key(&settings, "::ffff:10.1.0.1", b"narrow"));
    assert!(is_key(&settings, "10.2.0.1", b"wide"));
}

/// F-095.
#[test]
fn anonymous_sources_may_be_denied() {
    let mut settings = settings();
    settings.clients = vec![network("10.0.0.0/8", None, None)];
    settings.allow_anonymous_source = false;
    let at = |ip: &str| feed(server_at(settings.clone(), ip), ping());
    assert!(is_accepted(&at("10.9.9.9")));
    let Progress::Refused(refused) = at("::ffff:192.0.2.7") else { panic!() };
    assert_eq!(refused.refusal, Refusal::Anonymous);
    let told = String::from_utf8_lossy(&refused.pong).into_owned();
    assert!(told.contains("anonymous source host '192.0.2.7' denied"), "{told}");
    let mut local = server_at(settings.clone(), "10.9.9.9");
    local.peer.ip = None;
    assert_eq!(refusal(local.feed(&mut ping())), Refusal::Anonymous);
}

/// F-096.
#[test]
fn a_rule_may_name_its_users() {
    let mut settings = settings();
    settings.clients = vec![network("10.0.0.0/8", None, Some(&["alice"]))];
    let login = |ip: &str, user: &[u8]| {
        let ping = ping_with(b"c", SALT, b"s3cret", user, b"pa55");
        feed(server_at(settings.clone(), ip), ping)
    };
    assert!(is_accepted(&login("10.0.0.1", b"alice")));
    assert_eq!(refusal(login("10.0.0.1", b"bob")), Refusal::UserMismatch);
    assert!(is_accepted(&login("192.0.2.1", b"bob")));
    let Progress::Accepted { login, .. } = login("10.0.0.1", b"alice") else { panic!() };
    assert_eq!(login.rule.as_deref(), Some("10.0.0.0/8"));
}

/// F-097, H-8.
#[test]
fn our_own_name_is_refused() {
    let ping = ping_with(b"server.example", SALT, b"s3cret", b"bob", b"pa55");
    assert_eq!(refusal(feed(server(), ping)), Refusal::SameHostname);
}

/// H-11: a host's addresses may change.
#[test]
fn hosts_are_resolved_again() {
    let mut settings = settings();
    settings.allow_anonymous_source = false;
    settings.clients =
        vec![ClientRule { host: Some("web.example".into()), ..ClientRule::default() }];
    let server = server_at(settings, "10.0.0.1");
    let security = server.security.clone();
    let feed = || {
        let mut server = Server::new(security.clone(), server.peer).unwrap();
        (server.nonce, server.auth) = (NONCE.into(), AUTH.into());
        server.feed(&mut ping())
    };
    assert_eq!(security.hosts().collect::<Vec<_>>(), [(0, "web.example")]);
    assert_eq!(refusal(feed()), Refusal::Anonymous);
    security.set_addresses(0, ["10.0.0.1".parse().unwrap()]);
    assert!(is_accepted(&feed()));
    security.set_addresses(0, ["10.0.0.2".parse().unwrap()]);
    assert_eq!(refusal(feed()), Refusal::Anonymous);
}

/// What a client says of itself cannot write log lines.
#[test]
fn claims_are_shown_on_one_line() {
    let wrong = ping_with(b"evil\n\x1b[31m\xff", SALT, b"wrong", b"u\r", b"");
    let Progress::Refused(refused) = feed(server(), wrong) else { panic!() };
    assert!(!refused.login.client_hostname.contains(char::is_control));
    assert!(!refused.login.username.contains(char::is_control));
}
