//! The key of a client's certificate, which may be encrypted.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pkcs8::{EncryptedPrivateKeyInfoRef, pkcs5};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

/// What a key is encrypted with. It is never shown.
#[derive(Clone, Eq, PartialEq)]
pub struct Passphrase(Arc<Zeroizing<String>>);

impl Passphrase {
    /// The passphrase that is this text.
    pub fn new(text: String) -> Self {
        Self(Arc::new(text.into()))
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(***)")
    }
}

const BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";

/// What OpenSSL writes at the top of a key in its older form, which derives a key in a way that is easy to try out.
const OLDER: &str = "Proc-Type: 4,ENCRYPTED";

/// How to write a key in the form that is read.
const CONVERT: &str = "convert it: openssl pkcs8 -topk8 -v2 aes-256-cbc -in old.pem -out key.pem";

/// The private key in a PEM file; `Err` says what is wrong with the file, and never quotes it.
pub(super) fn read(path: &Path, passphrase: Option<&Passphrase>) -> Result<PrivateKeyDer<'static>, String> {
    let text = Zeroizing::new(std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?);
    if let Ok(key) = PrivateKeyDer::from_pem_slice(&text) {
        return Ok(key);
    }
    let text = std::str::from_utf8(&text).map_err(|_| NONE)?;
    if text.contains(OLDER) {
        return Err(format!("holds a key that is encrypted in OpenSSL's older form; {CONVERT}"));
    }
    let within = text.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END));
    let (encoded, _) = within.ok_or(NONE)?;
    decrypt(encoded, passphrase.ok_or(MISSING)?)
}

const NONE: &str = "holds no private key in PEM";

const MISSING: &str = "holds a key that is encrypted, and no passphrase was given: \
                       oh.Policy(client_certificate=(certificate, key, passphrase)), or ONNXHYBRID_CLIENT_KEY_PASSPHRASE \
                       beside ONNXHYBRID_CLIENT_KEY";

/// The key of PKCS #8 (RFC 5958) that is encrypted with PBES2 (RFC 8018).
fn decrypt(encoded: &str, passphrase: &Passphrase) -> Result<PrivateKeyDer<'static>, String> {
    let encoded: String = encoded.split_ascii_whitespace().collect();
    let der = STANDARD.decode(encoded).map_err(|_| "holds an encrypted key that is no base64".to_owned())?;
    let unread = || format!("holds a key that is encrypted in a way that is not read; {CONVERT}");
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(der.as_slice()).map_err(|_| unread())?;
    match encrypted.decrypt(passphrase.0.as_bytes()) {
        Ok(key) => Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into()),
        Err(pkcs8::Error::EncryptedPrivateKey(
            pkcs5::Error::UnsupportedAlgorithm { .. }
            | pkcs5::Error::NoPbes1CryptSupport
            | pkcs5::Error::AlgorithmParametersInvalid { .. },
        )) => Err(unread()),
        Err(_) => Err("holds a key that is encrypted with another passphrase than the one that was given".into()),
    }
}

#[cfg(test)]
mod tests;
