//! One node's remote call: inputs to a request, over the transport, and the answer to checked outputs.

mod taped;

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use self::taped::Recalled;
use crate::credential::Secret;
use crate::failure::{Code, Failure, Problem, quote};
use crate::node::{Auth, Node};
use crate::protocol::{Protocol, server_message};
use crate::scope::Scope;
use crate::shape::Sizes;
use crate::stats::{NodeStats, Record};
use crate::tensor::{InputData, InputTensor, OutputTensor};
use crate::transport::runtime::block_on;
use crate::transport::{Limits, Peer, Request, Response, Tally, Watch, send};

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

impl Call {
    /// Prepares everything that is the same for every run.
    pub fn new(node: Node, scope: Arc<Scope>) -> Result<Self, Problem> {
        let peer = scope.peer(&node.endpoint.origin)?;
        let protocol = (node.protocol.prepare)(&node)?;
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

    /// Calls the remote model and waits for its answer, at most until the node's deadline.
    pub fn run(&self, token: Option<&InputTensor>, inputs: &[InputTensor]) -> Result<Vec<OutputTensor>, Failure> {
        let (started, run) = (Instant::now(), Run::watched(&self.watch));
        let outcome = match self.recall(&run, inputs) {
            Recalled::Known(outcome) => outcome,
            Recalled::Unknown(key) => self.keep(&run, key, self.attempt(started, &run, token, inputs)),
        };
        self.stats.add(&Record {
            latency: started.elapsed(),
            attempts: run.tally.attempts(),
            bytes_out: run.tally.bytes_out(),
            bytes_in: run.tally.bytes_in(),
            error: outcome.as_ref().err().map(|problem| problem.code),
        });
        outcome.map_err(|problem| self.heard(self.failure(run.blot(problem), run.tally.attempts())))
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
        self.peer.check()?;
        if let Some(token) = token {
            let _ = run.secret.set(token_secret(token)?);
        }
        let mut sizes = self.check_inputs(inputs)?;
        let request = self.protocol.request(inputs)?;
        let limits = self.limits(started);
        let answered = block_on(limits.deadline, self.exchange(request, &limits, run));
        let response = answered.unwrap_or_else(|| Err(self.deadline_passed()))?;
        self.outputs(&mut sizes, &response).map_err(|problem| problem.with_status(response.status.as_u16()))
    }

    async fn exchange(&self, mut request: Request, limits: &Limits, run: &Run) -> Result<Response, Problem> {
        if let Auth::Credential(name) = &self.node.auth {
            let _ = run.secret.set(self.scope.secret(name, self.peer.origin()).await?);
        }
        if let Some(secret) = run.secret.get().filter(|secret| !secret.is_empty()) {
            request
                .headers
                .extend(self.node.protocol.authentication.header(secret).map(|(name, value)| (Some(name), value)));
        }
        send(&self.peer, &request, limits, &run.tally).await
    }

    fn limits(&self, started: Instant) -> Limits {
        Limits {
            deadline: started + self.node.timeout,
            connect_timeout: self.node.connect_timeout,
            retries: self.node.retries,
            max_response_bytes: self.scope.policy().max_response_bytes,
        }
    }

    fn deadline_passed(&self) -> Problem {
        Problem::new(Code::Deadline, format!("no answer within {} ms", self.node.timeout.as_millis()))
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

    fn outputs(&self, sizes: &mut Sizes, response: &Response) -> Result<Vec<OutputTensor>, Problem> {
        check_status(response)?;
        let outputs = self.protocol.outputs(response)?;
        self.fit(sizes, &outputs)?;
        Ok(outputs)
    }

    fn fit(&self, sizes: &mut Sizes, outputs: &[OutputTensor]) -> Result<(), Problem> {
        self.node.outputs.iter().zip(outputs).try_for_each(|(declared, output)| {
            sizes.fit(&declared.shape, &output.shape, Code::OutputShape, || format!("output \"{}\"", declared.name))
        })
    }
}

/// Refuses every status but 200, in the server's words. A redirect is among them: it is never followed.
pub fn check_status(response: &Response) -> Result<(), Problem> {
    if response.status.as_u16() == 200 {
        return Ok(());
    }
    let message = server_message(response);
    let reason = response.status.canonical_reason().unwrap_or_default();
    let separator = if message.is_empty() { "" } else { ": " };
    let text = format!("the server answered {} {reason}{separator}{message}", response.status.as_u16());
    Err(Problem::new(Code::Status, text).with_status(response.status.as_u16()))
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
