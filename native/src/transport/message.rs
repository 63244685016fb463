//! A request in the form that its version of HTTP has.

use std::io::Write;
use std::time::Instant;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, HOST, USER_AGENT};
use http::uri::{Authority, Scheme};
use http::{HeaderName, HeaderValue, Method, Uri};

use super::proxy::Proxy;
use super::{Limits, Request, Watch, grpc, unpacking};
use crate::endpoint::{Origin, Wire};
use crate::failure::{Code, Problem};

/// Answers as they are: a small one takes longer to be compressed than to travel.
const PLAIN: (HeaderName, HeaderValue) = (ACCEPT_ENCODING, HeaderValue::from_static("identity"));

const AGENT: &str = concat!("onnxhybrid/", env!("CARGO_PKG_VERSION"));

/// Writes the requests to one origin.
pub(super) struct Sender {
    scheme: Scheme,
    authority: Authority,
    wire: Wire,
    is_tunnelled: bool,
    /// What stands before the path in a request line of HTTP/1.1: the origin where a proxy forwards the request,
    /// otherwise nothing.
    prefix: String,
    /// What a proxy is told in every request over HTTP/1.1.
    lines: Vec<u8>,
}

impl Sender {
    /// To `origin`, through `proxy` if there is one.
    pub(super) fn new(origin: &Origin, wire: Wire, proxy: Option<&Proxy>) -> Result<Self, Problem> {
        let unusable = |_| Problem::new(Code::Node, format!("\"{}\" is no host", origin.host));
        let authority = Authority::try_from(origin.authority()).map_err(unusable)?;
        let scheme = if origin.tls { Scheme::HTTPS } else { Scheme::HTTP };
        let mut lines = Vec::new();
        let is_tunnelled = origin.tls || wire == Wire::Grpc || proxy.is_some_and(Proxy::always_tunnels);
        let reader = proxy.filter(|_| !is_tunnelled);
        if let Some(authorization) = reader.and_then(Proxy::authorization) {
            line(&mut lines, "proxy-authorization", authorization.as_bytes());
        }
        let prefix = reader.map_or(String::new(), |_| format!("{scheme}://{authority}"));
        Ok(Self { scheme, authority, wire, is_tunnelled, prefix, lines })
    }

    /// Whether a proxy passes on bytes that it cannot read, instead of forwarding requests.
    pub(super) fn is_tunnelled(&self) -> bool {
        self.is_tunnelled
    }

    /// The head of a request over HTTP/1.1, up to the empty line.
    pub(super) fn head(&self, request: &Request, watch: &Watch) -> Vec<u8> {
        let mut head = Vec::with_capacity(512);
        for part in [request.method.as_str(), " ", &self.prefix, request.path.as_str(), " HTTP/1.1\r\n"] {
            head.extend_from_slice(part.as_bytes());
        }
        // Those of the request, if it has any, take the place of the transport's own.
        for (name, own) in [(HOST, self.authority.as_str()), (USER_AGENT, AGENT)] {
            if !request.headers.contains_key(&name) {
                line(&mut head, name.as_str(), own.as_bytes());
            }
        }
        head.extend_from_slice(&self.lines);
        if !request.headers.contains_key(ACCEPT_ENCODING) {
            head.extend_from_slice(b"accept-encoding: identity\r\n");
        }
        request.headers.iter().for_each(|(name, value)| line(&mut head, name.as_str(), value.as_bytes()));
        if let Some((name, value)) = self.mark(request, watch) {
            line(&mut head, name.as_str(), value.as_bytes());
        }
        if request.method != Method::GET {
            // Writing to a Vec cannot fail.
            let _ = write!(head, "content-length: {}\r\n", request.body.len());
        }
        head.extend_from_slice(b"\r\n");
        head
    }

    /// A request over HTTP/2.
    pub(super) fn message(&self, request: &Request, limits: &Limits, watch: &Watch) -> http::Request<Bytes> {
        let mut message = http::Request::new(request.body.join());
        *message.method_mut() = request.method.clone();
        *message.headers_mut() = request.headers.clone();
        let headers = message.headers_mut();
        let host = headers.remove(HOST);
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
        if self.wire == Wire::Grpc {
            headers.insert(grpc::TIMEOUT, grpc::timeout(limits.deadline.saturating_duration_since(Instant::now())));
        } else if !request.body.is_empty() {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(request.body.len()));
        }
        let (name, value) = if self.wire == Wire::Grpc { unpacking::ACCEPTED } else { PLAIN };
        headers.entry(name).or_insert(value);
        headers.extend(self.mark(request, watch).map(|(name, value)| (name.clone(), value.clone())));
        *message.uri_mut() = self.absolute(request, host.as_ref());
        message
    }

    /// The header of the trace, unless the request has one of its own.
    fn mark<'w>(&self, request: &Request, watch: &'w Watch) -> Option<(&'static HeaderName, &'w HeaderValue)> {
        watch.traceparent().filter(|(name, _)| !request.headers.contains_key(*name))
    }

    /// Where the request goes, for the server to see: `host` says who that is in place of the origin.
    fn absolute(&self, request: &Request, host: Option<&HeaderValue>) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        let host = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
        parts.authority = Some(host.unwrap_or_else(|| self.authority.clone()));
        parts.path_and_query = Some(request.path.clone());
        Uri::from_parts(parts).unwrap_or_default()
    }
}

fn line(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        head.extend_from_slice(part);
    }
}
