//! What a listener looks after while it runs: names of clients, and files of certificates.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::Shared;
use crate::handshake::Security;

/// How often names are resolved and files looked at.
const PERIOD: Duration = Duration::from_secs(60);

/// An unknown client may make the names be resolved sooner, but not more often than this.
const AT_MOST: Duration = Duration::from_secs(5);

/// How long one name may take.
const PATIENCE: Duration = Duration::from_secs(5);

impl Shared {
    /// Resolves the names of clients, now and again.
    pub(super) async fn keep_names(self: Arc<Self>) {
        let Some(security) = &self.security else { return };
        if security.hosts().next().is_none() {
            return;
        }
        loop {
            sleep(AT_MOST).await;
            // Whichever comes first.
            drop(timeout(PERIOD, self.stranger.notified()).await);
            resolve(security).await;
        }
    }

    /// Reads certificates again when their files have changed.
    pub(super) async fn keep_certificates(self: Arc<Self>) {
        loop {
            sleep(PERIOD).await;
            let shared = self.clone();
            let looked = tokio::task::spawn_blocking(move || {
                let tls = shared.tls.as_ref()?;
                tls.is_stale().then(|| tls.reload())
            });
            match looked.await {
                Ok(Some(Ok(()))) => info!("the certificate of the Forward listener was reloaded"),
                Ok(Some(Err(error))) => {
                    warn!(%error, "a changed certificate was not loaded; the old one is in use");
                }
                _ => {}
            }
        }
    }
}

/// Resolves all names. One that does not resolve keeps the addresses it had.
pub(super) async fn resolve(security: &Security) {
    for (number, host) in security.hosts() {
        match timeout(PATIENCE, tokio::net::lookup_host((host, 0))).await {
            Ok(Ok(addresses)) => security.set_addresses(number, addresses.map(|a| a.ip())),
            Ok(Err(error)) => warn!(host, %error, "the name of a client cannot be resolved"),
            Err(_) => warn!(host, "the name of a client was not resolved in time"),
        }
    }
}
