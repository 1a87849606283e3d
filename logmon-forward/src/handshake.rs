//! HELO, PING and PONG: how the two sides of a connection show that they know the shared key, and
//! a client that it may log in.
//!
//! Without I/O: [`Server`] and [`Client`] take the bytes that came and give the bytes to send.
//! Neither keeps more than 4 KiB of what the other side says, and none of it is believed before it
//! has been checked.
//!
//! The protocol has limits that settings cannot take away: it is not bound to the TLS channel, so
//! an active relay can log in; whoever records a handshake can guess weak keys and passwords
//! offline; and without TLS the events themselves are in clear.

mod client;
mod digest;
mod secret;
mod security;
mod server;
mod wire;

pub use client::{Client, ClientError, ClientProgress, ClientSecurity};
pub use secret::Secret;
pub use security::{
    ClientMatch, ClientRule, Network, NetworkError, Security, SecurityError, SecuritySettings, User,
};
pub use server::{Login, PeerInfo, Progress, Refusal, Refused, Server};

/// The most bytes of the other side's message that are looked at before it is given up.
pub const MAX_MESSAGE: usize = 4096;

/// What the other side calls itself or says, for a log line: a few characters of it, and none
/// that would move a cursor.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let bytes = bytes.get(..256).unwrap_or(bytes);
    let text = String::from_utf8_lossy(bytes);
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod vectors {
    //! Nonce `0123456789abcdef`, auth `fedcba9876543210`, salt `00112233445566778899aabbccddeeff`,
    //! `client.example` and `server.example`, key `s3cret`, `alice` with `pa55`.

    pub(super) const PING_KEY: &str = "714a7d541d99557c6cb4c3b0cdbea8dab4bd5c0a8fa6bb1cce98a823c58b7a2e\
         2bbfd7a295ec29ea623212e3145b8c187cabbea86e05254ffe0cd9cfd8af7fec";
    pub(super) const PONG_KEY: &str = "55d5dd133b2730893fa20ea76172e17bcc677e6e1cf40ba8bed948c7edc4d9b2\
         a4382128207a781776396c97e79bb9e560f637900880ee38a98490dabc593594";
    pub(super) const PING_PASSWORD: &str = "3fa6b88e4f20de4a698f3b46f05f3141430b0527b039c4964339525bd5a3f847\
         d45d110253c257590f623922ddc84fc941c178a5199d40c12d8825c57d7b59a7";
}
