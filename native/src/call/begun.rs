//! Calls that are begun on the runtime, and finished or abandoned later.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Call;
use super::prepared::{Expected, Invocation};
use super::requests::Requests;
use super::taped::Recalled;
use super::task::Task;
use crate::failure::{Code, Failure, Problem};
use crate::tensor::{InputTensor, OutputTensor, OwnedTensor};
use crate::transport::runtime::{Ended, wait};
use crate::transport::{Limits, Response};

impl Call {
    /// Sends the request and returns at once. The deadline counts from now; a failure is told when the call is finished.
    pub fn begin(self: &Arc<Self>, token: Option<&InputTensor>, inputs: &[InputTensor]) -> Begun {
        let (started, invocation) = (Instant::now(), Arc::new(Invocation::watched(&self.watch)));
        let limits = self.limits(started);
        let progress = match self.recall(&invocation, inputs) {
            Recalled::Known(outcome) => Progress::Recalled(outcome),
            Recalled::Unknown(key) => match self.prepare(&invocation, token, inputs, limits.deadline) {
                Ok((requests, expected)) => Progress::UnderWay(UnderWay {
                    answer: self.spawn(&invocation, requests, limits, started),
                    expected,
                    key,
                }),
                Err(problem) => Progress::Failed(problem, key),
            },
        };
        Begun { call: self.clone(), invocation, deadline: limits.deadline, progress }
    }

    fn spawn(
        self: &Arc<Self>,
        invocation: &Arc<Invocation>,
        requests: Requests<'_>,
        limits: Limits,
        started: Instant,
    ) -> Answers {
        let (call, invocation) = (self.clone(), invocation.clone());
        let (requests, mut tensors) = requests.into_owned();
        Task::spawn(async move {
            let lent: Vec<_> = tensors.iter_mut().map(OwnedTensor::lend).collect();
            let exchange = call.exchange(requests.over(&lent), &limits, &invocation);
            let answer = tokio::time::timeout_at(limits.deadline.into(), exchange).await;
            (answer.unwrap_or_else(|_| Err(call.ended(Ended::Deadline))), started.elapsed())
        })
    }
}

/// A call that was begun: it goes on by itself, until its answer, its deadline, or the end of this value.
pub struct Begun {
    call: Arc<Call>,
    invocation: Arc<Invocation>,
    deadline: Instant,
    progress: Progress,
}

/// The answers of a call, and how long they took.
type Answers = Task<(Result<Vec<Response>, Problem>, Duration)>;

enum Progress {
    /// It was sent.
    UnderWay(UnderWay),
    /// It could not be sent; with its fingerprint, if it is to be recorded.
    Failed(Problem, Option<String>),
    /// A record has its outcome.
    Recalled(Result<Vec<OutputTensor>, Problem>),
}

struct UnderWay {
    answer: Answers,
    expected: Expected,
    /// Its fingerprint, if it is to be recorded.
    key: Option<String>,
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
            Progress::UnderWay(under_way) => under_way.answer.is_finished(),
            _ => true,
        }
    }

    /// Waits for the answer.
    pub fn finish(self) -> Result<Vec<OutputTensor>, Failure> {
        let (mut latency, call, invocation) = (Duration::ZERO, &self.call, &self.invocation);
        let outcome = match self.progress {
            Progress::Recalled(outcome) => outcome,
            Progress::Failed(problem, key) => call.keep(invocation, key, Err(problem)),
            Progress::UnderWay(UnderWay { mut answer, mut expected, key }) => {
                let answered = wait(self.deadline + GRACE, answer.done()).map_err(|ended| call.ended(ended));
                let outcome = answered.and_then(|answered| {
                    let (responses, took) = answered.map_err(|_| Problem::new(Code::Internal, "the call panicked"))?;
                    latency = took;
                    // The answer may have waited for a long time; to be read it has as long as it left of the timeout.
                    let deadline = Instant::now() + call.node.timeout.saturating_sub(took);
                    call.answer(&mut expected, &responses?, deadline)
                });
                call.keep(invocation, key, outcome)
            }
        };
        call.end(latency, invocation, outcome)
    }

    /// Drops the call, and counts it as one that ended with `code` unless it was over. A failure that nobody awaits is
    /// counted and told all the same.
    pub fn abandon(self, code: Code) {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let (mut latency, call) = (self.call.node.timeout.saturating_sub(left), &self.call);
        let outcome = match self.progress {
            Progress::UnderWay(mut under_way) if under_way.answer.is_finished() => {
                let (outcome, took) = under_way.answer.outcome().unwrap_or((Ok(Vec::new()), latency));
                latency = took;
                outcome.map(drop)
            }
            Progress::UnderWay(_) => {
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
