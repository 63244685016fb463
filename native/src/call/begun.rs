//! Calls that are begun on the runtime, and finished or abandoned later.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Call;
use super::kept::Kept;
use super::prepared::{Expected, Invocation};
use super::taped::Recalled;
use super::task::Task;
use crate::failure::{Code, Failure, Problem};
use crate::run::running::{self, Deadline};
use crate::tensor::{InputTensor, OutputTensor, OwnedTensor};
use crate::transport::runtime::wait;
use crate::transport::{Limits, Response};

impl Call {
    /// Sends the request and returns at once. The deadline counts from now; a failure is told when the call is finished.
    pub fn begin(self: &Arc<Self>, token: Option<&InputTensor>, inputs: &[InputTensor]) -> Begun {
        let (started, invocation) = (Instant::now(), Arc::new(Invocation::watched(&self.watch)));
        let limits = self.limits(started);
        let progress = match self.recall(&invocation, inputs) {
            Recalled::Known(outcome) => Progress::Recalled(outcome),
            Recalled::Unknown(key) => {
                let begun = match &self.kept {
                    None => self.send(&invocation, token, inputs, limits, started),
                    Some(kept) => self.ask(kept, &invocation, token, inputs, limits, started),
                };
                match begun {
                    Ok(answer) => Progress::UnderWay(answer, key),
                    Err(problem) => Progress::Failed(problem, key),
                }
            }
        };
        Begun { call: self.clone(), invocation, started, deadline: limits.deadline, progress }
    }

    fn send(
        self: &Arc<Self>,
        invocation: &Arc<Invocation>,
        token: Option<&InputTensor>,
        inputs: &[InputTensor],
        limits: Limits,
        started: Instant,
    ) -> Result<Awaited, Problem> {
        let (requests, expected) = self.prepare(invocation, token, inputs, limits.deadline)?;
        let (call, invocation, end) = (self.clone(), invocation.clone(), End::of(started, limits.deadline));
        let (requests, mut tensors) = requests.into_owned();
        let task = Task::spawn(async move {
            let lent: Vec<_> = tensors.iter_mut().map(OwnedTensor::lend).collect();
            end.before(&call, call.exchange(requests.over(&lent), &limits, &invocation)).await
        });
        Ok(Awaited::Responses(task, expected))
    }

    /// The same where the answer may be known. Others may wait for it, so that it is read where it comes, whenever it is
    /// awaited here.
    fn ask(
        self: &Arc<Self>,
        kept: &Arc<Kept>,
        invocation: &Arc<Invocation>,
        token: Option<&InputTensor>,
        inputs: &[InputTensor],
        limits: Limits,
        started: Instant,
    ) -> Result<Awaited, Problem> {
        let (wanted, tensors) = self.wanted(kept, invocation, token, inputs)?;
        let mut tensors: Vec<_> = tensors.iter().map(InputTensor::owned).collect();
        let (call, kept, invocation) = (self.clone(), kept.clone(), invocation.clone());
        let (wanted, end) = (wanted.on_runtime(), End::of(started, limits.deadline));
        Ok(Awaited::Outputs(Task::spawn(async move {
            let tensors: Vec<_> = tensors.iter_mut().map(OwnedTensor::lend).collect();
            end.before(&call, call.known_or_asked(&kept, wanted, &tensors, &limits, &invocation)).await
        })))
    }
}

/// When a call that was begun has to end, as its thread knows it.
struct End {
    started: Instant,
    deadline: Instant,
    run: Option<Deadline>,
}

impl End {
    fn of(started: Instant, deadline: Instant) -> Self {
        Self { started, deadline, run: running::deadline() }
    }

    /// What `work` brings until then, and how long the call took.
    async fn before<T>(
        self,
        call: &Call,
        work: impl Future<Output = Result<T, Problem>>,
    ) -> (Result<T, Problem>, Duration) {
        let brought = tokio::time::timeout_at(self.deadline.into(), work).await;
        (brought.unwrap_or_else(|_| Err(call.late(self.run))), self.started.elapsed())
    }
}

/// A call that was begun: it goes on by itself, until its answer, its deadline, or the end of this value.
pub struct Begun {
    call: Arc<Call>,
    invocation: Arc<Invocation>,
    started: Instant,
    deadline: Instant,
    progress: Progress,
}

enum Progress {
    /// It was sent; with its fingerprint, if it is to be recorded.
    UnderWay(Awaited, Option<String>),
    /// It could not be sent; likewise.
    Failed(Problem, Option<String>),
    /// A record has its outcome.
    Recalled(Result<Vec<OutputTensor>, Problem>),
}

/// What a call brings, and how long it took.
type Brought<T> = Task<(Result<T, Problem>, Duration)>;

enum Awaited {
    /// Answers, which are read where they are awaited.
    Responses(Brought<Vec<Response>>, Expected),
    /// Outputs.
    Outputs(Brought<Vec<OutputTensor>>),
}

impl Awaited {
    fn is_finished(&self) -> bool {
        match self {
            Self::Responses(task, _) => task.is_finished(),
            Self::Outputs(task) => task.is_finished(),
        }
    }

    /// How it ended, which is done; `latency` becomes the time that it took.
    fn ended(self, latency: &mut Duration) -> Result<(), Problem> {
        let ended = match self {
            Self::Responses(mut task, _) => task.outcome().map(|(outcome, took)| (outcome.map(drop), took)),
            Self::Outputs(mut task) => task.outcome().map(|(outcome, took)| (outcome.map(drop), took)),
        };
        let (outcome, took) = ended.unwrap_or((Ok(()), *latency));
        *latency = took;
        outcome
    }

    /// Waits for the outputs until `deadline`; `latency` becomes the time that they took.
    fn outputs(self, call: &Call, deadline: Instant, latency: &mut Duration) -> Result<Vec<OutputTensor>, Problem> {
        match self {
            Self::Responses(task, mut expected) => {
                let responses = brought(task, call, deadline, latency)?;
                // The answer may have waited for a long time; to be read it has as long as it left of the timeout.
                let own = Instant::now() + call.node.timeout.saturating_sub(*latency);
                let deadline = running::deadline().map_or(own, |run| own.min(run.at));
                call.answer(&mut expected, &responses, deadline)
            }
            Self::Outputs(task) => brought(task, call, deadline, latency),
        }
    }
}

fn brought<T: Send + 'static>(
    mut task: Brought<T>,
    call: &Call,
    deadline: Instant,
    latency: &mut Duration,
) -> Result<T, Problem> {
    let done = wait(deadline, task.done()).map_err(|ended| call.ended(ended))?;
    let (outcome, took) = done.map_err(|_| Problem::new(Code::Internal, "the call panicked"))?;
    *latency = took;
    outcome
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
        match &self.progress {
            Progress::UnderWay(awaited, _) => awaited.is_finished(),
            _ => true,
        }
    }

    /// Waits for the answer.
    pub fn finish(self) -> Result<Vec<OutputTensor>, Failure> {
        let (mut latency, call, invocation) = (Duration::ZERO, &self.call, &self.invocation);
        let outcome = match self.progress {
            Progress::Recalled(outcome) => outcome,
            Progress::Failed(problem, key) => call.keep(invocation, key, Err(problem)),
            Progress::UnderWay(awaited, key) => {
                let outcome = awaited.outputs(call, self.deadline + GRACE, &mut latency);
                call.keep(invocation, key, outcome)
            }
        };
        call.end(latency, invocation, outcome)
    }

    /// Drops the call, and counts it as one that ended with `code` unless it was over. A failure that nobody awaits is
    /// counted and told all the same.
    pub fn abandon(self, code: Code) {
        let call = &self.call;
        let mut latency = self.started.elapsed().min(call.node.timeout);
        let outcome = match self.progress {
            Progress::UnderWay(awaited, _) if awaited.is_finished() => awaited.ended(&mut latency),
            Progress::UnderWay(..) => {
                call.count(latency, &self.invocation, Some(code));
                call.report(latency, &self.invocation, Err((code, None)));
                return;
            }
            Progress::Failed(problem, _) | Progress::Recalled(Err(problem)) => Err(problem),
            Progress::Recalled(Ok(_)) => Ok(()),
        };
        let _ = call.end(latency, &self.invocation, outcome.map(|()| Vec::new()));
    }
}
