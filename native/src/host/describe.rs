//! A model's interface, asked of its server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::endpoint::Endpoint;
use crate::failure::{Code, Failure, Problem, quote};
use crate::node::{self, Auth};
use crate::protocol::{self, Description, ProtocolSpec, TensorSpec};
use crate::session::credential::Secret;
use crate::session::scope::Scope;
use crate::transport::runtime::block_on;
use crate::transport::{Limits, Request, Response, Tally, send};

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
    timeout_ms: Option<u64>,
    #[serde(default)]
    connect_timeout_ms: Option<u64>,
    #[serde(default)]
    retries: Option<u32>,
}

impl Query {
    fn option(&self, name: &str) -> Option<String> {
        match name {
            "model" => Some(self.model.clone()),
            "version" => Some(self.version.clone()),
            _ => None,
        }
    }

    fn limits(&self, scope: &Scope) -> Limits {
        let millis =
            |value: Option<u64>, default| Duration::from_millis(value.unwrap_or(default).clamp(1, 31_536_000_000));
        Limits {
            deadline: Instant::now() + millis(self.timeout_ms, 30_000),
            connect_timeout: millis(self.connect_timeout_ms, 5_000),
            retries: self.retries.unwrap_or(2),
            max_response_bytes: scope.policy().max_response_bytes,
        }
    }
}

/// `{"inputs": […], "outputs": […]}` of the model that `query` (JSON) names.
pub fn describe(scope: &Arc<Scope>, query: &str) -> Result<Value, Failure> {
    let query: Query = serde_json::from_str(query).map_err(|error| {
        Failure::without_node(Problem::new(Code::Node, format!("the request is malformed: {error}")))
    })?;
    let (tally, mut secret) = (Tally::default(), None);
    ask(scope, &query, &tally, &mut secret).map(|description| to_json(&description)).map_err(|mut problem| {
        problem.message = quote(&problem.message, secret.as_ref().map(Secret::expose));
        // An endpoint that is malformed may hold a password.
        let endpoint = Endpoint::parse(&query.endpoint).map(|endpoint| endpoint.text).unwrap_or_default();
        Failure { problem, node: String::new(), endpoint, attempts: tally.attempts() }
    })
}

fn ask(scope: &Arc<Scope>, query: &Query, tally: &Tally, secret: &mut Option<Secret>) -> Result<Description, Problem> {
    let spec = protocol::find(&query.protocol)
        .ok_or_else(|| malformed(format!("protocol \"{}\" is unknown", query.protocol)))?;
    let describe = spec.describe.as_ref().ok_or_else(|| malformed(format!("{} describes no model", spec.name)))?;
    let endpoint = node::endpoint(&query.endpoint, spec)?;
    let options = node::options(spec, |name| query.option(name))?;
    let request = (describe.request)(&endpoint, &options)?;
    let limits = query.limits(scope);
    let answered = block_on(limits.deadline, exchange(scope, query, spec, &endpoint, request, &limits, tally, secret));
    let passed = || Err(Problem::new(Code::Deadline, "no answer before the deadline"));
    let response = answered.unwrap_or_else(passed)?;
    (describe.description)(&response)
}

#[allow(clippy::too_many_arguments)] // one call's parts, joined in one place
async fn exchange(
    scope: &Arc<Scope>,
    query: &Query,
    spec: &ProtocolSpec,
    endpoint: &Endpoint,
    mut request: Request<'_>,
    limits: &Limits,
    tally: &Tally,
    secret: &mut Option<Secret>,
) -> Result<Response, Problem> {
    let peer = scope.peer(endpoint)?;
    peer.check()?;
    let auth = query.auth.as_deref().unwrap_or("none");
    match Auth::parse(auth) {
        Some(Auth::None) => {}
        Some(Auth::Credential(name)) => {
            let resolved = scope.secret(&name, &endpoint.origin).await?;
            if !resolved.is_empty() {
                request.headers.extend(spec.authentication.header(&resolved).map(|(name, value)| (Some(name), value)));
            }
            *secret = Some(resolved);
        }
        _ => return Err(malformed(format!("auth \"{auth}\" is neither none nor credential:NAME"))),
    }
    send(&peer, &request, limits, tally).await
}

fn to_json(description: &Description) -> Value {
    json!({"inputs": specs(&description.inputs), "outputs": specs(&description.outputs)})
}

fn specs(specs: &[TensorSpec]) -> Vec<Value> {
    let size = |size: &i64| if *size < 0 { Value::Null } else { Value::from(*size) };
    let spec = |spec: &TensorSpec| json!({"name": spec.name, "dtype": spec.element.name(), "shape": spec.shape.iter().map(size).collect::<Vec<_>>()});
    specs.iter().map(spec).collect()
}

fn malformed(message: String) -> Problem {
    Problem::new(Code::Node, message)
}
