//! What a session may connect to, and how much it may read.

use std::ffi::OsString;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use url::Host;

use crate::endpoint::{Origin, parse_host_and_port, parse_origin};
use crate::failure::{Code, Problem};
use crate::session::addresses::{forms, is_special, literal};
use crate::session::breaker::BreakerConfig;
use crate::session::budget::Budget;
use crate::session::trust::Trust;

/// A session's policy.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What a refusal calls it.
    name: &'static str,
    allow: Option<Vec<Entry>>,
    deny: Vec<Entry>,
    /// Bytes that the answers of a call may have, and the outputs that are read from them.
    pub max_response_bytes: u64,
    /// Requests that may be under way to one origin; `None` for any number.
    pub max_concurrency: Option<usize>,
    /// What all requests of the scope may take together.
    pub budget: Option<Arc<Budget>>,
    /// When to leave an origin alone that keeps failing; `None` for never.
    pub breaker: Option<BreakerConfig>,
    /// Certificates beside the system's.
    pub trust: Arc<Trust>,
}

/// Restricts a whole process: comma-separated entries, of which an origin must have one beside its session's policy.
const ALLOW: &str = "ONNXHYBRID_ALLOW";

/// Bytes that the answers of a call may have unless the policy says otherwise.
pub const MAX_RESPONSE_BYTES: u64 = 1 << 28;

impl Default for Policy {
    fn default() -> Self {
        Self {
            name: "the policy",
            allow: None,
            deny: Vec::new(),
            max_response_bytes: MAX_RESPONSE_BYTES,
            max_concurrency: None,
            budget: None,
            breaker: None,
            trust: Arc::default(),
        }
    }
}

/// One entry of `allow` or `deny`.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Entry {
    Origin(Origin),
    Host(Host<String>, Option<u16>),
    Subdomains(String),
    Network(IpNet),
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
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
    fn names(&self, origin: &Origin) -> bool {
        match self {
            Self::Origin(named) => named == origin,
            Self::Host(host, port) => *host == origin.host && port.is_none_or(|port| port == origin.port),
            Self::Subdomains(suffix) => matches!(&origin.host, Host::Domain(name) if name.ends_with(suffix.as_str())),
            Self::Network(_) => literal(&origin.host).is_some_and(|address| self.covers(origin, address)),
        }
    }

    /// Whether the entry names this address, to which the origin's host resolved.
    fn covers(&self, origin: &Origin, address: IpAddr) -> bool {
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

impl Policy {
    /// A policy with these entries: `https://host:port`, `host`, `host:port`, `*.domain` or `10.0.0.0/8`.
    pub fn new(allow: Option<&[String]>, deny: &[String]) -> Result<Self, Problem> {
        Ok(Self { allow: allow.map(parse_entries).transpose()?, deny: parse_entries(deny)?, ..Self::default() })
    }

    /// The policy of the whole process, if its environment has one; set and empty it allows nothing.
    pub fn of_process() -> Result<Option<Self>, Problem> {
        let Some(text) = Self::text_of_process() else { return Ok(None) };
        let text = text.into_string().map_err(|_| Problem::new(Code::Scope, format!("{ALLOW} is no text")))?;
        Self::of_list(&text).map(Some)
    }

    /// The entries of the process's policy as its environment has them.
    pub fn text_of_process() -> Option<OsString> {
        std::env::var_os(ALLOW)
    }

    fn of_list(text: &str) -> Result<Self, Problem> {
        let entries: Vec<_> =
            text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect();
        let policy = Self::new(Some(&entries), &[])
            .map_err(|problem| Problem::new(Code::Scope, format!("{ALLOW} is malformed: {}", problem.message)))?;
        Ok(Self { name: ALLOW, ..policy })
    }

    fn refusal(&self, origin: &Origin, why: &str) -> Problem {
        Problem::new(Code::Policy, format!("{} refuses {origin}: it {why}", self.name))
    }

    /// Refuses an origin that cannot be allowed whatever its host resolves to.
    pub fn check_origin(&self, origin: &Origin) -> Result<(), Problem> {
        if self.deny.iter().any(|entry| entry.names(origin)) {
            return Err(self.refusal(origin, "denies it"));
        }
        if let Some(address) = literal(&origin.host) {
            return self.check_address(origin, address);
        }
        let by_address = |entry: &Entry| {
            matches!(entry, Entry::Network(_)) || matches!(entry, Entry::Host(host, _) if literal(host).is_some())
        };
        match &self.allow {
            Some(allow) if !allow.iter().any(|entry| entry.names(origin) || by_address(entry)) => {
                Err(self.refusal(origin, "does not allow it"))
            }
            _ => Ok(()),
        }
    }

    /// Refuses an address that the origin's host resolved to; where only a proxy knows it, what is not allowed by name.
    pub fn check_reached(&self, origin: &Origin, address: Option<IpAddr>) -> Result<(), Problem> {
        match (address, &self.allow) {
            (Some(address), _) => self.check_address(origin, address),
            (None, Some(allow)) if !allow.iter().any(|entry| entry.names(origin)) => {
                Err(self.refusal(origin, "does not allow its name, and its address is known to the proxy alone"))
            }
            (None, _) => Ok(()),
        }
    }

    /// Refuses an address that the origin's host is or resolved to.
    pub fn check_address(&self, origin: &Origin, address: IpAddr) -> Result<(), Problem> {
        for form in forms(address) {
            if self.deny.iter().any(|entry| entry.covers(origin, form)) {
                return Err(self.refusal(origin, &format!("denies its address {address}")));
            }
            let allowed = self.allow.iter().flatten().any(|entry| entry.covers(origin, form));
            if is_special(form) && !allowed {
                let why = "allows no link-local, metadata or unspecified address that it does not name, and this is";
                return Err(self.refusal(origin, &format!("{why} {address}")));
            }
        }
        match &self.allow {
            Some(allow) if !allow.iter().any(|entry| entry.names(origin) || entry.covers(origin, address)) => {
                Err(self.refusal(origin, &format!("does not allow its address {address}")))
            }
            _ => Ok(()),
        }
    }
}

fn parse_entries(entries: &[String]) -> Result<Vec<Entry>, Problem> {
    let parse = |text: &String| {
        let message = || format!("\"{text}\" is no origin, host, *.domain or network");
        Entry::parse(text).ok_or_else(|| Problem::new(Code::Scope, message()))
    };
    entries.iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Endpoint;

    fn policy(allow: &[&str], deny: &[&str]) -> Policy {
        let own = |entries: &[&str]| entries.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>();
        Policy::new((!allow.is_empty()).then(|| own(allow)).as_deref(), &own(deny)).unwrap()
    }

    fn origin(text: &str) -> Origin {
        Endpoint::parse(text).unwrap().origin
    }

    fn passes(policy: &Policy, url: &str) -> bool {
        policy.check_origin(&origin(url)).is_ok()
    }

    fn reaches(policy: &Policy, url: &str, address: &str) -> bool {
        passes(policy, url) && policy.check_address(&origin(url), address.parse().unwrap()).is_ok()
    }

    #[test]
    fn special_addresses_are_refused_in_every_spelling() {
        let policy = Policy::default();
        for host in [
            "169.254.169.254",
            "0xa9fea9fe",
            "2852039166",
            "0251.0376.0251.0376",
            "169.254.43518",
            "[::ffff:169.254.169.254]",
            "[::169.254.169.254]",
            "[64:ff9b::a9fe:a9fe]",
            "[64:ff9b:1::a9fe:a9fe]",
            "[2002:a9fe:a9fe::1]",
            "[::ffff:0:a9fe:a9fe]",
            "[2001:0:1:2:3:4:5601:5601]",
            "[fe80::1]",
            "[febf::1]",
            "[fd00:ec2::254]",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "[fd20:ce::254]",
            "0.0.0.0",
            "0",
            "0.1.2.3",
            "[::]",
            "[::ffff:0.0.0.0]",
            "\u{ff11}69.254.169.254",
        ] {
            assert!(!passes(&policy, &format!("http://{host}/")), "{host}");
        }
    }

    #[test]
    fn ordinary_addresses_pass() {
        for host in ["127.0.0.1", "[::1]", "10.0.0.1", "[::ffff:127.0.0.1]", "8.8.8.8", "[2606::1]", "example.com"] {
            assert!(passes(&Policy::default(), &format!("http://{host}/")), "{host}");
        }
    }

    #[test]
    fn a_name_that_resolves_to_a_special_address_is_refused() {
        assert!(!reaches(&Policy::default(), "http://evil.example", "169.254.169.254"));
        assert!(!reaches(&policy(&["evil.example"], &[]), "http://evil.example", "169.254.169.254"));
        assert!(reaches(&policy(&["169.254.0.0/16"], &[]), "http://evil.example", "169.254.169.254"));
        assert!(reaches(&policy(&["169.254.169.254"], &[]), "http://169.254.169.254", "169.254.169.254"));
    }

    #[test]
    fn what_allow_does_not_name_is_refused() {
        let policy = policy(&["https://a.example:8443", "b.example", "c.example:81", "*.d.example", "10.0.0.0/8"], &[]);
        for url in [
            "https://a.example:8443",
            "http://b.example:9",
            "http://c.example:81",
            "http://x.y.d.example",
            "http://10.1.2.3",
        ] {
            assert!(passes(&policy, url), "{url}");
        }
        for url in ["http://11.0.0.1", "http://[::1]"] {
            assert!(!passes(&policy, url), "{url}");
        }
        // a name that is not listed may still resolve into a listed network, and only there
        assert!(reaches(&policy, "http://intern.example", "10.9.9.9"));
        for url in
            ["https://a.example", "http://a.example:8443", "http://c.example", "http://d.example", "http://xd.example"]
        {
            assert!(!reaches(&policy, url, "8.8.8.8"), "{url}");
        }
    }

    #[test]
    fn deny_wins() {
        let policy = policy(&["*.example"], &["evil.example", "192.168.0.0/16"]);
        assert!(passes(&policy, "http://good.example"));
        assert!(!passes(&policy, "http://EVIL.example."));
        assert!(!reaches(&policy, "http://good.example", "192.168.1.1"));
        assert!(!reaches(&policy, "http://good.example", "::ffff:192.168.1.1"));
    }

    #[test]
    fn a_process_may_be_restricted_by_a_list() {
        let process = Policy::of_list(" https://a.example , 10.0.0.0/8,").unwrap();
        assert!(passes(&process, "https://a.example"));
        assert!(!passes(&process, "http://127.0.0.1"));
        assert!(!reaches(&process, "http://b.example", "8.8.8.8"));
        assert!(!passes(&Policy::of_list("").unwrap(), "http://127.0.0.1"));
        let problem = process.check_origin(&origin("http://127.0.0.1")).unwrap_err();
        assert!(problem.message.starts_with("ONNXHYBRID_ALLOW refuses"), "{}", problem.message);
        assert_eq!(Policy::of_list("http://").unwrap_err().code, Code::Scope);
    }

    #[test]
    fn malformed_entries_are_refused() {
        for entry in [
            "",
            "http://",
            "ftp://h",
            "*.",
            "*.1.2.3.4",
            "h/x",
            "10.0.0.0/99",
            "https://h/path",
            "*",
            "*:80",
            "gpu-*.example",
            "*.*.example",
            "10.0.0.*",
            "https://*.example",
        ] {
            assert_eq!(Policy::new(None, &[entry.to_owned()]).unwrap_err().code, Code::Scope, "{entry}");
        }
    }
}
