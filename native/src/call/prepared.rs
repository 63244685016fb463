//! A node, ready to be called: inputs to requests, over the transport, and the answers to checked outputs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::HeaderMap;

use super::kept::Kept;
use super::requests::{Cut, Requests};
use super::secrets::keys;
use crate::failure::{Code, Failure, Problem};
use crate::node::{Auth, Node};
use crate::protocol::{Asked, Batch, Protocol, headers};
use crate::run::bounds::{self, Beyond};
use crate::run::running::{self, Deadline};
use crate::session::credential::Secret;
use crate::session::hedging::Hedging;
use crate::session::policy::Policy;
use crate::session::scope::Scope;
use crate::session::spoken::Spoken;
use crate::session::stats::{NodeStats, Sample};
use crate::shape::Sizes;
use crate::tensor::{InputTensor, OutputTensor};
use crate::transport::runtime::Ended;
use crate::transport::{Limits, Peer, Response, Several, Tally, Watch};

/// A node, ready to be called by any number of threads at once.
pub struct Call {
    pub(super) node: Node,
    pub(super) scope: Arc<Scope>,
    pub(super) peer: Arc<Peer>,
    /// The servers, that one included, where they are several.
    pub(super) several: Option<Arc<Several>>,
    /// What is known of the server, those of other nodes included.
    pub(super) spoken: Arc<Spoken>,
    pub(super) protocol: Box<dyn Protocol>,
    /// The answers that it keeps, if it does: of this node in this session alone.
    pub(super) kept: Option<Arc<Kept>>,
    stats: Arc<NodeStats>,
    /// What decides on second requests, where the node has any.
    pub(super) hedging: Option<Box<Hedging>>,
    /// Keys in the query of the endpoint.
    keys: Vec<Secret>,
    pub(super) watch: Watch,
}

/// One call of a node: what it has done so far, and the token that it sends.
pub(super) struct Invocation {
    pub(super) tally: Tally,
    /// Rows, or calls without rows, that were answered without being asked for.
    pub(super) hits: AtomicU64,
}

/// What the answers of one call have to fit.
pub(super) struct Expected {
    /// The sizes that the inputs give to names.
    pub(super) sizes: Sizes,
    pub(super) asked: Asked,
    pub(super) cut: Option<Cut>,
}

impl Call {
    /// Prepares everything that is the same for every run.
    pub fn new(node: Node, scope: Arc<Scope>) -> Result<Self, Problem> {
        let node = bounded(node, scope.policy());
        let peer = scope.peer(&node.endpoint)?;
        let protocol = node.prepare()?;
        let (stats, several) = scope.counted(&node, &peer)?;
        let watch = scope.watch(&node);
        let spoken = scope.spoken(&node);
        let keys = [&node.endpoint].into_iter().chain(&node.places.others).flat_map(keys).collect();
        let (hedging, kept) = (node.hedge.map(|rule| Box::new(Hedging::new(rule))), Kept::of(&node));
        Ok(Self { node, scope, peer, several, spoken, protocol, kept, stats, hedging, keys, watch })
    }

    /// The node.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Connections that the node's scope has opened to its origin.
    pub fn connections(&self) -> u64 {
        Several::opened(self.several.as_deref(), &self.peer)
    }

    /// The counters of the node, those of its other calls in the scope included.
    pub fn stats(&self) -> serde_json::Value {
        self.stats.to_json(self.connections())
    }

    /// The status of a call that gave these outputs: 0 where there was no row to ask for, and so no answer.
    pub fn status(&self, outputs: &[OutputTensor]) -> u16 {
        let empty = outputs.first().is_some_and(|output| output.shape.first() == Some(&0));
        if empty && matches!(self.node.protocol.batch, Batch::Filled | Batch::Row) {
            0
        } else {
            self.protocol.success()
        }
    }

    /// Counts a call that is over.
    pub(super) fn end(
        &self,
        latency: Duration,
        invocation: &Invocation,
        outcome: Result<Vec<OutputTensor>, Problem>,
    ) -> Result<Vec<OutputTensor>, Failure> {
        self.count(latency, invocation, outcome.as_ref().err().map(|problem| problem.code));
        self.report(latency, invocation, outcome.as_ref().map(drop).map_err(|problem| (problem.code, problem.status)));
        outcome.map_err(|problem| {
            let failure = self.failure(self.blot(problem, invocation), invocation.tally.attempts());
            self.heard(self.placed(failure, invocation), invocation)
        })
    }

    pub(super) fn count(&self, latency: Duration, invocation: &Invocation, error: Option<Code>) {
        self.stats.add(&Sample {
            latency,
            retries: invocation.tally.retries(),
            hedges: invocation.tally.hedges(),
            bytes_out: invocation.tally.bytes_out(),
            bytes_in: invocation.tally.bytes_in(),
            spent: invocation.tally.account.spent(),
            tokens: invocation.tally.account.tokens(),
            cache_hits: if error.is_none() { invocation.hits.load(Ordering::Relaxed) } else { 0 },
            error,
        });
    }

    /// The problem with its text fit to be shown.
    pub(super) fn blot(&self, mut problem: Problem, invocation: &Invocation) -> Problem {
        problem.message = self.scope.masks().with(invocation.tally.secrets()).quote(&problem.message);
        problem
    }

    /// A failure of this node.
    pub fn failure(&self, problem: Problem, attempts: u32) -> Failure {
        Failure { problem, node: self.node.name.clone(), endpoint: self.node.endpoint.shown.clone(), attempts }
    }

    /// Keeps a failure for the host's log, unless it is one that an attempt was repeated for, and so told already.
    fn heard(&self, failure: Failure, invocation: &Invocation) -> Failure {
        if let (Some(events), Some(attempt)) = (self.scope.events(), invocation.tally.untold()) {
            events.add(&failure, attempt);
        }
        failure
    }

    /// The names of the model that requests ask for: what is really sent, never how the node is called.
    pub(super) fn models(&self, tensors: &[InputTensor], asked: &Asked) -> Vec<String> {
        let attribute = Some(self.node.attributes.text("model")).filter(|model| !model.is_empty()).map(str::to_owned);
        let path = self.node.endpoint.segment_after("deployments");
        self.protocol.models(tensors, asked).into_iter().chain(attribute).chain(path).collect()
    }

    /// The outputs in the answers, which are read until `deadline` at most.
    pub(super) fn answer(
        &self,
        expected: &mut Expected,
        responses: &[Response],
        deadline: Instant,
    ) -> Result<Vec<OutputTensor>, Problem> {
        self.reading(deadline, || self.outputs(expected, responses))
    }

    /// The outputs that `read` gives, which it does until `deadline` and in no more memory than the policy allows.
    pub(super) fn reading<T>(
        &self,
        deadline: Instant,
        read: impl FnOnce() -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let most = self.scope.policy().max_response_bytes;
        match bounds::within(deadline, most, read) {
            Ok(outcome) => outcome.map_err(|problem| problem.shortened().or_status(self.protocol.success())),
            Err(Beyond::Deadline) => Err(self.ended(Ended::Deadline)),
            Err(Beyond::Run) => Err(self.ended(Ended::Cancelled)),
            Err(Beyond::Memory) => {
                let message = format!("the outputs take more than the {most} bytes that the policy allows");
                Err(Problem::new(Code::TooLarge, message).with_status(self.protocol.success()))
            }
        }
    }

    pub(super) fn asked(&self, options: &[InputTensor], tensors: &[InputTensor]) -> Result<Asked, Problem> {
        let rows = tensors.first().map_or(1, InputTensor::rows);
        Ok(Asked { options: self.node.options.with(&self.node.option_inputs, options)?, rows })
    }

    /// The successful answers, in the order of the requests. One request waits for nothing but its own answer.
    pub(super) async fn exchange(
        &self,
        requests: Requests<'_>,
        limits: &Limits,
        invocation: &Invocation,
    ) -> Result<Vec<Response>, Problem> {
        if matches!(requests, Requests::None) {
            return Ok(Vec::new());
        }
        let headers = self.identify(invocation).await?;
        self.deliver(requests, &headers, limits, invocation).await
    }

    /// The headers that hold credentials; the token, and what else nobody may see, is the invocation's from now on.
    pub(super) async fn identify(&self, invocation: &Invocation) -> Result<HeaderMap, Problem> {
        if let Auth::Credential(name) = &self.node.auth {
            self.check_others(name)?;
            let _ = invocation.tally.secret.set(self.scope.secret(name, &self.peer).await?);
        }
        self.node.headers.credentials().iter().try_for_each(|(_, name)| self.check_others(name))?;
        let (headers, mut secrets) = self.scope.secret_headers(&self.node.headers, &self.peer).await?;
        secrets.extend_from_slice(&self.keys);
        let _ = invocation.tally.others.set(secrets);
        Ok(headers)
    }

    /// Sends the requests with the token and these headers, which [`Call::identify`] gave.
    pub(super) async fn deliver(
        &self,
        mut requests: Requests<'_>,
        headers: &HeaderMap,
        limits: &Limits,
        invocation: &Invocation,
    ) -> Result<Vec<Response>, Problem> {
        let Some(of_each) = requests.headers() else { return Ok(Vec::new()) };
        if let Some(secret) = invocation.tally.secret.get().filter(|secret| !secret.is_empty()) {
            let header = self.node.authentication.header(secret);
            of_each.extend(header.map(|(name, value)| (Some(name), value)));
        }
        headers::set(of_each, headers);
        match requests {
            Requests::None => Ok(Vec::new()),
            Requests::One(request, fitting) => {
                Ok(vec![self.one(&request, fitting.as_deref(), limits, invocation).await?])
            }
            // Apart from the future of one request, which would be the larger for it.
            Requests::Slices(slices) => Box::pin(self.all(&slices, limits, invocation)).await,
        }
    }

    /// The limits of a call that the run of this thread makes.
    pub(super) fn limits(&self, started: Instant) -> Limits {
        let own = started + self.node.timeout;
        Limits {
            deadline: running::deadline().map_or(own, |run| own.min(run.at)),
            connect_timeout: self.node.connect_timeout,
            attempt_timeout: self.node.attempt_timeout,
            retries: self.node.retries,
            max_response_bytes: self.scope.policy().max_response_bytes,
        }
    }

    /// The problem of a wait of this thread that ended without an answer.
    pub fn ended(&self, ended: Ended) -> Problem {
        match ended {
            Ended::Deadline => self.late(running::deadline()),
            Ended::Cancelled => Problem::new(Code::Cancelled, "the run was cancelled before the answer came"),
        }
    }

    /// The problem of a wait that went on until its deadline, in a run that may have had one, too.
    pub(super) fn late(&self, run: Option<Deadline>) -> Problem {
        let message = match run.filter(|run| run.at <= Instant::now()) {
            Some(run) => format!("no answer within the {} ms that the run has for its calls", run.within.as_millis()),
            None => format!("no answer within {} ms", self.node.timeout.as_millis()),
        };
        Problem::new(Code::Deadline, message)
    }

    pub(super) fn check_inputs(&self, inputs: &[InputTensor]) -> Result<Sizes, Problem> {
        let mut sizes = Sizes::unknown(self.node.shape_names);
        for (declared, input) in self.node.inputs.iter().zip(inputs) {
            if self.node.optional.is_left_out(declared, input) {
                continue;
            }
            if !self.node.protocol.datatypes.iter().any(|(element, _)| *element == input.element) {
                let message = format!(
                    "input \"{}\" is {}, which {} lacks",
                    declared.name,
                    input.element.name(),
                    self.node.protocol.name
                );
                return Err(Problem::new(Code::Input, message));
            }
            sizes.fit(&declared.shape, &input.shape, Code::Input, || format!("input \"{}\"", declared.name))?;
        }
        Ok(sizes)
    }

    fn outputs(&self, expected: &mut Expected, responses: &[Response]) -> Result<Vec<OutputTensor>, Problem> {
        let Expected { sizes, asked, cut } = expected;
        let outputs = match (responses, cut) {
            ([], _) => return Ok(self.node.emptied()),
            ([whole, ..], None) => self.protocol.outputs(whole, asked)?,
            (slices, Some(cut)) => self.joined(slices, cut, asked)?,
        };
        self.fit(sizes, &outputs)?;
        Ok(outputs)
    }

    pub(super) fn fit(&self, sizes: &mut Sizes, outputs: &[OutputTensor]) -> Result<(), Problem> {
        self.node.outputs.iter().zip(outputs).try_for_each(|(declared, output)| {
            sizes.fit(&declared.shape, &output.shape, Code::OutputShape, || format!("output \"{}\"", declared.name))
        })
    }
}

impl Invocation {
    /// A call that is about to be made.
    pub(super) fn watched(watch: &Watch) -> Self {
        Self { tally: Tally::watched(watch), hits: AtomicU64::new(0) }
    }
}

/// The node, asking for no more than a strict policy lets a file ask for.
fn bounded(mut node: Node, policy: &Policy) -> Node {
    if let Some(strict) = &policy.strict {
        node.timeout = node.timeout.min(strict.max_timeout);
        node.connect_timeout = node.connect_timeout.min(strict.max_timeout);
        node.retries = node.retries.min(strict.max_retries);
        if strict.max_retries == 0 {
            node.hedge = None; // nothing is to be sent twice
        }
        if let Some(cache) = &mut node.cache {
            cache.max_bytes = cache.max_bytes.min(policy.max_response_bytes);
        }
    }
    node
}
