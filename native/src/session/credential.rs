//! Credentials: secrets, where they come from, and the hosts that they are bound to.

use std::fmt;
use std::sync::Arc;

use url::Host;
use zeroize::Zeroizing;

use crate::endpoint::{Origin, parse_host_and_port};
use crate::failure::{Code, Problem, quote};

/// A token; it is never printed, and its memory is cleared when it is dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes over a token. Only visible ASCII passes: anything else could add a header to a request.
    pub fn new(text: Vec<u8>) -> Result<Self, Problem> {
        let text = Zeroizing::new(text);
        if !text.iter().all(u8::is_ascii_graphic) {
            return Err(Problem::new(
                Code::CredentialMalformed,
                "the credential holds a character that is not visible ASCII",
            ));
        }
        Ok(Self(Zeroizing::new(String::from_utf8_lossy(&text).into_owned())))
    }

    /// The token itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is no token, so that no header is sent.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Asks the host language for a credential's value, at every use.
pub trait Resolver: Send + Sync {
    /// The value, or what went wrong. May take its time; never called on a thread that drives connections.
    fn resolve(&self, name: &str) -> Result<Vec<u8>, String>;
}

/// Where a credential's value comes from.
#[derive(Clone)]
pub enum Source {
    /// Given once.
    Value(Secret),
    /// Asked for at every use.
    Resolver(Arc<dyn Resolver>),
}

/// A host, and a port unless any will do.
pub type Binding = (Host<String>, Option<u16>);

/// A credential.
#[derive(Clone)]
pub struct Credential {
    /// Where its value comes from.
    pub source: Source,
    /// Where it may be sent; `None` for any endpoint of the session's model.
    pub hosts: Option<Vec<Binding>>,
}

impl Credential {
    /// The credential `name` as the environment has it: its value, and the hosts without which it goes nowhere.
    pub fn from_environment(name: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self, Problem> {
        let key = variable_name(name);
        let Some(value) = variable(&key) else {
            let message =
                format!("there is no credential \"{name}\": give it to the session, or set {key} and {key}_HOSTS");
            return Err(Problem::new(Code::CredentialMissing, message));
        };
        let hosts = variable(&format!("{key}_HOSTS")).unwrap_or_default();
        let hosts: Vec<_> = hosts.split(',').map(str::trim).filter(|host| !host.is_empty()).collect();
        Ok(Self { source: Source::Value(Secret::new(value.into_bytes())?), hosts: Some(parse_hosts(&hosts)?) })
    }

    /// Whether it may be sent to `origin`.
    pub fn check_host(&self, name: &str, origin: &Origin) -> Result<(), Problem> {
        let bound = |(host, port): &Binding| *host == origin.host && port.is_none_or(|port| port == origin.port);
        if self.hosts.as_ref().is_none_or(|hosts| hosts.iter().any(bound)) {
            return Ok(());
        }
        let host = format!("{}:{}", origin.host, origin.port);
        let message = format!("the credential \"{name}\" is not bound to {host}: if that host may have it, name it in");
        let message = format!("{message} the Secret's hosts, or in {}_HOSTS", variable_name(name));
        Err(Problem::new(Code::CredentialHost, message))
    }

    /// The value that is there without asking, if there is one.
    pub fn value(&self) -> Option<&Secret> {
        match &self.source {
            Source::Value(secret) => Some(secret),
            Source::Resolver(_) => None,
        }
    }
}

/// Asks `resolver`; it blocks for as long as that takes.
pub fn ask(resolver: &dyn Resolver, name: &str) -> Result<Secret, Problem> {
    match resolver.resolve(name) {
        Ok(value) => Secret::new(value),
        Err(text) => {
            let message = format!("the provider of the credential \"{name}\" failed: {}", quote(&text));
            Err(Problem::new(Code::CredentialProvider, message))
        }
    }
}

/// Reads the hosts that a credential is bound to.
pub fn parse_hosts<S: AsRef<str>>(hosts: &[S]) -> Result<Vec<Binding>, Problem> {
    let parse = |host: &S| {
        let message = || format!("\"{}\" is no host and no host:port", host.as_ref());
        parse_host_and_port(host.as_ref()).ok_or_else(|| Problem::new(Code::Scope, message()))
    };
    hosts.iter().map(parse).collect()
}

fn variable_name(name: &str) -> String {
    let tidy = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("ONNXHYBRID_CREDENTIAL_{}", name.chars().map(tidy).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Endpoint;

    fn origin(text: &str) -> Origin {
        Endpoint::parse(text).unwrap().origin
    }

    fn bound(hosts: &[&str]) -> Credential {
        let source = Source::Value(Secret::new(b"s3cret".to_vec()).unwrap());
        Credential { source, hosts: Some(parse_hosts(hosts).unwrap()) }
    }

    #[test]
    fn only_visible_ascii_is_a_secret() {
        assert!(Secret::new(b"abc-._~+/=!".to_vec()).is_ok());
        assert!(Secret::new(Vec::new()).unwrap().is_empty());
        for text in ["a\r\nX: y", "a\n", "a\0", "é", "a b", "a\t", "a\u{7f}"] {
            assert_eq!(Secret::new(text.into()).unwrap_err().code, Code::CredentialMalformed, "{text:?}");
        }
    }

    #[test]
    fn a_secret_prints_as_stars() {
        assert_eq!(format!("{:?}", Secret::new(b"s3cret".to_vec()).unwrap()), "***");
    }

    #[test]
    fn a_credential_goes_to_its_hosts_only() {
        let credential = bound(&["Example.com", "127.0.0.1:8000"]);
        for allowed in ["https://example.com", "http://EXAMPLE.com.:81", "http://0x7f.0.0.1:8000"] {
            assert!(credential.check_host("c", &origin(allowed)).is_ok(), "{allowed}");
        }
        for refused in
            ["https://example.com.evil", "https://sub.example.com", "http://127.0.0.1:8001", "http://[::1]:8000"]
        {
            assert_eq!(
                credential.check_host("c", &origin(refused)).unwrap_err().code,
                Code::CredentialHost,
                "{refused}"
            );
        }
    }

    #[test]
    fn the_environment_needs_hosts() {
        let environment = |key: &str| match key {
            "ONNXHYBRID_CREDENTIAL_MY_KEY" => Some("s3cret".to_owned()),
            "ONNXHYBRID_CREDENTIAL_B" => Some("s3cret".to_owned()),
            "ONNXHYBRID_CREDENTIAL_B_HOSTS" => Some("h, g:1".to_owned()),
            _ => None,
        };
        let lonely = Credential::from_environment("my-key", environment).unwrap();
        assert_eq!(lonely.check_host("my-key", &origin("http://h")).unwrap_err().code, Code::CredentialHost);
        let bound = Credential::from_environment("b", environment).unwrap();
        assert!(bound.check_host("b", &origin("http://h:9")).is_ok());
        assert!(bound.check_host("b", &origin("http://g:2")).is_err());
        assert_eq!(Credential::from_environment("c", environment).err().unwrap().code, Code::CredentialMissing);
    }
}
