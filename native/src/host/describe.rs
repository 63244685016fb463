//! A model's interface, asked of its server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::attributes::{ATTEMPT_TIMEOUT, AUTH, AUTH_SCHEME, CONNECT_TIMEOUT, HEADERS, RETRIES, TIMEOUT};
use crate::call::keys;
use crate::endpoint::{Endpoint, Wire};
use crate::failure::{Code, Failure, Problem};
use crate::node::{self, Auth};
use crate::protocol::headers::{self, Headers};
use crate::protocol::options::Options;
use crate::protocol::spec::{Authentication, Describe, Description, OptionalNames, ProtocolSpec, TensorSpec};
use crate::protocol::table;
use crate::run::bounds;
use crate::session::endpoints;
use crate::session::scope::Scope;
use crate::transport::runtime::block_on;
use crate::transport::{Limits, Peer, Request, Tally, send};

/// What the host asks: attributes as a node has them, with the same defaults.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    protocol: String,
    endpoint: String,
    #[serde(default)]
    model: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    auth: Option<String>,
    #[serde(default)]
    auth_scheme: Option<String>,
    #[serde(default)]
    headers: Option<String>,
    #[serde(default)]
    timeout_ms: Option<u64>,
    #[serde(default)]
    connect_timeout_ms: Option<u64>,
    #[serde(default)]
    attempt_timeout_ms: Option<u64>,
    #[serde(default)]
    retries: Option<u32>,
}

impl Query {
    /// A text attribute that belongs to the protocol.
    fn text(&self, name: &str) -> Option<String> {
        match name {
            "model" => Some(self.model.clone()),
            "version" => Some(self.version.clone()),
            _ => None,
        }
    }

    /// The name of the credential that is sent along, if one is.
    fn credential(&self) -> Result<Option<String>, Problem> {
        let auth = self.auth.as_deref().unwrap_or(AUTH.default);
        match Auth::parse(auth) {
            Some(Auth::None) => Ok(None),
            Some(Auth::Credential(name)) => Ok(Some(name)),
            _ => Err(refused(format!("auth \"{auth}\" is neither none nor credential:NAME"))),
        }
    }

    /// How the token is carried, and what is sent beside it. A header that is given at run time is not known.
    fn headers(&self, protocol: &ProtocolSpec, wire: Wire) -> Result<(Authentication, Headers), Problem> {
        let scheme = self.auth_scheme.as_deref().unwrap_or(AUTH_SCHEME.default);
        let authentication = node::authentication(scheme, protocol)?;
        let headers = self.headers.as_deref().unwrap_or(HEADERS.default);
        let headers = Headers::parse(headers, &[], &[protocol.authentication, authentication], wire)?;
        Ok((authentication, headers))
    }

    fn limits(&self, scope: &Scope) -> Limits {
        Limits {
            deadline: Instant::now() + Duration::from_millis(TIMEOUT.or_default(self.timeout_ms)),
            connect_timeout: Duration::from_millis(CONNECT_TIMEOUT.or_default(self.connect_timeout_ms)),
            attempt_timeout: node::attempt_timeout(ATTEMPT_TIMEOUT.or_default(self.attempt_timeout_ms)),
            retries: u32::try_from(RETRIES.or_default(self.retries.map(u64::from))).unwrap_or(u32::MAX),
            max_response_bytes: scope.policy().max_response_bytes,
        }
    }
}

/// `{"inputs": […], "outputs": […]}` of the model that `query` (JSON) names.
pub fn describe(scope: &Arc<Scope>, query: &str) -> Result<Value, Failure> {
    let query: Query = serde_json::from_str(query)
        .map_err(|error| Failure::without_node(refused(format!("the request is malformed: {error}"))))?;
    let tally = Tally::default();
    ask(scope, &query, &tally).map(|told| to_json(&told)).map_err(|mut problem| {
        problem.message = scope.masks().with(tally.secrets()).quote(&problem.message);
        // An endpoint that is malformed may hold a password.
        let endpoint = Endpoint::parse(&query.endpoint).map(|endpoint| endpoint.shown).unwrap_or_default();
        Failure { problem, node: String::new(), endpoint, attempts: tally.attempts() }
    })
}

/// What the server says, and the names of the inputs that may be left out.
type Told = (Description, Vec<String>);

/// Asks the server; `tally` has then what was sent that nobody may see.
fn ask(scope: &Arc<Scope>, query: &Query, tally: &Tally) -> Result<Told, Problem> {
    let (protocol, describe) = described(&query.protocol)?;
    let endpoint = endpoints::spoken(&query.endpoint, protocol)?;
    let attributes = node::own_attributes(protocol, |name| query.text(name))?;
    let mut request = (describe.request)(&endpoint, &attributes)?;
    let (authentication, own_headers) = query.headers(protocol, endpoint.wire)?;
    headers::set(&mut request.headers, &own_headers.of(&Options::default())?);
    let (limits, mut headers) = (query.limits(scope), HeaderMap::new());
    let exchange = async {
        let peer = scope.peer(&endpoint)?;
        peer.check()?;
        if let Some(name) = query.credential()? {
            let token = scope.secret(&name, &peer).await?;
            request.headers.extend(authentication.header(&token).map(|(name, value)| (Some(name), value)));
            let _ = tally.secret.set(token);
        }
        let (secret_headers, mut secrets) = scope.secret_headers(&own_headers, &peer).await?;
        headers::set(&mut request.headers, &secret_headers);
        secrets.extend(keys(&endpoint));
        let _ = tally.others.set(secrets);
        headers = request.headers.clone();
        let response = send(&peer, &request, &limits, tally, None).await?;
        Ok((peer, response))
    };
    let passed = || Problem::new(Code::Deadline, "no answer before the deadline");
    let (peer, response) = block_on(limits.deadline, exchange).unwrap_or_else(|| Err(passed()))?;
    let read = bounds::within(limits.deadline, limits.max_response_bytes, || (describe.description)(&response));
    let description = read.unwrap_or_else(|_| Err(passed()))?;
    let mut config = (describe.config)(&endpoint, &attributes)?;
    config.headers = headers;
    Ok((description, optional(&peer, &config, describe.optional, limits).unwrap_or_default()))
}

/// How long a server may take to say which inputs may be left out; without an answer none may.
const PATIENCE: Duration = Duration::from_secs(5);

/// The inputs that may be left out, where the server tells.
fn optional(peer: &Peer, request: &Request, names: OptionalNames, limits: Limits) -> Option<Vec<String>> {
    let deadline = limits.deadline.min(Instant::now() + PATIENCE);
    let limits = Limits { retries: 0, deadline, ..limits };
    let tally = Tally::default();
    let response = block_on(deadline, send(peer, request, &limits, &tally, None))?.ok()?;
    bounds::within(deadline, limits.max_response_bytes, || names(&response)).ok()?.ok()
}

/// The protocol called `name`, and how it asks for a model's interface.
fn described(name: &str) -> Result<(&'static ProtocolSpec, &'static Describe), Problem> {
    let protocol = table::find(name).ok_or_else(|| refused(format!("protocol \"{name}\" is unknown")))?;
    let describe = protocol.describe.as_ref();
    Ok((protocol, describe.ok_or_else(|| refused(format!("{} describes no model", protocol.name)))?))
}

fn to_json((description, optional): &Told) -> Value {
    json!({"inputs": specs(&description.inputs, optional), "outputs": specs(&description.outputs, &[])})
}

fn specs(specs: &[TensorSpec], optional: &[String]) -> Vec<Value> {
    let size = |size: &i64| if *size < 0 { Value::Null } else { Value::from(*size) };
    let spec = |spec: &TensorSpec| {
        let shape = spec.shape.as_ref().map(|shape| shape.iter().map(size).collect::<Vec<_>>());
        json!({
            "name": spec.name,
            "dtype": spec.element.name(),
            "shape": shape,
            "optional": optional.contains(&spec.name),
        })
    };
    specs.iter().map(spec).collect()
}

fn refused(message: String) -> Problem {
    Problem::new(Code::Node, message)
}
