//! One node's remote call: inputs to a request, over the transport, and the answer to checked outputs.
//!
//! A call either runs on the thread that makes it, or is begun on the runtime and finished later.

mod begun;
mod taped;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

pub use self::begun::{Begun, Task};
use self::taped::Recalled;
use crate::failure::{Code, Failure, Problem, quote};
use crate::node::{Auth, Node};
use crate::protocol::{Asked, Batch, Protocol};
use crate::session::credential::Secret;
use crate::session::scope::Scope;
use crate::session::stats::{NodeStats, Record};
use crate::shape::Sizes;
use crate::tensor::{InputData, InputTensor, OutputTensor};
use crate::transport::runtime::{Ended, wait};
use crate::transport::{Limits, Peer, Request, Response, Tally, Watch, send, side_by_side};

/// Requests of one call that are under way at a time.
const SIDE_BY_SIDE: usize = 16;

/// A node, ready to be called by any number of threads at once.
pub struct Call {
    node: Node,
    scope: Arc<Scope>,
    peer: Arc<Peer>,
    protocol: Box<dyn Protocol>,
    stats: Arc<NodeStats>,
    watch: Watch,
}

/// What one run has come to know.
struct Run {
    tally: Tally,
    /// The token in use, so that no message can show it.
    secret: OnceLock<Secret>,
}

/// What the answers of one call have to fit.
struct Expected {
    /// The sizes that the inputs give to names.
    sizes: Sizes,
    asked: Asked,
}

impl Call {
    /// Prepares everything that is the same for every run.
    pub fn new(node: Node, scope: Arc<Scope>) -> Result<Self, Problem> {
        let peer = scope.peer(&node.endpoint)?;
        let protocol = node.prepare()?;
        let stats = scope.node_stats(&node.name, &peer);
        let watch = scope.watch(&node);
        Ok(Self { node, scope, peer, protocol, stats, watch })
    }

    /// The node.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Connections that the node's scope has opened to its origin.
    pub fn connections(&self) -> u64 {
        self.peer.opened()
    }

    /// The status of a call that gave these outputs: 0 where there was no row to ask for, and so no answer.
    pub fn status(&self, outputs: &[OutputTensor]) -> u16 {
        let empty = outputs.first().is_some_and(|output| output.shape.first() == Some(&0));
        if empty && self.node.protocol.batch != Batch::Request { 0 } else { self.protocol.success() }
    }

    /// Calls the remote model and waits for its answer, at most until the node's deadline.
    ///
    /// `inputs` are the options that the node takes as inputs, then the tensors that travel.
    pub fn run(&self, token: Option<&InputTensor>, inputs: &[InputTensor]) -> Result<Vec<OutputTensor>, Failure> {
        let (started, run) = (Instant::now(), Run::watched(&self.watch));
        let outcome = match self.recall(&run, inputs) {
            Recalled::Known(outcome) => outcome,
            Recalled::Unknown(key) => self.keep(&run, key, self.attempt(started, &run, token, inputs)),
        };
        self.end(started.elapsed(), &run, outcome)
    }

    /// Counts a call that is over.
    fn end(
        &self,
        latency: Duration,
        run: &Run,
        outcome: Result<Vec<OutputTensor>, Problem>,
    ) -> Result<Vec<OutputTensor>, Failure> {
        self.count(latency, run, outcome.as_ref().err().map(|problem| problem.code));
        outcome.map_err(|problem| self.heard(self.failure(run.blot(problem), run.tally.attempts())))
    }

    fn count(&self, latency: Duration, run: &Run, error: Option<Code>) {
        self.stats.add(&Record {
            latency,
            retries: run.tally.retries(),
            bytes_out: run.tally.bytes_out(),
            bytes_in: run.tally.bytes_in(),
            error,
        });
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

    fn attempt(
        &self,
        started: Instant,
        run: &Run,
        token: Option<&InputTensor>,
        inputs: &[InputTensor],
    ) -> Result<Vec<OutputTensor>, Problem> {
        let (requests, mut expected) = self.prepare(run, token, inputs)?;
        let limits = self.limits(started);
        let answered = wait(limits.deadline, self.exchange(requests, &limits, run));
        let responses = answered.unwrap_or_else(|ended| Err(self.ended(ended)))?;
        self.answer(&mut expected, &responses)
    }

    /// The requests, and what their answers have to fit.
    fn prepare<'a>(
        &self,
        run: &Run,
        token: Option<&InputTensor>,
        inputs: &'a [InputTensor<'a>],
    ) -> Result<(Vec<Request<'a>>, Expected), Problem> {
        self.peer.check()?;
        if let Some(token) = token {
            let _ = run.secret.set(token_secret(token)?);
        }
        let (options, tensors) = inputs.split_at_checked(self.node.option_inputs.len()).unwrap_or_default();
        let sizes = self.check_inputs(tensors)?;
        let asked = self.asked(options, tensors)?;
        let requests = self.requests(tensors, &asked)?;
        Ok((requests, Expected { sizes, asked }))
    }

    fn answer(&self, expected: &mut Expected, responses: &[Response]) -> Result<Vec<OutputTensor>, Problem> {
        self.outputs(expected, responses).map_err(|problem| problem.or_status(self.protocol.success()))
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
    async fn exchange(
        &self,
        mut requests: Vec<Request<'_>>,
        limits: &Limits,
        run: &Run,
    ) -> Result<Vec<Response>, Problem> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        if let Auth::Credential(name) = &self.node.auth {
            let _ = run.secret.set(self.scope.secret(name, self.peer.origin()).await?);
        }
        if let Some(secret) = run.secret.get().filter(|secret| !secret.is_empty()) {
            let header = self.node.protocol.authentication.header(secret);
            for request in &mut requests {
                request.headers.extend(header.clone().map(|(name, value)| (Some(name), value)));
            }
        }
        if let [only] = requests.as_slice() {
            return Ok(vec![self.one(only, limits, run).await?]);
        }
        let mut answers = Vec::with_capacity(requests.len());
        for row in 0..requests.len() {
            answers.push(self.row(row, &requests, limits, run));
        }
        side_by_side(answers, SIDE_BY_SIDE).await
    }

    async fn row(&self, row: usize, of: &[Request<'_>], limits: &Limits, run: &Run) -> Result<Response, Problem> {
        self.one(&of[row], limits, run).await.map_err(|problem| of_row(problem, row, of.len()))
    }

    async fn one(&self, request: &Request<'_>, limits: &Limits, run: &Run) -> Result<Response, Problem> {
        let response = send(&self.peer, request, limits, &run.tally).await?;
        self.protocol.check(&response)?;
        Ok(response)
    }

    fn limits(&self, started: Instant) -> Limits {
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

    fn fit(&self, sizes: &mut Sizes, outputs: &[OutputTensor]) -> Result<(), Problem> {
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

/// Says which of several rows a problem befell.
fn of_row(mut problem: Problem, row: usize, rows: usize) -> Problem {
    if rows > 1 {
        problem.message = format!("row {row}: {}", problem.message);
    }
    problem
}

impl Run {
    fn watched(watch: &Watch) -> Self {
        Self { tally: Tally::watched(watch), secret: OnceLock::new() }
    }

    /// The problem with its text fit to be shown.
    fn blot(&self, mut problem: Problem) -> Problem {
        problem.message = quote(&problem.message, self.secret.get().map(Secret::expose));
        problem
    }
}

fn token_secret(token: &InputTensor) -> Result<Secret, Problem> {
    let malformed = || Problem::new(Code::CredentialMalformed, "the token input is not exactly one string");
    let InputData::Text(strings) = &token.data else { return Err(malformed()) };
    if strings.starts.len() != 1 {
        return Err(malformed());
    }
    Secret::new(strings.content.clone())
}
