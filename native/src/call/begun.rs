//! Calls that are begun on the runtime, and finished or abandoned later.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::taped::Recalled;
use super::{Call, Expected, Run};
use crate::failure::{Code, Failure, Problem};
use crate::run::forks;
use crate::tensor::{InputTensor, OutputTensor};
use crate::transport::runtime::{Ended, runtime, wait};
use crate::transport::{Limits, Request, Response};

impl Call {
    /// Sends the request and returns at once. The deadline counts from now; whatever fails is told by the end.
    pub fn begin(self: &Arc<Self>, token: Option<&InputTensor>, inputs: &[InputTensor]) -> Begun {
        let (started, run) = (Instant::now(), Arc::new(Run::watched(&self.watch)));
        let limits = self.limits(started);
        let progress = match self.recall(&run, inputs) {
            Recalled::Known(outcome) => Progress::Recalled(outcome),
            Recalled::Unknown(key) => match self.prepare(&run, token, inputs) {
                Ok((requests, expected)) => {
                    Progress::UnderWay(UnderWay { answer: self.spawn(&run, requests, limits, started), expected, key })
                }
                Err(problem) => Progress::Failed(problem, key),
            },
        };
        Begun { call: self.clone(), run, deadline: limits.deadline, progress }
    }

    fn spawn(self: &Arc<Self>, run: &Arc<Run>, requests: Vec<Request>, limits: Limits, started: Instant) -> Answers {
        let (call, run) = (self.clone(), run.clone());
        let requests: Vec<_> = requests.into_iter().map(Request::into_owned).collect();
        Task::spawn(async move {
            let exchange = call.exchange(requests, &limits, &run);
            let answer = tokio::time::timeout_at(limits.deadline.into(), exchange).await;
            (answer.unwrap_or_else(|_| Err(call.ended(Ended::Deadline))), started.elapsed())
        })
    }
}

/// A call that was begun: it goes on by itself, until its answer, its deadline, or the end of this value.
pub struct Begun {
    call: Arc<Call>,
    run: Arc<Run>,
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
            Progress::UnderWay(under_way) => under_way.answer.0.is_finished(),
            _ => true,
        }
    }

    /// Waits for the answer.
    pub fn finish(self) -> Result<Vec<OutputTensor>, Failure> {
        let (mut latency, call, run) = (Duration::ZERO, &self.call, &self.run);
        let outcome = match self.progress {
            Progress::Recalled(outcome) => outcome,
            Progress::Failed(problem, key) => call.keep(run, key, Err(problem)),
            Progress::UnderWay(UnderWay { mut answer, mut expected, key }) => {
                let answered = wait(self.deadline + GRACE, &mut answer.0).map_err(|ended| call.ended(ended));
                let outcome = answered.and_then(|answered| {
                    let (responses, took) = answered.map_err(|_| Problem::new(Code::Internal, "the call panicked"))?;
                    latency = took;
                    call.answer(&mut expected, &responses?)
                });
                call.keep(run, key, outcome)
            }
        };
        call.end(latency, run, outcome)
    }

    /// Drops the call, and counts it as one that ended with `code` unless it was over.
    pub fn abandon(self, code: Code) {
        let error = match &self.progress {
            Progress::UnderWay(under_way) => (!under_way.answer.0.is_finished()).then_some(code),
            Progress::Failed(problem, _) | Progress::Recalled(Err(problem)) => Some(problem.code),
            Progress::Recalled(Ok(_)) => None,
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
        Self(runtime().spawn(work), forks::generation())
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        // That of a parent process is out of a child's reach.
        if self.1 == forks::generation() {
            self.0.abort();
        }
    }
}
