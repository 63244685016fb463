//! TLS by rustls, with the system's roots (and `SSL_CERT_FILE`, `SSL_CERT_DIR`), loaded once and only when needed.

use std::sync::{Arc, OnceLock};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Host;

use super::Trouble;
use super::connect::refused;
use crate::failure::{Code, Problem};

/// Encrypts `stream` and checks the server's certificate against `host`.
pub(super) async fn encrypt(stream: TcpStream, host: &Host<String>) -> Result<TlsStream<TcpStream>, Trouble> {
    let config = config().map_err(|error| Trouble::Final(Problem::new(Code::Connect, error)))?;
    let name = server_name(host)
        .ok_or_else(|| Trouble::Final(Problem::new(Code::Connect, format!("{host} is no name that TLS knows"))))?;
    let connected = TlsConnector::from(config).connect(name, stream).await;
    connected.map_err(|error| Trouble::Final(refused(&format!("TLS with {host}"), &error)))
}

fn config() -> Result<Arc<ClientConfig>, String> {
    static CONFIG: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();
    CONFIG.get_or_init(load).clone()
}

fn load() -> Result<Arc<ClientConfig>, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err("the system has no root certificates; set SSL_CERT_FILE to a file of them".into());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth();
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
