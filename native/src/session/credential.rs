//! Credentials: secrets, where they come from, and the hosts that they are bound to.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::endpoint::Origin;
use crate::failure::{Code, Problem, quote};
use crate::run::places::{Places, occupy};
use crate::session::entry::Entry;

/// Questions to the host at a time: of a session, and for one credential.
const OF_SESSION: usize = 128;
const OF_CREDENTIAL: usize = 64;

/// A token; it is never printed, and this copy of it is cleared when it is dropped. Those that are on their way, in a
/// header and in the buffers of a connection, are not.
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

/// Who is asked for one credential.
pub struct Provider {
    resolver: Arc<dyn Resolver>,
    places: Places,
}

impl Provider {
    /// Asks `resolver`.
    pub fn new(resolver: Arc<dyn Resolver>) -> Arc<Self> {
        Arc::new(Self { resolver, places: Places::new(OF_CREDENTIAL) })
    }
}

/// Asks for the credentials of one session.
pub struct Asking(Places);

impl Default for Asking {
    fn default() -> Self {
        Self(Places::new(OF_SESSION))
    }
}

impl Asking {
    /// What `provider` says of the credential `name`; waits for a place among the questions, too.
    pub async fn ask(&self, provider: &Provider, name: &str) -> Result<Secret, Problem> {
        let (resolver, called) = (provider.resolver.clone(), name.to_owned());
        let answer = occupy(&provider.places, &self.0, move || resolver.resolve(&called)).await;
        let failed = |text: &str| {
            let message = format!("the provider of the credential \"{name}\" failed: {}", quote(text));
            Problem::new(Code::CredentialProvider, message)
        };
        match answer {
            Ok(Ok(value)) => Secret::new(value),
            Ok(Err(text)) => Err(failed(&text)),
            Err(_) => Err(failed("it panicked")),
        }
    }
}

/// Where a credential's value comes from.
#[derive(Clone)]
pub enum Source {
    /// Given once.
    Value(Secret),
    /// Asked for at every use.
    Resolver(Arc<Provider>),
}

/// A credential.
#[derive(Clone)]
pub struct Credential {
    /// Where its value comes from.
    pub source: Source,
    /// Where it may be sent; `None` for any endpoint of the session's model.
    pub hosts: Option<Vec<Entry>>,
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

    /// Whether it may be sent to `origin`; `clear` says whether the policy lets it go there unencrypted.
    pub fn check_host(&self, name: &str, origin: &Origin, clear: bool) -> Result<(), Problem> {
        let mut hosts = self.hosts.iter().flatten();
        if self.hosts.is_some() && !hosts.any(|entry| entry.names(origin)) {
            let at = format!("{}://{}:{}", origin.scheme(), origin.host, origin.port);
            let message = format!(
                "the credential \"{name}\" is not bound to {at}: if that host may have it, name it in the Secret's hosts, \
                 or in {}_HOSTS",
                variable_name(name)
            );
            return Err(Problem::new(Code::CredentialHost, message));
        }
        let bound = self.hosts.iter().flatten().any(|entry| entry.names_in_clear(origin));
        if bound { Ok(()) } else { check_clear(&format!("the credential \"{name}\""), origin, clear) }
    }

    /// The value that is there without asking, if there is one.
    pub fn value(&self) -> Option<&Secret> {
        match &self.source {
            Source::Value(secret) => Some(secret),
            Source::Resolver(_) => None,
        }
    }
}

/// Refuses to send a token, `what`, in clear; but to this machine, and where the policy allows it.
pub fn check_clear(what: &str, origin: &Origin, allowed: bool) -> Result<(), Problem> {
    if origin.tls || origin.is_loopback() || allowed {
        return Ok(());
    }
    let message = format!(
        "{what} would travel unencrypted to {origin}: use https or grpcs, or name \"{origin}\" in the policy's allow or \
         the Secret's hosts"
    );
    Err(Problem::new(Code::CredentialHost, message))
}

/// Reads the hosts that a credential is bound to: `host`, `host:port`, or an origin.
pub fn parse_hosts<S: AsRef<str>>(hosts: &[S]) -> Result<Vec<Entry>, Problem> {
    let parse = |host: &S| {
        let entry = Entry::parse(host.as_ref()).filter(|entry| matches!(entry, Entry::Host(..) | Entry::Origin(_)));
        let message = || format!("\"{}\" is no host, host:port or origin", host.as_ref());
        entry.ok_or_else(|| Problem::new(Code::Scope, message()))
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
        let credential = bound(&["Example.com", "127.0.0.1:8000", "https://gpu.example:8443", "http://open.example"]);
        for allowed in [
            "https://example.com",
            "https://EXAMPLE.com.:81",
            "http://0x7f.0.0.1:8000",
            "grpcs://gpu.example:8443",
            "http://open.example",
        ] {
            assert!(credential.check_host("c", &origin(allowed), false).is_ok(), "{allowed}");
        }
        for refused in [
            "https://example.com.evil",
            "https://sub.example.com",
            "http://127.0.0.1:8001",
            "http://[::1]:8000",
            "http://gpu.example:8443",
            "https://gpu.example",
            "https://open.example",
            "http://open.example:81",
        ] {
            let problem = credential.check_host("c", &origin(refused), true).unwrap_err();
            assert_eq!(problem.code, Code::CredentialHost, "{refused}");
        }
    }

    #[test]
    fn no_credential_goes_out_in_clear_unless_its_hosts_or_the_policy_name_that_origin() {
        let source = Source::Value(Secret::new(b"s3cret".to_vec()).unwrap());
        let free = Credential { source, hosts: None };
        for credential in [bound(&["gpu.example", "10.0.0.1", "127.0.0.1", "localhost"]), free] {
            for (url, passes) in [
                ("http://gpu.example", false),
                ("grpc://gpu.example:8001", false),
                ("http://10.0.0.1", false),
                ("https://gpu.example", true),
                ("http://127.0.0.1:8000", true),
                ("grpc://localhost:8001", true),
            ] {
                assert_eq!(credential.check_host("c", &origin(url), false).is_ok(), passes, "{url}");
                assert!(credential.check_host("c", &origin(url), true).is_ok(), "{url}");
            }
        }
    }

    #[test]
    fn a_credential_is_bound_to_hosts_and_origins_and_to_nothing_wider() {
        for wide in ["*.example", "10.0.0.0/8", "*", "https://*.example", "https://h/path", "http://", "", "ftp://h"] {
            assert_eq!(parse_hosts(&[wide]).unwrap_err().code, Code::Scope, "{wide}");
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
        assert_eq!(lonely.check_host("my-key", &origin("https://h"), false).unwrap_err().code, Code::CredentialHost);
        let bound = Credential::from_environment("b", environment).unwrap();
        assert!(bound.check_host("b", &origin("https://h:9"), false).is_ok());
        assert!(bound.check_host("b", &origin("https://g:2"), false).is_err());
        assert_eq!(Credential::from_environment("c", environment).err().unwrap().code, Code::CredentialMissing);
    }
}
