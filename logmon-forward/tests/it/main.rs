//! The crate seen from outside. Rows named `F-...` are those of `docs/forward-conformance.md`.

#![allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test that fails is meant to panic"
)]

mod acks;
mod bad_input;
mod common;
mod decode;
mod dedupe;
mod handshake;
mod journals;
mod listener;
mod oracle;
mod properties;
mod sender;
mod server;
mod source;
mod staging;
mod tls;
mod transport;
mod udp;
