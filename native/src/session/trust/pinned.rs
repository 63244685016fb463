//! Servers that show a certificate which is trusted by itself.
//!
//! The self-signed certificate of every tutorial (`openssl req -x509`) is that of an authority, and webpki accepts none at
//! the end of a chain. Browsers, curl and OpenSSL accept it where it is given as one to trust, and so does this: whoever
//! has the key of an authority that is trusted could sign any other certificate with it. Its names, its dates and the
//! signature of the handshake are checked as ever.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

/// webpki, and what is trusted by itself.
#[derive(Debug)]
pub(super) struct Pinned {
    pub(super) webpki: Arc<WebPkiServerVerifier>,
    /// Certificates that are trusted whatever they are.
    pub(super) trusted: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let refusal = match self.webpki.verify_server_cert(shown, chain, name, ocsp, now) {
            Err(Error::InvalidCertificate(refusal)) => refusal,
            outcome => return outcome,
        };
        // All of these come after its dates were found to be right. A signature is bad where another authority has the name
        // of the one that signed it.
        let unsigned = matches!(refusal, CertificateError::UnknownIssuer | CertificateError::BadSignature)
            || is(&refusal, &webpki::Error::CaUsedAsEndEntity);
        if !unsigned || !self.trusted.iter().any(|trusted| trusted == shown) {
            return Err(refusal.into());
        }
        verify_server_name(&ParsedCertificate::try_from(shown)?, name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// Whether a certificate was refused for this reason, which rustls has no name for.
fn is(refusal: &CertificateError, reason: &webpki::Error) -> bool {
    matches!(refusal, CertificateError::Other(other) if other.0.downcast_ref() == Some(reason))
}

/// What to do where a server's certificate was refused.
pub(crate) fn advice(error: &Error) -> Option<&'static str> {
    let Error::InvalidCertificate(refusal) = error else { return None };
    match refusal {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Some(
            "the authority that signed its certificate is not known: name a PEM file of that authority, or of the \
             certificate itself, in oh.Policy(ca_file=…), ONNXHYBRID_CA_FILE or SSL_CERT_FILE",
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Some(
            "the host has to be among the names of its certificate (subjectAltName=DNS:… or IP:…; the common name does \
             not count)",
        ),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            Some("its certificate is not one of a server: extendedKeyUsage has to hold serverAuth")
        }
        _ if is(refusal, &webpki::Error::CaUsedAsEndEntity) => Some(
            "it shows the certificate of an authority (CA:TRUE), which is accepted only where that very certificate is in \
             oh.Policy(ca_file=…), ONNXHYBRID_CA_FILE or SSL_CERT_FILE; or give it a certificate that the authority signed",
        ),
        _ if is(refusal, &webpki::Error::UnsupportedCertVersion) => Some(
            "its certificate is of version 1, which holds no names of hosts: sign one of version 3 (openssl x509 -req \
             -extfile with subjectAltName=DNS:…)",
        ),
        _ => None,
    }
}
