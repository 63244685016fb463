//! Certificates beside the system's: authorities that are trusted too, and what a client shows of itself.
//!
//! They come from a policy's files, or from those that `ONNXHYBRID_CA_FILE`, `ONNXHYBRID_CLIENT_CERT`,
//! `ONNXHYBRID_CLIENT_KEY` (with `ONNXHYBRID_CLIENT_KEY_PASSPHRASE`) and `ONNXHYBRID_CLIENT_CERT_HOSTS` name. Files that
//! change are read again.

mod key;
mod pinned;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::SystemTime;

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use self::pinned::Pinned;
use crate::endpoint::Origin;
use crate::failure::{Code, Problem};
use crate::guard::lock;
use crate::session::credential::parse_hosts;
use crate::session::entry::Entry;

pub use key::Passphrase;
pub(crate) use pinned::advice;

/// The files of a client's certificate and key, and the hosts that may see it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientCertificate {
    certificate: PathBuf,
    key: PathBuf,
    passphrase: Option<Passphrase>,
    /// `None` for any endpoint of the session's model.
    hosts: Option<Vec<Entry>>,
}

impl ClientCertificate {
    /// A certificate for `hosts`, or for any endpoint of the session's model.
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>, hosts: Option<Vec<Entry>>) -> Self {
        Self { certificate: certificate.into(), key: key.into(), passphrase: None, hosts }
    }

    /// The same, with what its key is encrypted with.
    #[must_use]
    pub fn with_passphrase(self, passphrase: Option<Passphrase>) -> Self {
        Self { passphrase, ..self }
    }

    fn is_for(&self, origin: &Origin) -> bool {
        self.hosts.as_ref().is_none_or(|hosts| hosts.iter().any(|entry| entry.names(origin)))
    }
}

/// What a session trusts and shows.
#[derive(Debug)]
pub struct Trust {
    ca_file: Option<PathBuf>,
    client: Option<ClientCertificate>,
    /// Whether the environment may name a certificate to be shown to endpoints.
    environment: bool,
    /// Configurations that were made, each for its files as they were.
    made: Mutex<Vec<(Files, Arc<ClientConfig>)>>,
}

/// The files behind a configuration, and when they were last changed.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Files {
    ca_file: Option<(PathBuf, SystemTime)>,
    client: Option<[(PathBuf, SystemTime); 2]>,
    passphrase: Option<Passphrase>,
}

/// Configurations that are kept: with and without a client's certificate, and some from before a change.
const KEPT: usize = 4;

impl Default for Trust {
    fn default() -> Self {
        Self { ca_file: None, client: None, environment: true, made: Mutex::default() }
    }
}

impl Trust {
    /// The same, but for a client's certificate that the environment names.
    #[must_use]
    pub fn without_environment(self) -> Self {
        Self { environment: false, ..self }
    }

    /// Reads the files once, so that a mistake shows at once.
    pub fn new(ca_file: Option<PathBuf>, client: Option<ClientCertificate>) -> Result<Self, Problem> {
        let files = Files::stamped(ca_file.as_deref(), client.as_ref()).map_err(as_settings)?;
        if files.is_some() {
            files.load().map_err(as_settings)?;
        }
        Ok(Self { ca_file, client, ..Self::default() })
    }

    /// The configuration of a connection to `origin`.
    pub fn config(&self, origin: &Origin) -> Result<Arc<ClientConfig>, Problem> {
        let client = match &self.client {
            Some(client) => Some(client.clone()),
            None if !self.environment => None,
            None => from_environment(variable)?,
        };
        self.config_with(client, origin)
    }

    /// The configuration of a connection to a proxy. It is no endpoint of a model: it sees a client's certificate only
    /// where the environment names it among the certificate's hosts.
    pub fn config_for_proxy(&self, proxy: &Origin) -> Result<Arc<ClientConfig>, Problem> {
        self.config_with(from_environment(variable)?, proxy)
    }

    fn config_with(&self, client: Option<ClientCertificate>, origin: &Origin) -> Result<Arc<ClientConfig>, Problem> {
        let ca_file = self.ca_file.clone().or_else(|| variable("ONNXHYBRID_CA_FILE"));
        let client = client.filter(|client| client.is_for(origin));
        let files = Files::stamped(ca_file.as_deref(), client.as_ref())?;
        if files.is_some() { self.made(files) } else { plain() }
    }

    fn made(&self, files: Files) -> Result<Arc<ClientConfig>, Problem> {
        if let Some((_, config)) = lock(&self.made).iter().find(|(made, _)| *made == files) {
            return Ok(config.clone());
        }
        let config = files.load()?;
        let mut made = lock(&self.made);
        if made.len() == KEPT {
            made.remove(0);
        }
        made.push((files, config.clone()));
        Ok(config)
    }
}

impl Files {
    fn stamped(ca_file: Option<&Path>, client: Option<&ClientCertificate>) -> Result<Self, Problem> {
        let passphrase = client.and_then(|client| client.passphrase.clone());
        let client = client.map(|client| Ok::<_, Problem>([stamp(&client.certificate)?, stamp(&client.key)?]));
        Ok(Self { ca_file: ca_file.map(stamp).transpose()?, client: client.transpose()?, passphrase })
    }

    fn is_some(&self) -> bool {
        self.ca_file.is_some() || self.client.is_some()
    }

    fn load(&self) -> Result<Arc<ClientConfig>, Problem> {
        let authorities = self.ca_file.as_ref().map(|(path, _)| certificates(path)).transpose()?;
        let client = self.client.as_ref().map(|[(certificate, _), (key, _)]| {
            let key = key::read(key, self.passphrase.as_ref()).map_err(|what| unusable(key, &what))?;
            Ok::<_, Problem>((certificates(certificate)?, key))
        });
        configured(authorities.unwrap_or_default(), client.transpose()?)
    }
}

/// The roots of the system, with those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name; empty if there are none. Where these
/// are set, the certificates themselves come along: somebody chose them.
fn system_roots() -> (RootCertStore, Vec<CertificateDer<'static>>) {
    static ROOTS: OnceLock<(RootCertStore, Vec<CertificateDer<'static>>)> = OnceLock::new();
    let load = || {
        let (mut roots, certificates) = (RootCertStore::empty(), rustls_native_certs::load_native_certs().certs);
        let chosen = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().any(|name| variable(name).is_some());
        roots.add_parsable_certificates(certificates.iter().cloned());
        (roots, if chosen { certificates } else { Vec::new() })
    };
    ROOTS.get_or_init(load).clone()
}

/// The configuration of every connection to which nothing is added.
fn plain() -> Result<Arc<ClientConfig>, Problem> {
    static CONFIG: OnceLock<Result<Arc<ClientConfig>, Problem>> = OnceLock::new();
    CONFIG.get_or_init(|| configured(Vec::new(), None)).clone()
}

/// A configuration with the system's roots and `added` ones, and with a client's certificate and key.
fn configured(
    added: Vec<CertificateDer<'static>>,
    client: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
) -> Result<Arc<ClientConfig>, Problem> {
    let (mut roots, mut trusted) = system_roots();
    roots.add_parsable_certificates(added.iter().cloned());
    trusted.extend(added);
    if roots.is_empty() {
        let message = "the system has no root certificates; set SSL_CERT_FILE or ONNXHYBRID_CA_FILE to a file of them";
        return Err(Problem::new(Code::Connect, message));
    }
    let unusable = |error: &dyn Error| Problem::new(Code::Trust, format!("TLS cannot be set up: {error}"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
    let verifier = Arc::new(Pinned { webpki: webpki.map_err(|error| unusable(&error))?, trusted });
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| unusable(&error))?.dangerous().with_custom_certificate_verifier(verifier);
    let mut config = match client {
        Some((chain, key)) => config.with_client_auth_cert(chain, key).map_err(|error| unusable(&error))?,
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The certificate that the environment names, for the hosts without which it goes nowhere.
fn from_environment(variable: impl Fn(&str) -> Option<PathBuf>) -> Result<Option<ClientCertificate>, Problem> {
    let Some(certificate) = variable("ONNXHYBRID_CLIENT_CERT") else { return Ok(None) };
    let key = variable("ONNXHYBRID_CLIENT_KEY").unwrap_or_else(|| certificate.clone());
    let hosts = variable("ONNXHYBRID_CLIENT_CERT_HOSTS").unwrap_or_default();
    let hosts = hosts.to_string_lossy();
    let hosts: Vec<_> = hosts.split(',').map(str::trim).filter(|host| !host.is_empty()).collect();
    let passphrase =
        variable("ONNXHYBRID_CLIENT_KEY_PASSPHRASE").and_then(|text| text.into_os_string().into_string().ok());
    let certificate = ClientCertificate::new(certificate, key, Some(parse_hosts(&hosts)?));
    Ok(Some(certificate.with_passphrase(passphrase.map(Passphrase::new))))
}

fn stamp(path: &Path) -> Result<(PathBuf, SystemTime), Problem> {
    let found = std::fs::metadata(path).and_then(|metadata| metadata.modified().map(|changed| (metadata, changed)));
    let (metadata, changed) = found.map_err(|error| unusable(path, &format!("cannot be read: {error}")))?;
    if !metadata.is_file() {
        return Err(unusable(path, "is no regular file")); // a device may never end, and a pipe may never begin
    }
    Ok((path.to_owned(), changed))
}

/// The certificates in a PEM file; at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(unusable(path, "holds no certificate in PEM")),
    }
}

fn unusable(path: &Path, what: &str) -> Problem {
    Problem::new(Code::Trust, format!("{} {what}", path.display()))
}

fn as_settings(problem: Problem) -> Problem {
    Problem { code: Code::Scope, ..problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Endpoint;

    fn origin(text: &str) -> Origin {
        Endpoint::parse(text).unwrap().origin
    }

    #[test]
    fn the_environments_certificate_goes_to_the_hosts_that_it_names() {
        let variables = |hosts: Option<&'static str>| {
            move |name: &str| match name {
                "ONNXHYBRID_CLIENT_CERT" => Some(PathBuf::from("c.pem")),
                "ONNXHYBRID_CLIENT_CERT_HOSTS" => hosts.map(PathBuf::from),
                _ => None,
            }
        };
        let bound = from_environment(variables(Some("a.example, b.example:8443"))).unwrap().unwrap();
        assert!(bound.is_for(&origin("https://a.example")) && bound.is_for(&origin("https://b.example:8443")));
        assert!(!bound.is_for(&origin("https://b.example")) && !bound.is_for(&origin("https://c.example")));
        let unbound = from_environment(variables(None)).unwrap().unwrap();
        assert!(!unbound.is_for(&origin("https://a.example")));
        assert_eq!(from_environment(|_| None).unwrap(), None);
    }

    #[test]
    fn a_file_that_is_missing_or_no_certificate_is_a_mistake_in_the_settings() {
        for file in ["/no/such/file.pem", "/dev/zero", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")] {
            let problem = Trust::new(Some(file.into()), None).unwrap_err();
            assert!(problem.code == Code::Scope && problem.message.contains(file), "{}", problem.message);
        }
    }
}
