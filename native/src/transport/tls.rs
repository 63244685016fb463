//! TLS by rustls, with the system's roots (and `SSL_CERT_FILE`, `SSL_CERT_DIR`), loaded once and only when needed.

use std::sync::{Arc, OnceLock};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Host;

use super::connect::refused;
use super::io::Io;
use super::{Trouble, Trust};
use crate::endpoint::Origin;
use crate::failure::{Code, Problem};

/// Encrypts `stream` and checks the server's certificate against the origin's host.
pub(super) async fn encrypt<S: Io>(stream: S, origin: &Origin, trust: &Trust) -> Result<TlsStream<S>, Trouble> {
    shake_hands(stream, &origin.host, trust.config(origin).map_err(Trouble::Final)?).await
}

/// Encrypts the way to a proxy, to which HTTP/1.1 is spoken.
pub(super) async fn encrypt_to_proxy<S: Io>(stream: S, proxy: &Origin, trust: &Trust) -> Result<TlsStream<S>, Trouble> {
    let mut config = ClientConfig::clone(&*trust.config_for_proxy(proxy).map_err(Trouble::Final)?);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    shake_hands(stream, &proxy.host, Arc::new(config)).await
}

async fn shake_hands<S: Io>(
    stream: S,
    host: &Host<String>,
    config: Arc<ClientConfig>,
) -> Result<TlsStream<S>, Trouble> {
    let name = server_name(host)
        .ok_or_else(|| Trouble::Final(Problem::new(Code::Connect, format!("{host} is no name that TLS knows"))))?;
    let connected = TlsConnector::from(config).connect(name, stream).await;
    connected.map_err(|error| Trouble::Final(refused(&format!("{host} by TLS"), &error)))
}

/// The roots of the system; empty if it has none.
fn system_roots() -> RootCertStore {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    let load = || {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots
    };
    ROOTS.get_or_init(load).clone()
}

/// The configuration of every connection to which nothing is added.
pub(super) fn plain() -> Result<Arc<ClientConfig>, Problem> {
    static CONFIG: OnceLock<Result<Arc<ClientConfig>, Problem>> = OnceLock::new();
    CONFIG.get_or_init(|| configured(Vec::new(), None)).clone()
}

/// A configuration with the system's roots and `added` ones, and with a client's certificate and key.
pub(super) fn configured(
    added: Vec<CertificateDer<'static>>,
    client: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
) -> Result<Arc<ClientConfig>, Problem> {
    let mut roots = system_roots();
    roots.add_parsable_certificates(added);
    if roots.is_empty() {
        let message = "the system has no root certificates; set SSL_CERT_FILE or ONNXHYBRID_CA_FILE to a file of them";
        return Err(Problem::new(Code::Connect, message));
    }
    let unusable = |error: rustls::Error| Problem::new(Code::Trust, format!("TLS cannot be set up: {error}"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(unusable)?.with_root_certificates(roots);
    let mut config = match client {
        Some((chain, key)) => config.with_client_auth_cert(chain, key).map_err(unusable)?,
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn server_name(host: &Host<String>) -> Option<ServerName<'static>> {
    match host {
        Host::Domain(name) => ServerName::try_from(name.clone()).ok(),
        Host::Ipv4(address) => Some(ServerName::from(std::net::IpAddr::V4(*address))),
        Host::Ipv6(address) => Some(ServerName::from(std::net::IpAddr::V6(*address))),
    }
}
