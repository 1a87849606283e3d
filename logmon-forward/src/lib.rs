//! Fluentd's Forward protocol: a codec without I/O, a listener and a sender.
//!
//! The [`Decoder`] turns the bytes of one connection into batches of checked entries, whatever
//! carrier mode they came in; the [`Listener`] reads sockets into a journal and acknowledges what
//! the journal has made durable; the [`Sender`] is the other side.
//!
//! Protocol facts are those of the Forward protocol specification v1 and v1.5
//! (<https://github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1.5>) and of what
//! Fluentd, Fluent Bit, Docker and the client libraries do on the wire.

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

pub mod codec;
pub mod handshake;
mod listener;
pub mod sender;
pub mod tls;
mod transport;

pub use codec::{Decoder, Settings};
pub use listener::{
    BindError, DedupeMode, Handle, HostNames, Listener, ListenerConfig, Snapshot, Stats,
    SystemHostNames, UnixSocket,
};
pub use sender::{SendError, Sender, SenderConfig};
