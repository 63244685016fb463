//! Proxies, as `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` name them.

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Host;

use super::Trouble;
use super::connect::{connect, refused};
use crate::endpoint::{Origin, parse_host};
use crate::failure::{Code, Problem};

/// A proxy on the way to an origin.
#[derive(Debug)]
pub(super) struct Proxy {
    host: Host<String>,
    port: u16,
    /// The value of `Proxy-Authorization`.
    pub(super) authorization: Option<HeaderValue>,
}

/// Bytes that a proxy's answer to `CONNECT` may have.
const MAX_ANSWER: usize = 8 << 10;

impl Proxy {
    /// The proxy that the environment names for `origin`; none for this very machine. `Err` for one we cannot speak to.
    pub(super) fn from_environment(origin: &Origin) -> Result<Option<Self>, Problem> {
        if origin.is_loopback() {
            return Ok(None);
        }
        let target = origin.to_string().parse::<Uri>().map_err(|_| unusable("the endpoint's host"))?;
        let Some(found) = Matcher::from_env().intercept(&target) else { return Ok(None) };
        let uri = found.uri();
        if uri.scheme_str() != Some("http") {
            return Err(unusable(&format!("a proxy of scheme {}", uri.scheme_str().unwrap_or_default())));
        }
        let host = uri.host().and_then(parse_host).ok_or_else(|| unusable("a proxy without a host"))?;
        let authorization = found.basic_auth().cloned().map(|mut value| {
            value.set_sensitive(true);
            value
        });
        Ok(Some(Self { host, port: uri.port_u16().unwrap_or(80), authorization }))
    }

    /// Connects to the proxy itself.
    pub(super) async fn connect(&self) -> Result<TcpStream, Trouble> {
        // The user's own environment names the proxy, so that no policy has to.
        connect(&self.host, self.port, |_| Ok(())).await
    }

    /// Connects to `origin` through the proxy, with `CONNECT` (RFC 9110, section 9.3.6).
    pub(super) async fn tunnel(&self, origin: &Origin) -> Result<TcpStream, Trouble> {
        let mut stream = self.connect().await?;
        let target = format!("{}:{}", origin.host, origin.port);
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
        if let Some(authorization) = &self.authorization {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(authorization.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        let lost = |error| Trouble::Unanswered(refused("the proxy", &error));
        stream.write_all(&request).await.map_err(lost)?;
        match answer(&mut stream).await.map_err(lost)? {
            200..300 => Ok(stream),
            status => Err(Trouble::Final(Problem::new(
                Code::Connect,
                format!("the proxy refused a tunnel to {target} with {status}"),
            ))),
        }
    }
}

/// Reads an answer's head, byte by byte so that nothing of the tunnel is swallowed, and gives its status.
async fn answer(stream: &mut TcpStream) -> std::io::Result<u16> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < MAX_ANSWER {
        head.push(stream.read_u8().await?);
    }
    let status = head.split(|byte| *byte == b' ').nth(1).and_then(|word| std::str::from_utf8(word).ok());
    status.and_then(|word| word.parse().ok()).ok_or_else(|| std::io::Error::other("it answered no HTTP"))
}

fn unusable(what: &str) -> Problem {
    Problem::new(Code::Connect, format!("the proxy that the environment names cannot be used: {what}"))
}
