//! The side that is connected to.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{InconsistentKeys, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::files::{self, TlsError, TlsFault};
use super::provider;
use crate::handshake::Secret;

/// The settings of a listener's TLS.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "the keys of a section of the configuration")]
pub struct TlsSettings {
    /// The file with the certificate, and those above it if clients do not have them.
    pub cert: PathBuf,
    /// The file with its private key.
    pub key: PathBuf,
    /// What opens the key, if it is encrypted.
    pub key_passphrase: Option<Secret>,
    /// Whether clients have to show a certificate. Default none.
    pub client_auth: ClientAuth,
    /// The file with the certificates that those of clients must come from.
    pub client_ca: Option<PathBuf>,
    /// The oldest version that is spoken. Default 1.2, which Fluentd speaks alone unless it is
    /// told otherwise.
    pub min_version: MinVersion,
}

/// Whether clients have to show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientAuth {
    /// They are not asked for one.
    #[default]
    None,
    /// Those who show one must show a good one.
    Optional,
    /// They have to.
    Required,
}

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MinVersion {
    /// 1.2 and 1.3.
    #[default]
    Tls12,
    /// Only 1.3.
    Tls13,
}

/// The TLS of a listener, which can be read from its files again while it is in use.
#[derive(Debug)]
pub struct ServerTls {
    settings: TlsSettings,
    current: RwLock<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    config: Arc<ServerConfig>,
    /// When the files were last changed, as far as that is known.
    changed: Changed,
}

type Changed = Vec<Option<SystemTime>>;

impl ServerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// A file is missing or not what it should be; the error names it.
    pub fn load(settings: TlsSettings) -> Result<Self, TlsError> {
        let loaded = Loaded { changed: changed(&settings), config: config(&settings)? };
        Ok(Self { settings, current: RwLock::new(loaded) })
    }

    /// Reads the files again. Connections that are open go on with what they began with; new ones
    /// get the new certificate, and tickets of before are no longer taken.
    ///
    /// # Errors
    /// A file is missing or not what it should be. What was read before stays in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        // When the files are replaced while they are read, the next look finds them changed.
        let changed = changed(&self.settings);
        let config = config(&self.settings);
        // Nothing panics while the lock is held.
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        // Broken files are not read again before they have changed once more.
        current.changed = changed;
        current.config = config?;
        Ok(())
    }

    /// Whether a file has another time of change than when it was read.
    pub fn is_stale(&self) -> bool {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.changed != changed(&self.settings)
    }

    /// What accepts a connection with the certificate of now.
    pub fn acceptor(&self) -> TlsAcceptor {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.config.clone().into()
    }
}

fn changed(settings: &TlsSettings) -> Changed {
    let files = [Some(&settings.cert), Some(&settings.key), settings.client_ca.as_ref()];
    let time = |file: &PathBuf| std::fs::metadata(file).and_then(|file| file.modified()).ok();
    files.into_iter().flatten().map(time).collect()
}

fn config(settings: &TlsSettings) -> Result<Arc<ServerConfig>, TlsError> {
    let rejected = |error: &dyn std::error::Error| TlsError::rejected(&settings.cert, error);
    let versions: &[_] = match settings.min_version {
        MinVersion::Tls12 => &[&TLS13, &TLS12],
        MinVersion::Tls13 => &[&TLS13],
    };
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .map_err(|error| rejected(&error))?;
    let builder = match (settings.client_auth, &settings.client_ca) {
        (ClientAuth::None, _) => builder.with_no_client_auth(),
        (auth, ca) => {
            let missing = || {
                let fault = "client_auth needs client_ca, which clients' certificates come from";
                TlsError::new(&settings.cert, TlsFault::Rejected(fault.to_owned()))
            };
            let ca = ca.as_ref().ok_or_else(missing)?;
            let roots = Arc::new(files::roots(ca)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
            let verifier = match auth {
                ClientAuth::Optional => verifier.allow_unauthenticated(),
                _ => verifier,
            };
            let verifier = verifier.build().map_err(|error| TlsError::rejected(ca, &error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let certificates = files::certificates(&settings.cert)?;
    let key = files::key(&settings.key, settings.key_passphrase.as_ref())?;
    let mut config = builder.with_single_cert(certificates, key).map_err(|error| match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            TlsError::new(&settings.key, TlsFault::KeyMismatch(settings.cert.clone()))
        }
        error => rejected(&error),
    })?;
    // Fluentd connects every second to see whether we live: tickets make that cheap. They are of
    // this configuration only, so that a client whose certificate is no longer good cannot resume.
    config.ticketer = rustls::crypto::ring::Ticketer::new().map_err(|error| rejected(&error))?;
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}
