//! Entries that name endpoints: origins, hosts, all names below a domain, networks.

use std::net::IpAddr;

use ipnet::IpNet;
use url::Host;

use crate::endpoint::{Origin, parse_host_and_port, parse_origin};
use crate::failure::{Code, Problem};
use crate::session::addresses::literal;

/// One entry of a policy's `allow` or `deny`, or of a credential's hosts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Entry {
    /// Scheme, host and port.
    Origin(Origin),
    /// A host, at any port or at one.
    Host(Host<String>, Option<u16>),
    /// Every name that ends so.
    Subdomains(String),
    /// Addresses.
    Network(IpNet),
}

impl Entry {
    /// Reads `https://host:port`, `host`, `host:port`, `*.domain` or `10.0.0.0/8`.
    pub fn parse(text: &str) -> Option<Self> {
        if text.contains("://") {
            return parse_origin(text).map(Self::Origin);
        }
        if let Ok(network) = text.parse() {
            return Some(Self::Network(network));
        }
        if let Some(domain) = text.strip_prefix("*.") {
            return match parse_host_and_port(domain)? {
                (Host::Domain(name), None) => Some(Self::Subdomains(format!(".{name}"))),
                _ => None,
            };
        }
        parse_host_and_port(text).map(|(host, port)| Self::Host(host, port))
    }

    /// Whether the entry names this origin as it is written.
    pub fn names(&self, origin: &Origin) -> bool {
        match self {
            Self::Origin(named) => named == origin,
            Self::Host(host, port) => *host == origin.host && port.is_none_or(|port| port == origin.port),
            Self::Subdomains(suffix) => matches!(&origin.host, Host::Domain(name) if name.ends_with(suffix.as_str())),
            Self::Network(_) => literal(&origin.host).is_some_and(|address| self.covers(origin, address)),
        }
    }

    /// Whether the entry is an origin that is not encrypted, and this one.
    pub fn names_in_clear(&self, origin: &Origin) -> bool {
        matches!(self, Self::Origin(named) if !named.tls && named == origin)
    }

    /// Whether the entry names this very machine, by its name, and this is its address.
    pub fn names_home(&self, origin: &Origin, address: IpAddr) -> bool {
        origin.is_loopback() && address.is_loopback() && self.names(origin)
    }

    /// Whether the entry is about addresses, which a name says nothing of.
    pub fn is_by_address(&self) -> bool {
        match self {
            Self::Network(_) => true,
            Self::Host(host, _) => literal(host).is_some(),
            Self::Origin(origin) => literal(&origin.host).is_some(),
            Self::Subdomains(_) => false,
        }
    }

    /// Whether the entry names this address, to which the origin's host resolved.
    pub fn covers(&self, origin: &Origin, address: IpAddr) -> bool {
        match self {
            Self::Network(network) => network.contains(&address),
            Self::Host(host, port) => literal(host) == Some(address) && port.is_none_or(|port| port == origin.port),
            Self::Origin(named) => {
                literal(&named.host) == Some(address) && named.port == origin.port && named.tls == origin.tls
            }
            Self::Subdomains(_) => false,
        }
    }
}

/// Reads entries of a policy.
pub fn parse_entries(entries: &[String]) -> Result<Vec<Entry>, Problem> {
    let parse = |text: &String| {
        let message = || format!("\"{text}\" is no origin, host, *.domain or network");
        Entry::parse(text).ok_or_else(|| Problem::new(Code::Scope, message()))
    };
    entries.iter().map(parse).collect()
}
