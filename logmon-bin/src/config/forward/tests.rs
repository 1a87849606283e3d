use logmon_forward::codec::{EmptyTag, InvalidEvent, InvalidTag, Signals};

use super::super::{Config, RawConfig};
use super::*;

fn load(text: &str, environment: &[(&str, &str)]) -> Result<ListenerConfig, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("logmon.toml");
    std::fs::write(folder.path().join("key"), "from a file\n").unwrap();
    std::fs::write(folder.path().join("empty"), "\n").unwrap();
    let text = text.replace("DIR", &folder.path().display().to_string());
    std::fs::write(&file, text).unwrap();
    let environment =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let raw = RawConfig::load(Some(&file), environment);
    let place = format!("{}/", folder.path().display());
    raw.and_then(Config::check)
        .map(|config| config.forward)
        .map_err(|error| error.to_string().replace(&place, ""))
}

#[test]
fn reads_how_to_listen() {
    let listener = load(
        r#"
        [forward]
        listen = "0.0.0.0:24225"
        allow = ["10.0.0.0/8"]
        deny = ["10.9.0.0/16", "10.0.0.1"]
        max_connections = 5
        max_connections_per_ip = 4
        max_unauthenticated = 3
        max_unauthenticated_per_ip = 2
        backlog = 7
        receive_buffer_size = "256KiB"
        tls_timeout = "1s"
        login_timeout = "2s"
        idle_timeout = "3s"
        stall_timeout = "4s"
        message_timeout = "5s"
        min_message_rate = "2KiB"
        max_messages_per_connection = 1
        max_connection_age = "10m"
        tcp_keepalive = "0"
        tcp_user_timeout = "2m"
        udp_heartbeat = false
        udp_heartbeat_rate = 99
        "#,
        &[],
    )
    .unwrap();
    assert_eq!(listener.listen.to_string(), "0.0.0.0:24225");
    assert_eq!((listener.allow.len(), listener.deny.len()), (1, 2));
    assert_eq!((listener.max_connections, listener.max_connections_per_ip), (5, 4));
    assert_eq!((listener.max_unauthenticated, listener.max_unauthenticated_per_ip), (3, 2));
    assert_eq!((listener.backlog, listener.receive_buffer_size), (7, Some(256 << 10)));
    let seconds = Duration::from_secs;
    assert_eq!((listener.tls_timeout, listener.login_timeout), (seconds(1), seconds(2)));
    assert_eq!((listener.idle_timeout, listener.stall_timeout), (Some(seconds(3)), seconds(4)));
    assert_eq!((listener.message_timeout, listener.min_message_rate), (seconds(5), 2048));
    assert_eq!(listener.max_messages_per_connection, Some(1));
    assert_eq!(listener.max_connection_age, Some(seconds(600)));
    assert_eq!((listener.tcp_keepalive, listener.tcp_user_timeout), (None, Some(seconds(120))));
    assert_eq!((listener.udp_heartbeat, listener.udp_heartbeat_rate), (false, 99));
}

#[test]
fn reads_whom_to_listen_to() {
    let listener = load(
        r#"
        [forward.tls]
        cert = "/c.pem"
        key = "/k.pem"
        key_passphrase_file = "DIR/key"
        client_auth = "required"
        client_ca = "/ca.pem"
        min_version = "1.3"
        [forward.security]
        self_hostname = "logs.example"
        shared_key_file = "DIR/key"
        user_auth = true
        match = "longest"
        allow_anonymous_source = false
        [[forward.security.user]]
        username = "alice"
        password = "pa55"
        [[forward.security.client]]
        network = "10.1.0.0/16"
        shared_key = "own"
        users = ["alice"]
        "#,
        &[],
    )
    .unwrap();
    let tls = listener.tls.unwrap();
    assert_eq!(tls.key_passphrase, Some("from a file".into()));
    assert_eq!((tls.client_auth, tls.min_version), (ClientAuth::Required, MinVersion::Tls13));
    let security = listener.security.unwrap();
    assert_eq!(security.shared_key, Some("from a file".into()));
    assert_eq!(security.client_match, ClientMatch::Longest);
    assert_eq!(security.users[0].password, "pa55".into());
    assert_eq!(security.clients[0].users.as_deref(), Some(&["alice".to_owned()][..]));
}

#[test]
fn reads_how_to_read() {
    let listener = load(
        r#"
        [forward]
        tag = "all"
        default_tag = "untagged"
        add_tag_prefix = "site"
        max_message_bytes = "1GiB"
        max_decompressed_bytes = "6GiB"
        warn_message_bytes = "100MiB"
        max_memory_bytes = "32MiB"
        max_in_flight_bytes = "4MiB"
        invalid_event = "close"
        tag_invalid = "escape"
        signals = "reject"
        group_attributes_key = "group"
        source_address_key = "peer"
        source_hostname_key = "host"
        resolve_hostname = true
        "#,
        &[],
    )
    .unwrap();
    let settings = &listener.settings;
    assert_eq!(settings.tag.as_deref(), Some("all"));
    assert_eq!(settings.empty_tag, EmptyTag::Replace("untagged".into()));
    assert_eq!(settings.add_tag_prefix.as_deref(), Some("site"));
    let limits = &settings.limits;
    assert_eq!((limits.max_message_bytes, limits.max_decompressed_bytes), (1 << 30, 6 << 30));
    assert_eq!(settings.warn_message_bytes, Some(100 << 20));
    assert_eq!((listener.max_memory_bytes, listener.max_in_flight_bytes), (32 << 20, 4 << 20));
    assert_eq!(settings.invalid_event, InvalidEvent::Close);
    assert_eq!((settings.invalid_tag, settings.signals), (InvalidTag::Escape, Signals::Reject));
    assert_eq!(settings.group_attributes_key.as_deref(), Some("group"));
    assert_eq!(listener.source_address_key.as_deref(), Some("peer"));
    assert_eq!(listener.source_hostname_key.as_deref(), Some("host"));
}

/// What is documented where nothing is set.
#[test]
fn reads_within_limits_of_its_own_accord() {
    let listener = load("[forward]\nmax_memory_bytes = \"1MiB\"\n", &[]).unwrap();
    assert_eq!(listener.max_in_flight_bytes, 1 << 20, "not more than all");
    let settings = listener.settings;
    let limits = &settings.limits;
    assert_eq!((limits.max_message_bytes, limits.max_decompressed_bytes), (512 << 20, 4 << 30));
    assert_eq!((settings.warn_message_bytes, settings.group_attributes_key), (None, None));
    assert_eq!(settings.invalid_event, InvalidEvent::Quarantine);
    assert_eq!((settings.invalid_tag, settings.signals), (InvalidTag::Reject, Signals::Drop));
}

#[test]
fn a_unix_socket_has_a_path_and_a_mode() {
    let unix = |text: &str| load(&format!("[forward]\n{text}"), &[]);
    let socket = unix("listen = \"unix:/run/logmon.sock\"").unwrap().unix.unwrap();
    assert_eq!((socket.path, socket.mode), (PathBuf::from("/run/logmon.sock"), 0o660));
    let socket = unix("listen = \"unix:s\"\nunix_mode = \"0600\"").unwrap().unix.unwrap();
    assert_eq!(socket.mode, 0o600);
    assert!(unix("listen = \"unix:\"").unwrap_err().starts_with("forward.listen: "));
    assert!(unix("unix_mode = \"0600\"").unwrap_err().starts_with("forward.unix_mode: "));
    let error = unix("listen = \"unix:s\"\nunix_mode = \"999\"").unwrap_err();
    assert!(error.starts_with("forward.unix_mode: `999`"), "{error}");
    let error = unix("listen = \"unix:s\"\n[forward.tls]\ncert = \"c\"\nkey = \"k\"").unwrap_err();
    assert_eq!(error, "forward.tls: a Unix socket has no TLS");
}

/// F-089, H-9, and every other mistake with its place.
#[test]
fn tells_what_is_wrong() {
    let security = |text: &str| format!("[forward.security]\nself_hostname = \"s\"\n{text}");
    let user = "[[forward.security.user]]\nusername = \"a\"\npassword = \"b\"\n";
    for (text, error) in [
        ("[forward]\nallow = [\"x\"]".to_owned(), "forward.allow: `x` is no network"),
        ("[forward]\nlogin_timeout = \"0\"".to_owned(), "forward.login_timeout: 0 would"),
        (
            "[forward]\ninvalid_event = \"keep\"".to_owned(),
            "forward.invalid_event: `keep` is none of quarantine, drop, close",
        ),
        ("[forward]\ntag_invalid = \"\"".to_owned(), "forward.tag_invalid: `` is none of"),
        ("[forward]\nsignals = \"keep\"".to_owned(), "forward.signals: `keep`"),
        ("[forward]\ngroup_attributes_key = \"\"".to_owned(), "forward.group_attributes_key: it"),
        (
            "[forward]\nsource_hostname_key = \"h\"\nresolve_hostname = false".to_owned(),
            "forward.resolve_hostname: it is false",
        ),
        (
            "[forward]\nsource_hostname_key = \"h\"\nsource_address_key = \"h\"".to_owned(),
            "forward.source_hostname_key: it is the key",
        ),
        ("[forward]\nsource_address_key = \"\"".to_owned(), "forward.source_address_key: a key"),
        (
            "[forward]\nmax_memory_bytes = \"1KiB\"".to_owned(),
            "forward.max_in_flight_bytes: a connection needs",
        ),
        (
            "[forward]\nmax_in_flight_bytes = \"1GiB\"".to_owned(),
            "forward.max_in_flight_bytes: one connection cannot",
        ),
        ("[forward]\nstall_timeout = \"1\"".to_owned(), "forward.stall_timeout: `1` is not"),
        ("[forward]\nmax_messages_per_connection = 0".to_owned(), "forward.max_messages_per"),
        ("[forward.tls]\ncert = \"c\"".to_owned(), "forward.tls.key: TLS needs"),
        ("[forward.tls]\nclient_auth = \"yes\"".to_owned(), "forward.tls.client_auth: `yes`"),
        ("[forward.tls]\nclient_auth = \"required\"".to_owned(), "forward.tls.client_ca: "),
        ("[forward.tls]\nmin_version = \"1.1\"".to_owned(), "forward.tls.min_version: `1.1`"),
        (security(user), "forward.security: shared_key: users without a key"),
        (security(""), "forward.security: shared_key: sources"),
        (security("match = \"best\""), "forward.security.match: `best`"),
        (security("shared_key = \"k\"\nuser_auth = true"), "forward.security: user_auth: "),
        (security("shared_key = \"\""), "forward.security: shared_key: the key is empty"),
        (
            security(&format!("shared_key = \"k\"\nuser_auth = false\n{user}")),
            "forward.security: user_auth: it is false",
        ),
        (
            security("shared_key = \"k\"\nshared_key_file = \"DIR/key\""),
            "forward.security.shared_key_file: there is",
        ),
        (security("shared_key_file = \"DIR/none\""), "forward.security.shared_key_file: none: "),
        (security("shared_key_file = \"DIR/empty\""), "forward.security.shared_key_file: empty: "),
        (security("shared_kee = \"k\""), "logmon.toml:3: unknown key `shared_kee`"),
        (
            security("shared_key = \"k\"\n[[forward.security.client]]\nhots = \"h\""),
            "logmon.toml:5: unknown key `hots` in [forward.security.client]; did you mean `host`?",
        ),
    ] {
        let told = load(&text, &[]).unwrap_err();
        assert!(told.starts_with(error), "{text}\n{told}");
    }
}

#[test]
fn the_environment_reaches_nested_sections() {
    let listener = load(
        "[forward.security]\nself_hostname = \"s\"\n",
        &[
            ("LOGMON_FORWARD_SECURITY_SHARED_KEY", "12345"),
            ("LOGMON_FORWARD_TLS_CERT", "/c.pem"),
            ("LOGMON_FORWARD_TLS_KEY", "/k.pem"),
            ("LOGMON_FORWARD_DENY", "10.0.0.0/8,192.0.2.1"),
            ("LOGMON_FORWARD_UDP_HEARTBEAT", "false"),
            ("LOGMON_FORWARD_BACKLOG", "9"),
            ("LOGMON_FORWARD_TLS", "a whole section is no setting"),
        ],
    )
    .unwrap();
    assert_eq!(listener.security.unwrap().shared_key, Some("12345".into()));
    assert_eq!(listener.tls.unwrap().cert, PathBuf::from("/c.pem"));
    assert_eq!((listener.deny.len(), listener.udp_heartbeat, listener.backlog), (2, false, 9));
}

/// A secret is shown neither where it is kept nor where it is wrong.
#[test]
fn secrets_are_not_shown() {
    let text = "[forward.security]\nself_hostname = \"s\"\nshared_key = \"topsecret\"\n";
    let shown = format!("{:?}", load(text, &[]).unwrap());
    assert!(!shown.contains("topsecret"), "{shown}");
    let raw: RawForward = toml::from_str("[security]\nshared_key = \"topsecret\"").unwrap();
    assert!(!format!("{raw:?}").contains("topsecret"));
    let error = load("[forward.security]\nshared_key = 987654321\n", &[]).unwrap_err();
    assert!(!error.contains("987654321"), "{error}");
}
