//! One node's remote call: inputs to a request, over the transport, and the answer to checked outputs.
//!
//! A call either runs on the thread that makes it, or is begun on the runtime and finished later.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::credential::Secret;
use crate::failure::{Code, Failure, Problem, quote};
use crate::node::{Auth, Node};
use crate::process;
use crate::protocol::{Protocol, server_message};
use crate::scope::Scope;
use crate::shape::Sizes;
use crate::stats::{NodeStats, Record};
use crate::tensor::{InputData, InputTensor, OutputTensor};
use crate::transport::runtime::{Ended, runtime, wait};
use crate::transport::{Limits, Peer, Request, Response, Tally, send};

/// A node, ready to be called by any number of threads at once.
pub struct Call {
    node: Node,
    scope: Arc<Scope>,
    peer: Arc<Peer>,
    protocol: Box<dyn Protocol>,
    stats: Arc<NodeStats>,
}

/// What one run has come to know.
#[derive(Default)]
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
        Ok(Self { node, scope, peer, protocol, stats })
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
        let (started, run) = (Instant::now(), Run::default());
        let outcome = self.attempt(started, &run, token, inputs);
        self.end(started.elapsed(), &run, outcome)
    }

    /// Sends the request and returns at once. The deadline counts from now; whatever fails is told by the end.
    pub fn begin(self: &Arc<Self>, token: Option<&InputTensor>, inputs: &[InputTensor]) -> Begun {
        let (started, run) = (Instant::now(), Arc::<Run>::default());
        let limits = self.limits(started);
        let under_way = self.prepare(&run, token, inputs).map(|(request, sizes)| {
            let (call, run) = (self.clone(), run.clone());
            let answer = Task::spawn(async move {
                let exchange = call.exchange(request, &limits, &run);
                let answer = tokio::time::timeout_at(limits.deadline.into(), exchange).await;
                (answer.unwrap_or_else(|_| Err(call.ended(Ended::Deadline))), started.elapsed())
            });
            UnderWay { answer, sizes }
        });
        Begun { call: self.clone(), run, deadline: limits.deadline, under_way }
    }

    /// Counts a call that is over.
    fn end(
        &self,
        latency: Duration,
        run: &Run,
        outcome: Result<Vec<OutputTensor>, Problem>,
    ) -> Result<Vec<OutputTensor>, Failure> {
        self.count(latency, run, outcome.as_ref().err().map(|problem| problem.code));
        outcome.map_err(|problem| self.failure(run.blot(problem), run.tally.attempts()))
    }

    fn count(&self, latency: Duration, run: &Run, error: Option<Code>) {
        self.stats.add(&Record {
            latency,
            attempts: run.tally.attempts(),
            bytes_out: run.tally.bytes_out(),
            bytes_in: run.tally.bytes_in(),
            error,
        });
    }

    /// A failure of this node.
    pub fn failure(&self, problem: Problem, attempts: u32) -> Failure {
        Failure { problem, node: self.node.name.clone(), endpoint: self.node.endpoint.text.clone(), attempts }
    }

    fn attempt(
        &self,
        started: Instant,
        run: &Run,
        token: Option<&InputTensor>,
        inputs: &[InputTensor],
    ) -> Result<Vec<OutputTensor>, Problem> {
        let (request, mut sizes) = self.prepare(run, token, inputs)?;
        let limits = self.limits(started);
        let answered = wait(limits.deadline, self.exchange(request, &limits, run));
        let response = answered.unwrap_or_else(|ended| Err(self.ended(ended)))?;
        self.answer(&mut sizes, &response)
    }

    /// The request, and the sizes that its inputs give to names.
    fn prepare(
        &self,
        run: &Run,
        token: Option<&InputTensor>,
        inputs: &[InputTensor],
    ) -> Result<(Request, Sizes), Problem> {
        self.peer.check()?;
        if let Some(token) = token {
            let _ = run.secret.set(token_secret(token)?);
        }
        let sizes = self.check_inputs(inputs)?;
        Ok((self.protocol.request(inputs)?, sizes))
    }

    fn answer(&self, sizes: &mut Sizes, response: &Response) -> Result<Vec<OutputTensor>, Problem> {
        self.outputs(sizes, response).map_err(|problem| problem.with_status(response.status.as_u16()))
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

    fn outputs(&self, sizes: &mut Sizes, response: &Response) -> Result<Vec<OutputTensor>, Problem> {
        check_status(response)?;
        let outputs = self.protocol.outputs(response)?;
        for (declared, output) in self.node.outputs.iter().zip(&outputs) {
            sizes.fit(&declared.shape, &output.shape, Code::OutputShape, || format!("output \"{}\"", declared.name))?;
        }
        Ok(outputs)
    }
}

/// A call that was begun: it goes on by itself, until its answer, its deadline, or the end of this value.
pub struct Begun {
    call: Arc<Call>,
    run: Arc<Run>,
    deadline: Instant,
    under_way: Result<UnderWay, Problem>,
}

struct UnderWay {
    /// The answer, and how long it took.
    answer: Task<(Result<Response, Problem>, Duration)>,
    sizes: Sizes,
}

/// How long past the deadline a call may take to notice it.
const GRACE: Duration = Duration::from_secs(1);

impl Begun {
    /// The call of the node.
    pub fn call(&self) -> &Arc<Call> {
        &self.call
    }

    /// When it ends, whatever it is doing.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the answer came, or the call failed.
    pub fn is_over(&self) -> bool {
        self.under_way.as_ref().map_or(true, |under_way| under_way.answer.0.is_finished())
    }

    /// Waits for the answer.
    pub fn finish(self) -> Result<Vec<OutputTensor>, Failure> {
        let (mut latency, call) = (Duration::ZERO, &self.call);
        let outcome = self.under_way.and_then(|UnderWay { mut answer, mut sizes }| {
            let answered = wait(self.deadline + GRACE, &mut answer.0).map_err(|ended| call.ended(ended))?;
            let (response, took) = answered.map_err(|_| Problem::new(Code::Internal, "the call panicked"))?;
            latency = took;
            call.answer(&mut sizes, &response?)
        });
        call.end(latency, &self.run, outcome)
    }

    /// Drops the call, and counts it as one that ended with `code` unless it was over.
    pub fn abandon(self, code: Code) {
        let error = match &self.under_way {
            Ok(under_way) => (!under_way.answer.0.is_finished()).then_some(code),
            Err(problem) => Some(problem.code),
        };
        let left = self.deadline.saturating_duration_since(Instant::now());
        self.call.count(self.call.node.timeout.saturating_sub(left), &self.run, error);
    }
}

/// Work on the runtime, which ends with this value.
pub struct Task<T>(JoinHandle<T>, u64);

impl<T: Send + 'static> Task<T> {
    /// Starts `work`.
    pub fn spawn(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(runtime().spawn(work), process::generation())
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        // That of a parent process is out of a child's reach.
        if self.1 == process::generation() {
            self.0.abort();
        }
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
