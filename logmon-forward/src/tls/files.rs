//! Certificates and keys from files, and what may be wrong with them.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use pkcs8::EncryptedPrivateKeyInfoRef;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::handshake::Secret;

/// The longest file of certificates or keys.
const MAX_FILE: u64 = 4 << 20;

/// A file that cannot be used for TLS.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", file.display())]
#[non_exhaustive]
pub struct TlsError {
    /// The file; empty where the fault is not in a file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub fault: TlsFault,
}

/// What is wrong with a file for TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFault {
    /// It cannot be read.
    #[error("{0}")]
    Read(#[from] io::Error),
    /// It is too long to be what it should be.
    #[error("{0} bytes are more than any certificates or keys have")]
    TooLong(u64),
    /// Its text cannot be read as PEM.
    #[error("it is no PEM text: {0}")]
    Pem(String),
    /// There is no certificate in it.
    #[error("there is no certificate in it (`-----BEGIN CERTIFICATE-----`)")]
    NoCertificate,
    /// There is no key in it.
    #[error("there is no private key in it (`-----BEGIN PRIVATE KEY-----`)")]
    NoKey,
    /// The key in it is encrypted, and there is no passphrase.
    #[error("the private key in it is encrypted; set key_passphrase_file")]
    NoPassphrase,
    /// The passphrase does not open the key.
    #[error("the private key in it does not open with the passphrase: {0}")]
    WrongPassphrase(String),
    /// The key is encrypted in a way that is not read.
    #[error(
        "the private key in it is encrypted in OpenSSL's old way; \
         `openssl pkcs8 -topk8 -in OLD -out NEW` writes the common one"
    )]
    OldEncryption,
    /// The key belongs to another certificate.
    #[error("the private key in it does not belong to the certificate in {}", .0.display())]
    KeyMismatch(PathBuf),
    /// The cryptography refuses it.
    #[error("{0}")]
    Rejected(String),
    /// The system has no certificates to trust.
    #[error("the system has no certificates to trust; name those of the server with `ca`")]
    NoRoots,
    /// A name that no certificate can have.
    #[error("`{0}` is no host name or address")]
    ServerName(String),
}

impl TlsError {
    pub(super) fn new(file: &Path, fault: TlsFault) -> Self {
        Self { file: file.to_owned(), fault }
    }

    pub(super) fn rejected(file: &Path, error: &dyn std::error::Error) -> Self {
        Self::new(file, TlsFault::Rejected(error.to_string()))
    }
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    let fail = |fault| TlsError::new(file, fault);
    let length = std::fs::metadata(file).map_err(|error| fail(error.into()))?.len();
    if length > MAX_FILE {
        return Err(fail(TlsFault::TooLong(length)));
    }
    std::fs::read(file).map_err(|error| fail(error.into()))
}

/// The certificates of a file, at least one.
pub(super) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(file)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| TlsError::new(file, TlsFault::Pem(error.to_string())))?;
    if certificates.is_empty() {
        return Err(TlsError::new(file, TlsFault::NoCertificate));
    }
    Ok(certificates)
}

/// The certificates of a file as those to trust.
pub(super) fn roots(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| TlsError::rejected(file, &error))?;
    }
    Ok(roots)
}

/// The private key of a file.
pub(super) fn key(
    file: &Path,
    passphrase: Option<&Secret>,
) -> Result<PrivateKeyDer<'static>, TlsError> {
    let fail = |fault| TlsError::new(file, fault);
    let text = read(file)?;
    if let Some(encrypted) = encrypted_key(&text).map_err(fail)? {
        let Some(passphrase) = passphrase else { return Err(fail(TlsFault::NoPassphrase)) };
        return decrypt(&encrypted, passphrase).map_err(fail);
    }
    let text_of = |needle: &[u8]| text.windows(needle.len()).any(|window| window == needle);
    if text_of(b"Proc-Type: 4,ENCRYPTED") {
        return Err(fail(TlsFault::OldEncryption));
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => fail(TlsFault::NoKey),
        error => fail(TlsFault::Pem(error.to_string())),
    })
}

/// The bytes of an encrypted key, if there is one in the text.
fn encrypted_key(text: &[u8]) -> Result<Option<Vec<u8>>, TlsFault> {
    let text = String::from_utf8_lossy(text);
    let Some((_, rest)) = text.split_once("-----BEGIN ENCRYPTED PRIVATE KEY-----") else {
        return Ok(None);
    };
    let end = "-----END ENCRYPTED PRIVATE KEY-----";
    let (body, _) = rest.split_once(end).ok_or_else(|| TlsFault::Pem(format!("no {end}")))?;
    let body: String = body.split_whitespace().collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(body);
    bytes.map(Some).map_err(|error| TlsFault::Pem(error.to_string()))
}

fn decrypt(encrypted: &[u8], passphrase: &Secret) -> Result<PrivateKeyDer<'static>, TlsFault> {
    let wrong = |error: &dyn std::error::Error| TlsFault::WrongPassphrase(error.to_string());
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(encrypted)
        .map_err(|error| TlsFault::Pem(error.to_string()))?;
    let key = encrypted.decrypt(passphrase.bytes()).map_err(|error| wrong(&error))?;
    Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
}
