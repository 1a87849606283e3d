//! Whom a certificate is for, for log lines.

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

/// The object identifier 2.5.4.3, the common name, as it stands in a certificate.
const COMMON_NAME: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x03];

/// The common name and the DNS names of a certificate, as far as there are some.
pub(crate) fn subject(certificate: &CertificateDer<'_>) -> String {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else { return String::new() };
    let mut names: Vec<String> = common_name(certificate.subject()).into_iter().collect();
    for name in certificate.valid_dns_names().take(4) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names.join(", ")
}

/// The value behind the identifier: a type of text, a length of one byte, and the text.
fn common_name(subject: &[u8]) -> Option<String> {
    let at = subject.windows(COMMON_NAME.len()).position(|window| window == COMMON_NAME)?;
    let value = subject.get(at + COMMON_NAME.len()..)?;
    let (&[_kind, length], rest) = value.split_first_chunk::<2>()?;
    let text = (length < 0x80).then(|| rest.get(..usize::from(length)))??;
    Some(crate::handshake::shown(text))
}
