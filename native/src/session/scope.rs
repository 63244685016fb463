//! A session's scope: its credentials, policy, connections and statistics.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::endpoint::{Endpoint, Origin, Wire};
use crate::failure::{Code, Problem};
use crate::guard::lock;
use crate::node::Node;
use crate::run::tickets::Tickets;
use crate::session::breaker::BreakerConfig;
use crate::session::budget::{Budget, BudgetConfig};
use crate::session::credential::{Credential, Resolver, Secret, Source, ask, parse_hosts};
use crate::session::events::Events;
use crate::session::official;
use crate::session::policy::Policy;
use crate::session::stats::NodeStats;
use crate::session::tape::Tape;
use crate::transport::{ClientCertificate, Peer, Trust, Watch};

/// What two sessions never share, and all nodes of one session do.
#[derive(Default)]
pub struct Scope {
    credentials: HashMap<String, Credential>,
    policy: Arc<Policy>,
    peers: Mutex<HashMap<(Origin, Wire), Arc<Peer>>>,
    nodes: Mutex<BTreeMap<String, Counted>>,
    tickets: Arc<Tickets>,
    events: Option<Arc<Events>>,
    tape: Tape,
}

/// A node's counters, and where its connections are counted.
type Counted = (Arc<NodeStats>, Arc<Peer>);

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    credentials: HashMap<String, CredentialConfig>,
    policy: PolicyConfig,
    /// Whether the host fetches failed attempts.
    events: bool,
    /// The file that keeps answers.
    record: Option<String>,
    /// The file that gives them.
    replay: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialConfig {
    #[serde(default)]
    value: Option<String>,
    #[serde(default)]
    resolver: bool,
    #[serde(default)]
    hosts: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PolicyConfig {
    allow: Option<Vec<String>>,
    deny: Vec<String>,
    max_response_bytes: Option<u64>,
    max_concurrency: Option<u32>,
    budget: Option<BudgetConfig>,
    breaker: Option<BreakerConfig>,
    ca_file: Option<String>,
    /// The files of the certificate and of its key.
    client_certificate: Option<(String, String)>,
}

impl Scope {
    /// A scope as `config` (JSON) describes it; `resolver` answers for the credentials that want one.
    pub fn from_json(config: &str, resolver: Option<Arc<dyn Resolver>>) -> Result<Self, Problem> {
        let config: Config = serde_json::from_str(config).map_err(|error| malformed(position(&error)))?;
        let credentials = config.credentials.into_iter().map(|(name, config)| {
            let credential = config.credential(&name, resolver.as_ref())?;
            Ok::<_, Problem>((name, credential))
        });
        Ok(Self {
            credentials: credentials.collect::<Result<_, _>>()?,
            policy: Arc::new(config.policy.policy()?),
            events: config.events.then(Arc::default),
            // Last, since it may make a file.
            tape: Tape::open(config.record.as_deref(), config.replay.as_deref())?,
            ..Self::default()
        })
    }

    /// Failed attempts that the host has not fetched yet, if it does so at all.
    pub fn events(&self) -> Option<&Events> {
        self.events.as_deref()
    }

    /// Where answers are recorded, or come from.
    pub fn tape(&self) -> &Tape {
        &self.tape
    }

    /// What `node`'s requests are held to and who hears of them.
    pub fn watch(&self, node: &Node) -> Watch {
        let priced = |budget: &Arc<Budget>| {
            (budget.clone(), budget.price(&[&node.name, node.text("model"), node.text("deployment")]))
        };
        Watch {
            budget: self.policy.budget.as_ref().map(priced),
            events: self.events.clone(),
            node: node.name.as_str().into(),
            endpoint: node.endpoint.text.as_str().into(),
            traceparent: None,
        }
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The calls that were begun and not yet awaited.
    pub fn tickets(&self) -> &Arc<Tickets> {
        &self.tickets
    }

    /// The connections to the origin of `endpoint`, shared by all nodes that call it.
    pub fn peer(&self, endpoint: &Endpoint) -> Result<Arc<Peer>, Problem> {
        let key = (endpoint.origin.clone(), endpoint.wire);
        if let Some(peer) = lock(&self.peers).get(&key) {
            return Ok(peer.clone());
        }
        let peer = Arc::new(Peer::new(endpoint.origin.clone(), endpoint.wire, self.policy.clone())?);
        Ok(lock(&self.peers).entry(key).or_insert(peer).clone())
    }

    /// The counters of the node called `name`.
    pub fn node_stats(&self, name: &str, peer: &Arc<Peer>) -> Arc<NodeStats> {
        let mut nodes = lock(&self.nodes);
        let entry = nodes.entry(name.to_owned()).or_insert_with(|| (Arc::default(), peer.clone()));
        entry.1 = peer.clone();
        entry.0.clone()
    }

    /// Every node's counters as JSON.
    pub fn stats(&self) -> Value {
        let nodes = lock(&self.nodes);
        let rows = nodes.iter().map(|(name, (stats, peer))| (name.clone(), stats.to_json(peer.opened())));
        Value::Object(rows.collect::<Map<_, _>>())
    }

    /// The value of the credential `name`, for `origin` alone.
    pub async fn secret(&self, name: &str, origin: &Origin) -> Result<Secret, Problem> {
        let credential = match self.credentials.get(name) {
            Some(credential) => credential.clone(),
            None => official::from_environment(name, origin, |key| std::env::var(key).ok())?,
        };
        credential.check_host(name, origin)?;
        let secret = Self::current(credential.source, name).await?;
        if secret.is_empty() {
            // Without it the call would go out as nobody's, for example while a file is written anew.
            return Err(Problem::new(Code::CredentialMalformed, format!("the credential \"{name}\" is empty")));
        }
        Ok(secret)
    }

    async fn current(source: Source, name: &str) -> Result<Secret, Problem> {
        match source {
            Source::Value(secret) => Ok(secret),
            Source::Resolver(resolver) => {
                let name = name.to_owned();
                let asked = tokio::task::spawn_blocking(move || ask(&*resolver, &name)).await;
                asked.unwrap_or_else(|_| {
                    Err(Problem::new(Code::CredentialProvider, "the credential's provider panicked"))
                })
            }
        }
    }
}

impl CredentialConfig {
    fn credential(self, name: &str, resolver: Option<&Arc<dyn Resolver>>) -> Result<Credential, Problem> {
        let source = match (self.value, self.resolver, resolver) {
            (Some(value), false, _) => Source::Value(Secret::new(value.into_bytes())?),
            (None, true, Some(resolver)) => Source::Resolver(resolver.clone()),
            (None, true, None) => {
                return Err(malformed(format!("the credential \"{name}\" wants a resolver, and none was given")));
            }
            _ => return Err(malformed(format!("the credential \"{name}\" needs either a value or a resolver"))),
        };
        Ok(Credential { source, hosts: self.hosts.map(|hosts| parse_hosts(&hosts)).transpose()? })
    }
}

impl PolicyConfig {
    fn policy(self) -> Result<Policy, Problem> {
        let mut policy = Policy::new(self.allow.as_deref(), &self.deny)?;
        if let Some(bytes) = self.max_response_bytes {
            policy.max_response_bytes = bytes;
        }
        if self.max_concurrency == Some(0) {
            return Err(malformed("max_concurrency is 0".into()));
        }
        policy.max_concurrency = self.max_concurrency.map(|requests| requests as usize);
        policy.budget = self.budget.map(Budget::new).transpose().map_err(malformed)?.map(Arc::new);
        if let Some(breaker) = &self.breaker {
            breaker.check().map_err(|what| malformed(what.into()))?;
        }
        policy.breaker = self.breaker;
        let client = self.client_certificate.map(|(certificate, key)| ClientCertificate::new(certificate, key, None));
        policy.trust = Arc::new(Trust::new(self.ca_file.map(Into::into), client)?);
        Ok(policy)
    }
}

/// Where the JSON is wrong, without its text: that may hold a secret.
fn position(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Data => "an entry is unknown, missing or of the wrong type",
        _ => "it is no JSON",
    };
    format!("{what}, at line {} column {}", error.line(), error.column())
}

fn malformed(message: String) -> Problem {
    Problem::new(Code::Scope, format!("the scope's configuration is malformed: {message}"))
}

static SCOPES: LazyLock<Mutex<HashMap<u64, Arc<Scope>>>> = LazyLock::new(Mutex::default);

/// Keeps `scope` under a new id.
pub fn add(scope: Scope) -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    lock(&SCOPES).insert(id, Arc::new(scope));
    id
}

/// The scope with this id.
pub fn find(id: u64) -> Option<Arc<Scope>> {
    lock(&SCOPES).get(&id).cloned()
}

/// Forgets the id; whoever holds the scope keeps it.
pub fn remove(id: u64) {
    let removed = lock(&SCOPES).remove(&id);
    // Dropped here, after the lock: closing connections takes its time.
    drop(removed);
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::transport::runtime::block_on;

    struct Echo;

    impl Resolver for Echo {
        fn resolve(&self, name: &str) -> Result<Vec<u8>, String> {
            match name {
                "broken" => Err("no\nvalue".into()),
                "malformed" => Ok(b"a\r\nX-Evil: 1".to_vec()),
                "slow" => {
                    std::thread::sleep(Duration::from_millis(300));
                    Ok(Vec::new())
                }
                _ => Ok(name.into()),
            }
        }
    }

    fn secret(scope: &Scope, name: &str) -> Option<Result<String, Code>> {
        let origin = Endpoint::parse("http://h:8000").unwrap().origin;
        let deadline = Instant::now() + Duration::from_millis(100);
        let result = block_on(deadline, scope.secret(name, &origin))?;
        Some(result.map(|secret| secret.expose().to_owned()).map_err(|problem| problem.code))
    }

    #[test]
    fn a_scope_is_read_strictly() {
        assert!(Scope::from_json("{}", None).is_ok());
        for config in [
            "",
            r#"{"x": 1}"#,
            r#"{"policy": {"x": 1}}"#,
            r#"{"policy": {"deny": ["h/x"]}}"#,
            r#"{"policy": {"max_concurrency": 0}}"#,
            r#"{"credentials": {"a": {}}}"#,
            r#"{"credentials": {"a": {"resolver": true}}}"#,
            r#"{"credentials": {"a": {"value": "v", "resolver": true}}}"#,
            r#"{"credentials": {"a": {"value": "v", "hosts": ["http://h"]}}}"#,
        ] {
            assert_eq!(Scope::from_json(config, None).err().unwrap().code, Code::Scope, "{config}");
        }
    }

    #[test]
    fn a_malformed_scope_does_not_show_its_secrets() {
        let error = Scope::from_json(r#"{"credentials": {"a": "s3cret"}}"#, None).err().unwrap();
        assert!(!error.message.contains("s3cret"));
    }

    #[test]
    fn secrets_come_from_values_and_resolvers() {
        let config = r#"{"credentials": {
            "v": {"value": "token"}, "bound": {"value": "token", "hosts": ["other"]},
            "r": {"resolver": true}, "broken": {"resolver": true}, "malformed": {"resolver": true}, "slow": {"resolver": true}}}"#;
        let scope = Scope::from_json(config, Some(Arc::new(Echo))).unwrap();
        assert_eq!(secret(&scope, "v"), Some(Ok("token".into())));
        assert_eq!(secret(&scope, "r"), Some(Ok("r".into())));
        assert_eq!(secret(&scope, "bound"), Some(Err(Code::CredentialHost)));
        assert_eq!(secret(&scope, "broken"), Some(Err(Code::CredentialProvider)));
        assert_eq!(secret(&scope, "malformed"), Some(Err(Code::CredentialMalformed)));
        assert_eq!(secret(&scope, "nobody"), Some(Err(Code::CredentialMissing)));
        assert_eq!(secret(&scope, "slow"), None);
    }

    #[test]
    fn ids_are_forgotten() {
        let id = add(Scope::default());
        assert!(find(id).is_some());
        remove(id);
        assert!(find(id).is_none());
    }
}
