//! A node, ready to be called: inputs to requests, over the transport, and the answers to checked outputs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::failure::{Code, Failure, Problem};
use crate::node::{Auth, Node};
use crate::protocol::{Asked, Batch, Protocol};
use crate::run::bounds::{self, Beyond};
use crate::session::credential::{Secret, check_clear};
use crate::session::policy::Policy;
use crate::session::scope::Scope;
use crate::session::spoken::Spoken;
use crate::session::stats::{NodeStats, Sample};
use crate::shape::Sizes;
use crate::tensor::{InputData, InputTensor, OutputTensor};
use crate::transport::runtime::Ended;
use crate::transport::{Limits, Peer, Request, Response, Tally, Watch, side_by_side};

/// Requests of one call that are under way at a time.
const SIDE_BY_SIDE: usize = 16;

/// A node, ready to be called by any number of threads at once.
pub struct Call {
    pub(super) node: Node,
    pub(super) scope: Arc<Scope>,
    pub(super) peer: Arc<Peer>,
    /// What is known of the server, those of other nodes included.
    pub(super) spoken: Arc<Spoken>,
    pub(super) protocol: Box<dyn Protocol>,
    stats: Arc<NodeStats>,
    pub(super) watch: Watch,
}

/// One call of a node: what it has done so far, and the token that it sends.
pub(super) struct Invocation {
    pub(super) tally: Tally,
}

/// What the answers of one call have to fit.
pub(super) struct Expected {
    /// The sizes that the inputs give to names.
    sizes: Sizes,
    asked: Asked,
}

impl Call {
    /// Prepares everything that is the same for every run.
    pub fn new(node: Node, scope: Arc<Scope>) -> Result<Self, Problem> {
        let node = bounded(node, scope.policy());
        let peer = scope.peer(&node.endpoint)?;
        let protocol = node.prepare()?;
        let stats = scope.node_stats(&node.name, &peer);
        let watch = scope.watch(&node);
        let spoken = scope.spoken(&node.endpoint);
        Ok(Self { node, scope, peer, spoken, protocol, stats, watch })
    }

    /// The node.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Connections that the node's scope has opened to its origin.
    pub fn connections(&self) -> u64 {
        self.peer.opened()
    }

    /// The counters of the node, those of its other calls in the scope included.
    pub fn stats(&self) -> serde_json::Value {
        self.stats.to_json(self.connections())
    }

    /// The status of a call that gave these outputs: 0 where there was no row to ask for, and so no answer.
    pub fn status(&self, outputs: &[OutputTensor]) -> u16 {
        let empty = outputs.first().is_some_and(|output| output.shape.first() == Some(&0));
        if empty && self.node.protocol.batch != Batch::Request { 0 } else { self.protocol.success() }
    }

    /// Counts a call that is over.
    pub(super) fn end(
        &self,
        latency: Duration,
        invocation: &Invocation,
        outcome: Result<Vec<OutputTensor>, Problem>,
    ) -> Result<Vec<OutputTensor>, Failure> {
        self.count(latency, invocation, outcome.as_ref().err().map(|problem| problem.code));
        outcome.map_err(|problem| self.heard(self.failure(self.blot(problem, invocation), invocation.tally.attempts())))
    }

    pub(super) fn count(&self, latency: Duration, invocation: &Invocation, error: Option<Code>) {
        self.stats.add(&Sample {
            latency,
            retries: invocation.tally.retries(),
            bytes_out: invocation.tally.bytes_out(),
            bytes_in: invocation.tally.bytes_in(),
            error,
        });
    }

    /// The problem with its text fit to be shown.
    pub(super) fn blot(&self, mut problem: Problem, invocation: &Invocation) -> Problem {
        problem.message = self.scope.masks().with(invocation.tally.secret.get()).quote(&problem.message);
        problem
    }

    /// A failure of this node.
    pub fn failure(&self, problem: Problem, attempts: u32) -> Failure {
        Failure { problem, node: self.node.name.clone(), endpoint: self.node.endpoint.text.clone(), attempts }
    }

    /// Keeps a failure for the host's log.
    fn heard(&self, failure: Failure) -> Failure {
        if let Some(events) = self.scope.events() {
            events.add(&failure);
        }
        failure
    }

    /// The requests, which are made until `deadline` at most, and what their answers have to fit.
    pub(super) fn prepare<'a>(
        &self,
        invocation: &Invocation,
        token: Option<&InputTensor>,
        inputs: &'a [InputTensor<'a>],
        deadline: Instant,
    ) -> Result<(Vec<Request<'a>>, Expected), Problem> {
        self.peer.check()?;
        if let Some(token) = token {
            let token = token_secret(token)?;
            if !token.is_empty() {
                check_clear("the token", self.peer.origin(), self.peer.allows_in_clear())?;
            }
            self.scope.masks().remember(&token);
            let _ = invocation.tally.secret.set(token);
        }
        let (options, tensors) = inputs.split_at_checked(self.node.option_inputs.len()).unwrap_or_default();
        let sizes = self.check_inputs(tensors)?;
        let asked = self.asked(options, tensors)?;
        if self.scope.policy().budget.is_some() {
            invocation.tally.ask_for(&self.models(tensors, &asked));
        }
        let requests = self.in_form(deadline, || self.requests(tensors, &asked))?;
        Ok((requests, Expected { sizes, asked }))
    }

    /// The names of the model that requests ask for: what is really sent, never how the node is called.
    fn models(&self, tensors: &[InputTensor], asked: &Asked) -> Vec<String> {
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
        let most = self.scope.policy().max_response_bytes;
        match bounds::within(deadline, most, || self.outputs(expected, responses)) {
            Ok(outcome) => outcome.map_err(|problem| shortened(problem).or_status(self.protocol.success())),
            Err(Beyond::Deadline) => Err(self.ended(Ended::Deadline)),
            Err(Beyond::Run) => Err(self.ended(Ended::Cancelled)),
            Err(Beyond::Memory) => {
                let message = format!("the outputs take more than the {most} bytes that the policy allows");
                Err(Problem::new(Code::TooLarge, message).with_status(self.protocol.success()))
            }
        }
    }

    fn asked(&self, options: &[InputTensor], tensors: &[InputTensor]) -> Result<Asked, Problem> {
        let rows = tensors.first().map_or(1, InputTensor::rows);
        Ok(Asked { options: self.node.options.with(&self.node.option_inputs, options)?, rows })
    }

    /// One request, or one for each row; none where the service takes no empty batch.
    fn requests<'a>(&self, tensors: &'a [InputTensor<'a>], asked: &Asked) -> Result<Vec<Request<'a>>, Problem> {
        if asked.rows == 0 && self.node.protocol.batch != Batch::Request {
            return Ok(Vec::new());
        }
        if self.node.protocol.batch != Batch::Row {
            return Ok(vec![self.protocol.request(tensors, asked)?]);
        }
        if tensors.iter().any(|tensor| tensor.rows() != asked.rows) {
            return Err(Problem::new(Code::Input, "the inputs differ in their number of rows"));
        }
        let request = |row| {
            let tensors: Vec<_> = tensors.iter().map(|tensor| tensor.row(row)).collect();
            self.protocol.request(&tensors, asked).map_err(|problem| of_row(problem, row, asked.rows))
        };
        (0..asked.rows).map(request).collect()
    }

    /// The successful answers, in the order of the requests. One request waits for nothing but its own answer.
    pub(super) async fn exchange(
        &self,
        mut requests: Vec<Request<'_>>,
        limits: &Limits,
        invocation: &Invocation,
    ) -> Result<Vec<Response>, Problem> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        if let Auth::Credential(name) = &self.node.auth {
            let _ = invocation.tally.secret.set(self.scope.secret(name, &self.peer).await?);
        }
        if let Some(secret) = invocation.tally.secret.get().filter(|secret| !secret.is_empty()) {
            let header = self.node.protocol.authentication.header(secret);
            for request in &mut requests {
                request.headers.extend(header.clone().map(|(name, value)| (Some(name), value)));
            }
        }
        if let [only] = requests.as_slice() {
            return Ok(vec![self.one(only, limits, invocation).await?]);
        }
        let mut answers = Vec::with_capacity(requests.len());
        for row in 0..requests.len() {
            answers.push(self.row(row, &requests, limits, invocation));
        }
        side_by_side(answers, SIDE_BY_SIDE).await
    }

    async fn row(
        &self,
        row: usize,
        of: &[Request<'_>],
        limits: &Limits,
        invocation: &Invocation,
    ) -> Result<Response, Problem> {
        self.one(&of[row], limits, invocation).await.map_err(|problem| of_row(problem, row, of.len()))
    }

    pub(super) fn limits(&self, started: Instant) -> Limits {
        Limits {
            deadline: started + self.node.timeout,
            connect_timeout: self.node.connect_timeout,
            retries: self.node.retries,
            max_response_bytes: self.scope.policy().max_response_bytes,
        }
    }

    /// The problem of a wait that ended without an answer.
    pub fn ended(&self, ended: Ended) -> Problem {
        match ended {
            Ended::Deadline => {
                Problem::new(Code::Deadline, format!("no answer within {} ms", self.node.timeout.as_millis()))
            }
            Ended::Cancelled => Problem::new(Code::Cancelled, "the run was cancelled before the answer came"),
        }
    }

    fn check_inputs(&self, inputs: &[InputTensor]) -> Result<Sizes, Problem> {
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
        let Expected { sizes, asked } = expected;
        let outputs = match responses {
            [] => return Ok(self.node.emptied()),
            [only] => self.protocol.outputs(only, asked)?,
            several => self.stacked(several, asked)?,
        };
        self.fit(sizes, &outputs)?;
        Ok(outputs)
    }

    pub(super) fn fit(&self, sizes: &mut Sizes, outputs: &[OutputTensor]) -> Result<(), Problem> {
        self.node.outputs.iter().zip(outputs).try_for_each(|(declared, output)| {
            sizes.fit(&declared.shape, &output.shape, Code::OutputShape, || format!("output \"{}\"", declared.name))
        })
    }

    /// The rows' outputs, each put together.
    fn stacked(&self, responses: &[Response], asked: &Asked) -> Result<Vec<OutputTensor>, Problem> {
        let mut columns: Vec<Vec<OutputTensor>> = vec![Vec::with_capacity(responses.len()); self.node.outputs.len()];
        for (row, response) in responses.iter().enumerate() {
            let outputs = self.protocol.outputs(response, asked);
            let outputs = outputs.map_err(|problem| of_row(problem, row, responses.len()))?;
            columns.iter_mut().zip(outputs).for_each(|(column, output)| column.push(output));
        }
        let unfit = || Problem::new(Code::OutputShape, "the answers to the rows differ in their shapes");
        columns.iter().map(|rows| OutputTensor::stack(rows).ok_or_else(unfit)).collect()
    }
}

/// Bytes of a message that are kept. Far fewer are shown, but secrets are masked in it first: half of one would not be
/// found.
const MESSAGE: usize = 1 << 20;

/// The problem with a message that is no burden: it may quote an answer.
fn shortened(mut problem: Problem) -> Problem {
    if problem.message.len() > MESSAGE {
        problem.message.truncate(problem.message.floor_char_boundary(MESSAGE));
        problem.message.shrink_to_fit();
    }
    problem
}

/// Says which of several rows a problem befell.
fn of_row(mut problem: Problem, row: usize, rows: usize) -> Problem {
    if rows > 1 {
        problem.message = format!("row {row}: {}", problem.message);
    }
    problem
}

impl Invocation {
    /// A call that is about to be made.
    pub(super) fn watched(watch: &Watch) -> Self {
        Self { tally: Tally::watched(watch) }
    }
}

/// The node, asking for no more than a strict policy lets a file ask for.
fn bounded(mut node: Node, policy: &Policy) -> Node {
    if let Some(strict) = &policy.strict {
        node.timeout = node.timeout.min(strict.max_timeout);
        node.connect_timeout = node.connect_timeout.min(strict.max_timeout);
        node.retries = node.retries.min(strict.max_retries);
    }
    node
}

fn token_secret(token: &InputTensor) -> Result<Secret, Problem> {
    let malformed = || Problem::new(Code::CredentialMalformed, "the token input is not exactly one string");
    let InputData::Text(strings) = &token.data else { return Err(malformed()) };
    if strings.starts.len() != 1 {
        return Err(malformed());
    }
    Secret::new(strings.content.clone())
}
