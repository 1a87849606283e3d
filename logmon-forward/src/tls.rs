//! TLS 1.2 and 1.3 for both sides, by rustls.

mod client;
mod files;
mod server;
mod subject;

pub use client::ClientTls;
pub use files::{TlsError, TlsFault};
pub use server::{ClientAuth, MinVersion, ServerTls, TlsSettings};
pub(crate) use subject::subject;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// The cryptography of every configuration, whatever else in the process chose.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
