//! The side that connects.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, InconsistentKeys, RootCertStore, SignatureScheme,
};
use tokio_rustls::TlsConnector;

use super::files::{self, TlsError, TlsFault};
use super::provider;
use crate::handshake::Secret;

/// The settings of a sender's TLS.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "the keys of a section of the configuration")]
pub struct ClientTls {
    /// The file with the certificates that the server's must come from. Without it those that the
    /// system trusts.
    pub ca: Option<PathBuf>,
    /// Whether any certificate of the server is taken, of whatever name. That keeps listeners out
    /// and lets anybody else in. Default false.
    pub insecure: bool,
    /// The file with the certificate to show, if the server asks for one.
    pub cert: Option<PathBuf>,
    /// The file with its private key.
    pub key: Option<PathBuf>,
    /// What opens the key, if it is encrypted.
    pub key_passphrase: Option<Secret>,
    /// The name that the server's certificate must have, where it is not the one it is connected
    /// by.
    pub server_name: Option<String>,
}

impl ClientTls {
    /// Reads the files and gives what makes connections. Sessions of one connector are resumed.
    ///
    /// # Errors
    /// A file is missing or not what it should be, or the system trusts no certificates.
    pub fn connector(&self) -> Result<TlsConnector, TlsError> {
        let (cert, key) = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => (Some(cert), Some(key)),
            (None, None) => (None, None),
            (Some(file), None) | (None, Some(file)) => {
                let fault = "cert and key are set together or not at all".to_owned();
                return Err(TlsError::new(file, TlsFault::Rejected(fault)));
            }
        };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::rejected(Path::new(""), &error))?;
        let builder = if self.insecure {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider())))
        } else {
            builder.with_root_certificates(self.roots()?)
        };
        let (Some(cert), Some(key)) = (cert, key) else {
            return Ok(Arc::new(builder.with_no_client_auth()).into());
        };
        let chain = files::certificates(cert)?;
        let secret = files::key(key, self.key_passphrase.as_ref())?;
        let config = builder.with_client_auth_cert(chain, secret).map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                TlsError::new(key, TlsFault::KeyMismatch(cert.clone()))
            }
            error => TlsError::rejected(cert, &error),
        })?;
        Ok(Arc::new(config).into())
    }

    /// The name to check the server's certificate against, where it is connected as `host`.
    ///
    /// # Errors
    /// It is no name and no address.
    pub fn server_name(&self, host: &str) -> Result<ServerName<'static>, TlsError> {
        let name = self.server_name.as_deref().unwrap_or(host);
        let name = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
        ServerName::try_from(name.to_owned())
            .map_err(|_| TlsError::new(Path::new(""), TlsFault::ServerName(name.to_owned())))
    }

    fn roots(&self) -> Result<RootCertStore, TlsError> {
        if let Some(ca) = &self.ca {
            return files::roots(ca);
        }
        let mut roots = RootCertStore::empty();
        // Some certificates of a system may be of kinds nobody reads any more.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(TlsError::new(Path::new(""), TlsFault::NoRoots));
        }
        Ok(roots)
    }
}

/// Takes any certificate, but the server must have its key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
