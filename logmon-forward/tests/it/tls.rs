//! TLS over real sockets, with certificates made for each test.

use std::path::{Path, PathBuf};

use logmon_forward::ListenerConfig;
use logmon_forward::tls::{ClientAuth, ClientTls, MinVersion, ServerTls, TlsFault, TlsSettings};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::HandshakeKind::{Full, Resumed};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::common::*;
use crate::handshake::{credentials, log_in, security};
use crate::journals::Lines;
use crate::listener::*;

/// Files of an authority, and of what it has signed.
struct Files {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Files {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let (mut params, key) = (CertificateParams::default(), KeyPair::generate().unwrap());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test authority");
        std::fs::write(folder.path().join("ca.pem"), params.self_signed(&key).unwrap().pem())
            .unwrap();
        Self { issuer: Issuer::new(params, key), folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A certificate and its key as `NAME.pem` and `NAME.key`.
    fn sign(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let (cert, secret) = (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        std::fs::write(&cert, certificate.pem()).unwrap();
        std::fs::write(&secret, key.serialize_pem()).unwrap();
        (cert, secret)
    }

    fn settings(&self) -> TlsSettings {
        let (cert, key) = self.sign("server");
        TlsSettings { cert, key, ..TlsSettings::default() }
    }

    fn client(&self) -> ClientTls {
        ClientTls { ca: Some(self.path("ca.pem")), ..ClientTls::default() }
    }
}

fn server(settings: TlsSettings, change: impl FnOnce(&mut ListenerConfig)) -> Server {
    Server::start(memory(), |config| {
        config.tls = Some(settings);
        change(config);
    })
}

async fn connect(server: &Server, tls: &ClientTls) -> std::io::Result<TlsStream<TcpStream>> {
    let name = tls.server_name("localhost").unwrap();
    tls.connector().unwrap().connect(name, server.connect().await).await
}

async fn exchange(stream: &mut TlsStream<TcpStream>, id: &str) {
    stream.write_all(&event(id)).await.unwrap();
    let mut found = vec![0; ack(id).len()];
    stream.read_exact(&mut found).await.unwrap();
    assert_eq!(found, ack(id));
}

/// F-106: both versions; and big messages, which take many records.
#[tokio::test]
async fn events_come_through_tls() {
    let files = Files::new();
    let server = server(files.settings(), |_| {});
    let mut stream = connect(&server, &files.client()).await.unwrap();
    exchange(&mut stream, "one").await;
    let text = "x".repeat(1 << 20);
    let big = encode(&array(["t".into(), 1.into(), record(&text), chunk("big")]));
    stream.write_all(&big).await.unwrap();
    exchange_ack(&mut stream, "big").await;
    let many: Vec<u8> = (0..20_000).flat_map(|number| event(&number.to_string())).collect();
    let acks: Vec<u8> = (0..20_000).flat_map(|number| ack(&number.to_string())).collect();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let writing = tokio::spawn(async move {
        writer.write_all(&many).await.unwrap();
        writer.flush().await.unwrap();
        writer
    });
    let mut found = vec![0; acks.len()];
    reader.read_exact(&mut found).await.unwrap();
    assert!(found == acks, "acknowledgements in order");
    writing.await.unwrap().shutdown().await.unwrap();
    assert_eq!(reader.read(&mut [0; 8]).await.unwrap(), 0, "the end is told by TLS");
    let figures = server.end().await;
    assert_eq!((figures.events, figures.acks_sent, figures.connections_open), (20_002, 20_002, 0));
}

async fn exchange_ack(stream: &mut TlsStream<TcpStream>, id: &str) {
    let mut found = vec![0; ack(id).len()];
    stream.read_exact(&mut found).await.unwrap();
    assert_eq!(found, ack(id));
}

/// F-106: clients of one version, and a server that wants the newer.
#[tokio::test]
async fn versions_are_agreed() {
    use rustls::version::{TLS12, TLS13};
    let files = Files::new();
    let connector = |version| {
        let mut roots = rustls::RootCertStore::empty();
        let text = std::fs::read(files.path("ca.pem")).unwrap();
        let ca = rustls::pki_types::pem::PemObject::from_pem_slice(&text).unwrap();
        roots.add(ca).unwrap();
        let provider = rustls::crypto::ring::default_provider().into();
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        tokio_rustls::TlsConnector::from(std::sync::Arc::new(config))
    };
    let settings = files.settings();
    let both = server(settings.clone(), |_| {});
    let newer = server(TlsSettings { min_version: MinVersion::Tls13, ..settings }, |_| {});
    let name = || rustls::pki_types::ServerName::try_from("localhost").unwrap();
    for version in [&TLS12, &TLS13] {
        let connected = connector(version).connect(name(), both.connect().await).await;
        let mut stream = connected.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
        exchange(&mut stream, "id").await;
    }
    assert!(connector(&TLS12).connect(name(), newer.connect().await).await.is_err());
    connector(&TLS13).connect(name(), newer.connect().await).await.unwrap();
}

/// What a client says first that speaks TLS 1.1 at most, byte by byte.
fn old_hello(extensions: &[&[u8]]) -> Vec<u8> {
    let length = |bytes: usize| u16::try_from(bytes).unwrap().to_be_bytes();
    let extensions = extensions.concat();
    let body = [
        &b"\x03\x02"[..],
        &[7; 32],                            // a random number
        b"\x00",                             // no session
        b"\x00\x06\xc0\x13\xc0\x09\x00\x2f", // suites of that time
        b"\x01\x00",                         // no compression
        &length(extensions.len()),
        &extensions,
    ]
    .concat();
    let head = [&b"\x16\x03\x01"[..], &length(body.len() + 4), b"\x01\x00", &length(body.len())];
    [head.concat(), body].concat()
}

/// F-106: TLS 1.1 gets an alert and the end: `handshake_failure`, as it names no signatures, and
/// `protocol_version` where it does.
#[tokio::test]
async fn an_old_version_is_refused() {
    let files = Files::new();
    let server = server(files.settings(), |_| {});
    let groups = &b"\x00\x0a\x00\x04\x00\x02\x00\x17\x00\x0b\x00\x02\x01\x00"[..];
    let signatures = &b"\x00\x0d\x00\x04\x00\x02\x04\x03"[..];
    for (extensions, alert) in [(&[groups][..], 40), (&[groups, signatures], 70)] {
        let mut client = server.connect().await;
        client.write_all(&old_hello(extensions)).await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, [0x15, 3, 3, 0, 2, 2, alert]);
    }
    assert_eq!(server.end().await.tls_failed, 2);
}

/// F-107: no certificate, one of a stranger, and a good one, whose owner is logged.
#[tokio::test]
async fn client_certificates_are_checked() {
    let (lines, _guard) = Lines::record();
    let (files, strangers) = (Files::new(), Files::new());
    let server = server(
        TlsSettings {
            client_auth: ClientAuth::Required,
            client_ca: Some(files.path("ca.pem")),
            ..files.settings()
        },
        |_| {},
    );
    let none = files.client();
    let shown = |(cert, key): (PathBuf, PathBuf)| ClientTls {
        cert: Some(cert),
        key: Some(key),
        ..files.client()
    };
    for tls in [none, shown(strangers.sign("eve"))] {
        // With TLS 1.3 the client hears of it only after its handshake.
        if let Ok(mut stream) = connect(&server, &tls).await {
            let _may_fail = stream.write_all(&event("no")).await;
            assert!(stream.read(&mut [0; 8]).await.map_or(true, |read| read == 0));
        }
    }
    let mut stream = connect(&server, &shown(files.sign("web-7"))).await.unwrap();
    exchange(&mut stream, "one").await;
    drop(stream);
    let figures = server.end().await;
    assert_eq!((figures.events, figures.tls_failed), (1, 2));
    assert!(lines.of("INFO").iter().any(|line| line.contains("web-7")), "{:?}", lines.of("INFO"));
}

/// Certificates are shown on demand only where they are optional.
#[tokio::test]
async fn client_certificates_may_be_optional() {
    let files = Files::new();
    let settings = TlsSettings {
        client_auth: ClientAuth::Optional,
        client_ca: Some(files.path("ca.pem")),
        ..files.settings()
    };
    let server = server(settings, |_| {});
    exchange(&mut connect(&server, &files.client()).await.unwrap(), "one").await;
}

/// The server's certificate is checked by its issuer and name, unless the client does not care.
#[tokio::test]
async fn servers_are_checked() {
    let (files, strangers) = (Files::new(), Files::new());
    let server = server(files.settings(), |_| {});
    assert!(connect(&server, &strangers.client()).await.is_err());
    let other = ClientTls { server_name: Some("other.example".into()), ..files.client() };
    assert!(connect(&server, &other).await.is_err());
    let insecure = ClientTls { insecure: true, ..ClientTls::default() };
    exchange(&mut connect(&server, &insecure).await.unwrap(), "one").await;
}

/// F-105, HB-3: looks at the port are not worth a warning.
#[tokio::test]
async fn probes_are_quiet() {
    let (lines, _guard) = Lines::record();
    let files = Files::new();
    let server = server(files.settings(), |_| {});
    for _ in 0..1_000 {
        drop(server.connect().await);
        let mut client = server.connect().await;
        client.write_all(b"\x16\x03\x01\x02\x00\x01").await.unwrap();
        client.shutdown().await.unwrap();
        let _alert_or_end = client.read(&mut [0; 64]).await;
    }
    exchange(&mut connect(&server, &files.client()).await.unwrap(), "one").await;
    let figures = server.end().await;
    assert_eq!((figures.tls_failed, figures.heartbeats), (1_000, 1_000));
    assert!(lines.of("WARN").is_empty(), "{:?}", lines.of("WARN"));
}

/// R-004, F-108: what comes to a TLS port in clear is named.
#[tokio::test]
async fn plaintext_is_named() {
    let (lines, _guard) = Lines::record();
    let files = Files::new();
    let server = server(files.settings(), |_| {});
    let mut client = server.connect().await;
    client.write_all(&event("clear")).await.unwrap();
    expect_end(&mut client).await;
    drop(client);
    assert_eq!(server.end().await.tls_failed, 1);
    let warnings = lines.of("WARN");
    assert!(warnings.len() == 1 && warnings[0].contains("in clear"), "{warnings:?}");
}

/// HB-5: a client that comes again resumes.
#[tokio::test]
async fn sessions_are_resumed() {
    let files = Files::new();
    let server = server(files.settings(), |_| {});
    let (tls, name) = (files.client(), files.client().server_name("localhost").unwrap());
    let connector = tls.connector().unwrap();
    let mut kinds = Vec::new();
    for id in ["one", "two"] {
        let connected = connector.connect(name.clone(), server.connect().await).await;
        let mut stream = connected.unwrap();
        exchange(&mut stream, id).await;
        kinds.push(stream.get_ref().1.handshake_kind());
    }
    assert_eq!(kinds, [Some(Full), Some(Resumed)]);
}

/// Security on top of TLS.
#[tokio::test]
async fn clients_log_in_through_tls() {
    let files = Files::new();
    let server = server(files.settings(), |config| config.security = Some(security()));
    let mut stream = connect(&server, &files.client()).await.unwrap();
    log_in(&mut stream, credentials("s3cret"), b"").await.unwrap();
    exchange(&mut stream, "one").await;
    let mut stream = connect(&server, &files.client()).await.unwrap();
    log_in(&mut stream, credentials("wrong"), b"").await.unwrap_err();
    drop(stream);
    assert_eq!(server.end().await.logins, 1);
}

/// A new certificate is for new connections; a broken one changes nothing.
#[tokio::test]
async fn certificates_are_reloaded() {
    let (files, others) = (Files::new(), Files::new());
    let settings = files.settings();
    let (cert, key) = (settings.cert.clone(), settings.key.clone());
    let tls = ServerTls::load(settings.clone()).unwrap();
    assert!(!tls.is_stale());
    let mut config = ListenerConfig::default();
    config.listen.set_port(0);
    config.tls = Some(settings);
    let listener = logmon_forward::Listener::bind(config, memory()).unwrap();
    let (addr, handle) = (listener.local_addr(), listener.handle());
    let running = tokio::spawn(listener.run(std::future::pending()));
    let connect = async |tls: ClientTls| {
        let name = tls.server_name("localhost").unwrap();
        tls.connector().unwrap().connect(name, TcpStream::connect(addr).await.unwrap()).await
    };
    let mut old = connect(files.client()).await.unwrap();
    std::fs::write(&cert, "nothing").unwrap();
    let error = handle.reload_tls().unwrap_err();
    assert!(error.to_string().contains("server.pem"), "{error}");
    connect(files.client()).await.unwrap();
    let (new_cert, new_key) = others.sign("server");
    std::fs::copy(new_cert, &cert).unwrap();
    std::fs::copy(new_key, &key).unwrap();
    handle.reload_tls().unwrap();
    connect(others.client()).await.unwrap();
    assert!(connect(files.client()).await.is_err());
    exchange(&mut old, "old").await;
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(10);
    std::fs::File::options().write(true).open(&cert).unwrap().set_modified(later).unwrap();
    assert!(tls.is_stale());
    tls.reload().unwrap();
    assert!(!tls.is_stale());
    running.abort();
}

/// Errors name the file and what is wrong with it.
#[test]
fn faults_are_named() {
    let files = Files::new();
    let good = files.settings();
    let (_, other_key) = files.sign("other");
    let text = |name: &str, text: &str| {
        std::fs::write(files.path(name), text).unwrap();
        files.path(name)
    };
    let load = |settings: TlsSettings| ServerTls::load(settings).unwrap_err();
    let with_cert = |cert: &Path| load(TlsSettings { cert: cert.into(), ..good.clone() });
    let with_key = |key: &Path| load(TlsSettings { key: key.into(), ..good.clone() });
    let missing = with_cert(Path::new("/nowhere.pem"));
    assert!(matches!(missing.fault, TlsFault::Read(_)), "{missing}");
    assert!(missing.to_string().starts_with("/nowhere.pem: "), "{missing}");
    assert!(matches!(with_cert(&good.key).fault, TlsFault::NoCertificate));
    assert!(matches!(with_key(&good.cert).fault, TlsFault::NoKey));
    let mismatch = with_key(&other_key);
    assert!(matches!(mismatch.fault, TlsFault::KeyMismatch(_)), "{mismatch}");
    assert_eq!(mismatch.file, other_key);
    let old = text(
        "old.key",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
    );
    assert!(matches!(with_key(&old).fault, TlsFault::OldEncryption));
    let no_ca = load(TlsSettings { client_auth: ClientAuth::Required, ..good.clone() });
    assert!(no_ca.to_string().contains("client_ca"), "{no_ca}");
}

/// An encrypted key opens with its passphrase only.
#[test]
fn keys_may_be_encrypted() {
    use base64::Engine as _;
    let files = Files::new();
    let good = files.settings();
    let key = std::fs::read(&good.key).unwrap();
    let key: rustls::pki_types::PrivatePkcs8KeyDer<'_> =
        rustls::pki_types::pem::PemObject::from_pem_slice(&key).unwrap();
    let params =
        pkcs8::pkcs5::pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(1000, &[7; 16], [9; 16]);
    let encrypted = pkcs8::PrivateKeyInfoRef::try_from(key.secret_pkcs8_der())
        .unwrap()
        .encrypt_with_params(params.unwrap(), "open sesame")
        .unwrap();
    let body = base64::engine::general_purpose::STANDARD.encode(encrypted.as_bytes());
    let lines: Vec<_> = body.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    let kind = "ENCRYPTED PRIVATE KEY";
    let pem = format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"));
    let file = files.path("encrypted.key");
    std::fs::write(&file, pem).unwrap();
    let with = |passphrase: Option<&str>| {
        let key_passphrase = passphrase.map(Into::into);
        ServerTls::load(TlsSettings { key: file.clone(), key_passphrase, ..good.clone() })
    };
    assert!(matches!(with(None).unwrap_err().fault, TlsFault::NoPassphrase));
    let wrong = with(Some("open barley")).unwrap_err();
    assert!(matches!(wrong.fault, TlsFault::WrongPassphrase(_)), "{wrong}");
    with(Some("open sesame")).unwrap();
}
