//! Any bytes as what the other side of a handshake says, whole and byte by byte: no panic, the
//! pieces change nothing, nobody gets in, and waiting for more ends with the limit.
//!
//! Input: one byte that tells the side (0 a server's input, 1 a client's before the HELO, 2 a
//! client's after it), then the bytes.
#![no_main]

use std::sync::{Arc, LazyLock};

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use logmon_forward::handshake::{
    Client, ClientError, ClientProgress, ClientSecurity, MAX_MESSAGE, PeerInfo, Progress, Refusal,
    Security, SecuritySettings, Server, User,
};

static SECURITY: LazyLock<Arc<Security>> = LazyLock::new(|| {
    let settings = SecuritySettings {
        self_hostname: "server.example".into(),
        shared_key: Some("a key nobody guesses".into()),
        users: vec![User { username: "alice".into(), password: "pa55".into() }],
        ..SecuritySettings::default()
    };
    Arc::new(Security::new(settings).expect("settings that can be used"))
});

fn server<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Option<Refusal> {
    let mut server = Server::new(SECURITY.clone(), PeerInfo::default()).expect("randomness");
    let mut buffer = BytesMut::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        match server.feed(&mut buffer) {
            Progress::NeedsBytes => assert!(buffer.len() < MAX_MESSAGE, "no end to waiting"),
            Progress::Accepted { .. } => panic!("let in without the key"),
            Progress::Refused(refused) => {
                assert!(refused.pong.len() < 512, "clients read a PONG with one read");
                return Some(refused.refusal);
            }
        }
    }
    None
}

fn client<'a>(has_helo: bool, pieces: impl Iterator<Item = &'a [u8]>) -> Option<ClientError> {
    let security = ClientSecurity {
        self_hostname: "client.example".into(),
        shared_key: "a key nobody guesses".into(),
        ..ClientSecurity::default()
    };
    let mut client = Client::new(security).expect("randomness");
    let mut buffer = BytesMut::new();
    if has_helo {
        let mut helo = BytesMut::from(&b"\x92\xa4HELO\x81\xa5nonce\xa8nonsense"[..]);
        assert!(matches!(client.feed(&mut helo), Ok(ClientProgress::Send(_))));
    }
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match client.feed(&mut buffer) {
                Ok(ClientProgress::NeedsBytes) => {
                    assert!(buffer.len() < MAX_MESSAGE, "no end to waiting");
                    break;
                }
                // The PONG may have come with the HELO.
                Ok(ClientProgress::Send(_)) => {}
                Ok(ClientProgress::Done) => panic!("a server without the key was believed"),
                Err(error) => return Some(error),
            }
        }
    }
    None
}

fuzz_target!(|data: &[u8]| {
    let Some((side, bytes)) = data.split_first() else { return };
    let whole = || [bytes].into_iter();
    let single = || bytes.chunks(1);
    match side % 3 {
        0 => assert_eq!(server(whole()), server(single())),
        side => assert_eq!(client(side == 2, whole()), client(side == 2, single())),
    }
});
