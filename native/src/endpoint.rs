//! Endpoints: base URLs, and the origins that they belong to.

mod query;
mod rebasing;

use std::fmt;

use http::uri::PathAndQuery;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Value, json};
use url::{Host, Url};

/// Scheme, host and port: what connections, policies and credentials are bound to.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Origin {
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// The host, normalised: `0x7f.1` is `127.0.0.1`.
    pub host: Host<String>,
    /// The port, the scheme's own if none was given.
    pub port: u16,
}

impl Origin {
    /// The origin of an http or https URL.
    fn of(url: &Url) -> Option<Self> {
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        Some(Self { tls, host: tidy_host(url.host()?.to_owned())?, port: url.port_or_known_default()? })
    }

    /// The scheme's name.
    pub fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// `host` or `host:port`, as a `Host` header has it.
    pub fn authority(&self) -> String {
        let default = if self.tls { 443 } else { 80 };
        if self.port == default { self.host.to_string() } else { format!("{}:{}", self.host, self.port) }
    }

    /// Whether the host is this very machine, by name or address.
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.authority())
    }
}

/// The host without a dot at its end: `example.com.` is `example.com`. With more of them it is none: without them it could
/// be another's, as `2130706433..` is a name, and `2130706433` an address to whoever looks it up.
fn tidy_host(host: Host<String>) -> Option<Host<String>> {
    match host {
        Host::Domain(name) if name.ends_with("..") => None,
        Host::Domain(name) => Some(Host::Domain(name.strip_suffix('.').map(str::to_owned).unwrap_or(name))),
        address => Some(address),
    }
}

/// Reads and normalises a host on its own; an IPv6 address may lack its brackets.
pub fn parse_host(text: &str) -> Option<Host<String>> {
    match text.parse() {
        Ok(address) => Some(Host::Ipv6(address)),
        Err(_) => Host::parse(text).ok().and_then(tidy_host).filter(is_exact),
    }
}

/// Whether it names one host. A URL's host may hold a star, but nothing here reads it as a wildcard.
fn is_exact(host: &Host<String>) -> bool {
    !matches!(host, Host::Domain(name) if name.is_empty() || name.contains('*'))
}

/// Splits `host` or `host:port`; an IPv6 address with a port needs brackets.
pub fn parse_host_and_port(text: &str) -> Option<(Host<String>, Option<u16>)> {
    if let Some(host) = parse_host(text) {
        return Some((host, None));
    }
    let (host, port) = text.rsplit_once(':')?;
    Some((parse_host(host)?, Some(port.parse().ok()?)))
}

/// Reads `scheme://host[:port]`, and nothing more: no wildcard.
pub fn parse_origin(text: &str) -> Option<Origin> {
    let endpoint = Endpoint::parse(text).ok()?;
    (endpoint.path.is_empty() && is_exact(&endpoint.origin.host)).then_some(endpoint.origin)
}

/// What is spoken at an endpoint.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Wire {
    /// HTTP of whichever version the server offers.
    Http,
    /// gRPC: HTTP/2 from the first byte, with deadlines in headers and a status in trailers.
    Grpc,
}

/// A base URL.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoint {
    /// As the node writes it.
    pub text: String,
    /// Where it leads.
    pub origin: Origin,
    /// What is spoken there.
    pub wire: Wire,
    /// The text for people to see: the values of its query, which may be keys, are stars.
    pub shown: String,
    path: String,
    /// The query as it is sent; empty where there is none.
    query: String,
}

impl Endpoint {
    /// Reads an http, https, grpc or grpcs URL without user or fragment; `Err` says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if !is_spelled_out(text) {
            return Err(UNUSUAL);
        }
        let (wire, url) = parse_url(text).ok_or("is no URL with a host, such as https://host")?;
        let origin = Origin::of(&url).ok_or("is no http, https, grpc or grpcs URL")?;
        // A host of dots alone is empty without them, and some texts name hosts that no request can carry.
        if origin.host.to_string().parse::<http::uri::Authority>().is_err() {
            return Err("is no URL with a host, such as https://host");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(LOGIN);
        }
        if url.fragment().is_some() {
            return Err("is no base URL: it holds a fragment, which no request carries");
        }
        let (path, query) = (url.path().trim_end_matches('/').to_owned(), url.query().unwrap_or_default().to_owned());
        Ok(Self { text: text.to_owned(), origin, wire, shown: query::shown(text), path, query })
    }

    /// What `text` is as an endpoint, for hosts to see: scheme, host, port and whether that is this very machine; or what
    /// is wrong with it, and whether that is a user or a password.
    pub fn describe(text: &str) -> Value {
        match Self::parse(text) {
            Ok(endpoint) => json!({
                "scheme": endpoint.scheme(),
                "host": endpoint.origin.host.to_string(),
                "port": endpoint.origin.port,
                "loopback": endpoint.origin.is_loopback(),
                "path": endpoint.path,
                "shown": endpoint.shown,
                "keys": endpoint.keys().map(|(name, _)| name).collect::<Vec<_>>(),
            }),
            Err(problem) => json!({"problem": problem, "login": problem == LOGIN}),
        }
    }

    /// The URL's scheme.
    pub fn scheme(&self) -> &'static str {
        match (self.wire, self.origin.tls) {
            (Wire::Http, _) => self.origin.scheme(),
            (Wire::Grpc, false) => "grpc",
            (Wire::Grpc, true) => "grpcs",
        }
    }

    /// The segment of the base URL's path behind the one called `name`, decoded.
    pub fn segment_after(&self, name: &str) -> Option<String> {
        let mut segments = self.path.split('/').skip_while(|segment| !segment.eq_ignore_ascii_case(name));
        segments.nth(1).map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
    }

    /// The keys in the query, decoded: the names of those that look like one, and what they are.
    pub fn keys(&self) -> impl Iterator<Item = (String, String)> {
        query::keys(&self.query)
    }

    /// The path of the base URL with `segments` added, each of them percent-encoded, then its query; `None` for one that
    /// cannot be a segment.
    pub fn path(&self, segments: &[&str]) -> Option<PathAndQuery> {
        PathAndQuery::try_from(query::joined(&self.extended(segments)?, [&self.query, ""])).ok()
    }

    fn extended(&self, segments: &[&str]) -> Option<String> {
        let mut path = self.path.clone();
        for segment in segments {
            if matches!(*segment, "." | "..") {
                return None; // no encoding keeps a server from walking these
            }
            path.push('/');
            path.extend(utf8_percent_encode(segment, SEGMENT));
        }
        Some(path)
    }

    /// [`Endpoint::path`] with `name=value` in its query, whatever the URL says of that name.
    pub fn path_and_query(&self, segments: &[&str], name: &str, value: &str) -> Option<PathAndQuery> {
        let added = format!("{name}={}", utf8_percent_encode(value, SEGMENT));
        let kept = query::without(&self.query, name);
        PathAndQuery::try_from(query::joined(&self.extended(segments)?, [&kept, &added])).ok()
    }

    /// The path of the URL as it is, a slash at its end included; its query, and then `more` of it.
    pub fn exact_path_and_query(&self, more: &str) -> Option<PathAndQuery> {
        let mut url = Url::parse(&self.text).ok()?;
        url.set_query(Some(more));
        let more = url.query().unwrap_or_default();
        PathAndQuery::try_from(query::joined(url.path(), [&self.query, more])).ok()
    }
}

const UNUSUAL: &str = "is no URL in its usual form, such as https://host: it has two slashes behind the scheme, then a host, \
                       and neither spaces nor backslashes";
const LOGIN: &str = "holds a user or a password";

/// Whether a reader finds host and path where they are. Browsers take more: they drop line ends, read a backslash as a
/// slash, and find a host behind any number of slashes.
fn is_spelled_out(text: &str) -> bool {
    let odd = |c: char| c == '\\' || c.is_whitespace() || c.is_control();
    let rest = text.split_once(':').and_then(|(_, rest)| rest.strip_prefix("//"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/')) && !text.contains(odd)
}

/// Reads a URL; `grpc` and `grpcs` as `http` and `https`, so that hosts and ports are normalised alike.
fn parse_url(text: &str) -> Option<(Wire, Url)> {
    let (scheme, rest) = text.split_once(':')?;
    let resembled = [("grpc", "http"), ("grpcs", "https")].into_iter().find(|row| row.0.eq_ignore_ascii_case(scheme));
    match resembled {
        Some((_, http)) => Some((Wire::Grpc, Url::parse(&format!("{http}:{rest}")).ok()?)),
        None => Some((Wire::Http, Url::parse(text).ok()?)),
    }
}

/// What may stand in a path segment as it is: RFC 3986's unreserved characters.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests;
