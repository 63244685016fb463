//! A session's scope: its credentials, policy, connections and statistics.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, Weak};

use http::HeaderMap;
use serde_json::{Map, Value};

use crate::endpoint::{Endpoint, Origin, Wire};
use crate::failure::{Code, Problem};
use crate::guard::lock;
use crate::node::Node;
use crate::protocol::headers::Headers;
use crate::session::audit::Audits;
use crate::session::config::Config;
use crate::session::credential::{Asking, Credential, Resolver, Secret, Source};
use crate::session::endpoints::Endpoints;
use crate::session::events::Events;
use crate::session::masking::Masks;
use crate::session::official;
use crate::session::policy::Policy;
use crate::session::settings::Form;
use crate::session::spoken::Spoken;
use crate::session::standing::Standing;
use crate::session::stats::NodeStats;
use crate::session::tape::Tape;
use crate::transport::{Environment, Names, Peer, Server, Several, Watch};

/// What two sessions never share, and all nodes of one session do. The default is the scope of sessions that name none:
/// credentials come from the environment, and all may be called that the process's own policy allows.
#[derive(Default)]
pub struct Scope {
    credentials: HashMap<String, Credential>,
    endpoints: Endpoints,
    policy: Arc<Policy>,
    names: Arc<Names>,
    asking: Asking,
    /// Those of nodes that are still there.
    peers: Mutex<HashMap<Address, Weak<Peer>>>,
    /// What is known of servers by their base URLs; those of nodes that are still there.
    spoken: Mutex<HashMap<String, Weak<Spoken>>>,
    /// How servers stand that are one of several, by their base URLs; those of nodes that are still there.
    standings: Mutex<HashMap<String, Weak<Standing>>>,
    /// Each node's counters by its name; `None` in a scope without an id, of which nobody can ask for them.
    nodes: Option<Mutex<BTreeMap<String, Counted>>>,
    audits: Audits,
    events: Option<Arc<Events>>,
    tape: Tape,
    masks: Arc<Masks>,
}

/// Where requests go, what is spoken there, and what the environment said of it when the first node asked.
type Address = (Origin, Wire, Environment);

/// A node's counters, where its connections are counted, and its servers where they are several.
type Counted = (Arc<NodeStats>, Arc<Peer>, Option<Arc<Several>>);

impl Scope {
    /// A scope as `config` (JSON) describes it; `resolver` answers for the credentials that want one.
    pub fn from_json(config: &str, resolver: Option<Arc<dyn Resolver>>) -> Result<Self, Problem> {
        Self::configured(Config::parse(config)?, resolver)
    }

    /// A scope as `settings` of this form describe it.
    pub fn of(settings: Value, form: &Form) -> Result<Self, Problem> {
        Self::configured(Config::of(settings, form)?, None)
    }

    fn configured(mut config: Config, resolver: Option<Arc<dyn Resolver>>) -> Result<Self, Problem> {
        let endpoints = std::mem::take(&mut config.endpoints);
        Ok(Self {
            credentials: config.take_credentials(resolver.as_ref())?,
            endpoints: Endpoints::new(endpoints.into_iter().map(|(name, urls)| (name, urls.into())).collect()),
            policy: Arc::new(config.policy.policy(resolver.as_ref())?),
            nodes: Some(Mutex::default()),
            events: config.events.then(|| Arc::new(Events::of(resolver))),
            // Last, since it may make a file.
            tape: Tape::open(config.record.as_deref(), config.replay.as_deref())?,
            ..Self::default()
        })
    }

    /// Failed attempts that the host has not fetched yet, if it does so at all.
    pub fn events(&self) -> Option<&Events> {
        self.events.as_deref()
    }

    /// The tokens that no text may show.
    pub fn masks(&self) -> &Masks {
        &self.masks
    }

    /// Where answers are recorded, or come from.
    pub fn tape(&self) -> &Tape {
        &self.tape
    }

    /// What goes along with `node`'s requests.
    pub fn watch(&self, node: &Node) -> Watch {
        Watch {
            budget: self.policy.budget.clone(),
            events: self.events.clone(),
            masks: self.masks.clone(),
            node: node.name.as_str().into(),
            endpoint: node.endpoint.shown.as_str().into(),
            mark: None,
        }
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The URLs that it gives to the names of endpoints.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The servers of `node`, where they are several; `stats` count what is sent to each.
    fn several(&self, node: &Node, stats: &NodeStats) -> Result<Option<Arc<Several>>, Problem> {
        if node.places.others.is_empty() {
            return Ok(None);
        }
        let endpoints = [&node.endpoint].into_iter().chain(&node.places.others);
        let server = |endpoint: &Endpoint| {
            let (peer, standing, sent) = (self.peer(endpoint)?, self.standing(endpoint), stats.sent(&endpoint.shown));
            Ok(Server::new(endpoint.clone(), peer, standing, sent))
        };
        let servers: Vec<_> = endpoints.map(server).collect::<Result<_, Problem>>()?;
        Ok(Some(Arc::new(Several::new(servers, node.places.order))))
    }

    fn standing(&self, endpoint: &Endpoint) -> Arc<Standing> {
        let mut standings = lock(&self.standings);
        standings.retain(|_, standing| standing.strong_count() > 0);
        let standing = standings.entry(endpoint.text.clone()).or_default();
        standing.upgrade().unwrap_or_else(|| {
            let made = Arc::default();
            *standing = Arc::downgrade(&made);
            made
        })
    }

    /// The connections to the origin of `endpoint`, shared by all nodes that call it.
    pub fn peer(&self, endpoint: &Endpoint) -> Result<Arc<Peer>, Problem> {
        let address = (endpoint.origin.clone(), endpoint.wire, Environment::of(&endpoint.origin));
        if let Some(peer) = lock(&self.peers).get(&address).and_then(Weak::upgrade) {
            return Ok(peer);
        }
        let made =
            Arc::new(Peer::new(endpoint.origin.clone(), endpoint.wire, self.policy.clone(), self.names.clone())?);
        let mut peers = lock(&self.peers);
        peers.retain(|_, peer| peer.strong_count() > 0);
        let peer = peers.entry(address).or_default();
        Ok(peer.upgrade().unwrap_or_else(|| {
            *peer = Arc::downgrade(&made);
            made
        }))
    }

    /// What is known of the form of tensors that the server of `node` takes; several servers of one name take one.
    pub fn spoken(&self, node: &Node) -> Arc<Spoken> {
        let mut servers = lock(&self.spoken);
        servers.retain(|_, server| server.strong_count() > 0);
        let urls = [&node.endpoint].into_iter().chain(&node.places.others).map(|endpoint| endpoint.text.as_str());
        let server = servers.entry(urls.collect::<Vec<_>>().join(" ")).or_default();
        server.upgrade().unwrap_or_else(|| {
            let made = Arc::default();
            *server = Arc::downgrade(&made);
            made
        })
    }

    /// The counters of `node`, whose connections are those of `peer`, and its servers where they are several.
    pub fn counted(&self, node: &Node, peer: &Arc<Peer>) -> Result<(Arc<NodeStats>, Option<Arc<Several>>), Problem> {
        let Some(nodes) = &self.nodes else {
            let stats = Arc::default();
            let several = self.several(node, &stats)?;
            return Ok((stats, several));
        };
        let mut nodes = lock(nodes);
        let entry = nodes.entry(node.name.clone()).or_insert_with(|| (Arc::default(), peer.clone(), None));
        (entry.1, entry.2) = (peer.clone(), self.several(node, &entry.0)?);
        Ok((entry.0.clone(), entry.2.clone()))
    }

    /// What audits found.
    pub fn audits(&self) -> &Audits {
        &self.audits
    }

    /// Every node's counters as JSON, each beside what all of them spent of the budget, if there is one, and what audits
    /// found.
    pub fn stats(&self) -> Value {
        let budget = self.policy.budget.as_ref().map(|budget| budget.to_json());
        let mut rows = Map::new();
        for (name, (stats, peer, several)) in self.nodes.iter().flat_map(|nodes| lock(nodes).clone()) {
            let mut row = stats.to_json(Several::opened(several.as_deref(), &peer));
            row["budget"] = Value::from(budget.clone());
            rows.insert(name, row);
        }
        self.audits.tell(&mut rows);
        Value::Object(rows)
    }

    /// The value of the credential `name`, for the origin of `peer` alone.
    pub async fn secret(&self, name: &str, peer: &Peer) -> Result<Secret, Problem> {
        let credential = self.credential(name, peer)?;
        let secret = match credential.source {
            Source::Value(secret) => secret,
            Source::Resolver(provider) => self.asking.ask(&provider, name).await?,
        };
        if secret.is_empty() {
            // Without it the call would go out as nobody's, for example while a file is written anew.
            return Err(Problem::new(Code::CredentialMalformed, format!("the credential \"{name}\" is empty")));
        }
        self.masks.remember(&secret);
        Ok(secret)
    }

    /// The credential `name`, if it may go to the origin of `peer`.
    pub fn credential(&self, name: &str, peer: &Peer) -> Result<Credential, Problem> {
        let origin = peer.origin();
        let credential = match self.credentials.get(name) {
            Some(credential) => credential.clone(),
            None if self.policy.strict.is_some() => return Err(absent(name)),
            None => official::from_environment(name, origin, |key| std::env::var(key).ok())?,
        };
        credential.check_host(name, origin, peer.allows_in_clear())?;
        Ok(credential)
    }

    /// The headers that hold credentials, for the origin of `peer` alone, and what these are.
    pub async fn secret_headers(&self, headers: &Headers, peer: &Peer) -> Result<(HeaderMap, Vec<Secret>), Problem> {
        let (mut held, mut secrets) = (HeaderMap::new(), Vec::new());
        for (header, credential) in headers.credentials() {
            let secret = self.secret(credential, peer).await?;
            held.extend(headers.secret(header, &secret).map(|value| (header.clone(), value)));
            secrets.push(secret);
        }
        Ok((held, secrets))
    }
}

/// There is no such credential in a scope that takes none from the environment.
fn absent(name: &str) -> Problem {
    let message = format!(
        "there is no credential \"{name}\": give it to the session, whose policy is strict and takes none from the environment"
    );
    Problem::new(Code::CredentialMissing, message)
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
mod tests;
