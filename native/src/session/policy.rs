//! What a session may connect to, and how much it may read.

use std::ffi::OsString;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::endpoint::Origin;
use crate::failure::{Code, Problem};
use crate::session::addresses::{forms, is_private, is_special, literal};
use crate::session::breaker::BreakerConfig;
use crate::session::budget::Budget;
use crate::session::entry::{Entry, parse_entries};
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
    /// What holds beside all this for files from strangers.
    pub strict: Option<Strict>,
}

/// What a file from a stranger may ask for. Private addresses are then called only where they are named, and the environment
/// gives no credential.
#[derive(Clone, Copy, Debug)]
pub struct Strict {
    /// The longest deadline.
    pub max_timeout: Duration,
    /// The most repeats.
    pub max_retries: u32,
    /// Bytes that the body of a request may have.
    pub max_request_bytes: u64,
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
            strict: None,
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
        match &self.allow {
            Some(allow) if !allow.iter().any(|entry| entry.names(origin) || entry.is_by_address()) => {
                Err(self.refusal(origin, "does not allow it"))
            }
            _ => Ok(()),
        }
    }

    /// Refuses an address that the origin's host resolved to; where only a proxy knows it, what is not allowed by name,
    /// and everything if addresses are denied: it might be one of them.
    pub fn check_reached(&self, origin: &Origin, address: Option<IpAddr>) -> Result<(), Problem> {
        let Some(address) = address else { return self.check_unknown(origin) };
        if origin.is_loopback() && !address.is_loopback() && !self.allows_in_clear(origin) && !origin.tls {
            let why = format!("is a name of this very machine, and has the address {address}");
            return Err(self.refusal(origin, &why));
        }
        self.check_address(origin, address)
    }

    fn check_unknown(&self, origin: &Origin) -> Result<(), Problem> {
        let unknown = "its address is known to the proxy alone";
        if self.deny.iter().any(Entry::is_by_address) {
            return Err(self.refusal(origin, &format!("denies addresses, and {unknown}")));
        }
        match &self.allow {
            Some(allow) if !allow.iter().any(|entry| entry.names(origin)) => {
                Err(self.refusal(origin, &format!("does not allow its name, and {unknown}")))
            }
            _ => Ok(()),
        }
    }

    /// Whether an `http://` entry of `allow` names this origin, so that even a token may go there unencrypted.
    pub fn allows_in_clear(&self, origin: &Origin) -> bool {
        self.allow.iter().flatten().any(|entry| entry.names_in_clear(origin))
    }

    /// Refuses an address that the origin's host is or resolved to.
    pub fn check_address(&self, origin: &Origin, address: IpAddr) -> Result<(), Problem> {
        for form in forms(address) {
            if self.deny.iter().any(|entry| entry.covers(origin, form)) {
                return Err(self.refusal(origin, &format!("denies its address {address}")));
            }
            let mut allow = self.allow.iter().flatten();
            let allowed = allow.any(|entry| entry.covers(origin, form) || entry.names_home(origin, form));
            if is_special(form) && !allowed {
                let why = "allows no link-local, metadata or unspecified address that it does not name, and this is";
                return Err(self.refusal(origin, &format!("{why} {address}")));
            }
            if self.strict.is_some() && is_private(form) && !allowed {
                let why =
                    format!("is strict and allows no private address that it does not name, and this is {address}");
                return Err(self.refusal(origin, &why));
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

#[cfg(test)]
mod tests;
