//! TLS by rustls, on the way to an origin or to a proxy.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Host;

use super::Trouble;
use super::connect::refused;
use super::io::Io;
use crate::endpoint::Origin;
use crate::failure::{Code, Problem};
use crate::session::trust::{self, Trust};

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
    connected.map_err(|error| {
        let mut problem = refused(&format!("{host} by TLS"), &error);
        if let Some(advice) = error.get_ref().and_then(|error| error.downcast_ref()).and_then(trust::advice) {
            problem.message.extend(["; ", advice]);
        }
        Trouble::Final(problem)
    })
}

fn server_name(host: &Host<String>) -> Option<ServerName<'static>> {
    match host {
        Host::Domain(name) => ServerName::try_from(name.clone()).ok(),
        Host::Ipv4(address) => Some(ServerName::from(std::net::IpAddr::V4(*address))),
        Host::Ipv6(address) => Some(ServerName::from(std::net::IpAddr::V6(*address))),
    }
}
