//! A call that the thread which makes it waits for.

use std::time::Instant;

use super::Call;
use super::kept::Kept;
use super::prepared::Invocation;
use super::taped::Recalled;
use crate::failure::{Failure, Problem};
use crate::tensor::{InputTensor, OutputTensor};
use crate::transport::runtime::wait;

impl Call {
    /// Calls the remote model and waits for its answer, at most until the node's deadline.
    ///
    /// `inputs` are the options that the node takes as inputs, then the tensors that travel.
    pub fn run(&self, token: Option<&InputTensor>, inputs: &[InputTensor]) -> Result<Vec<OutputTensor>, Failure> {
        let (started, invocation) = (Instant::now(), Invocation::watched(&self.watch));
        let outcome = match self.recall(&invocation, inputs) {
            Recalled::Known(outcome) => outcome,
            Recalled::Unknown(key) => {
                let outcome = match &self.kept {
                    None => self.attempt(started, &invocation, token, inputs),
                    Some(kept) => self.attempt_unknown(kept, started, &invocation, token, inputs),
                };
                self.keep(&invocation, key, outcome)
            }
        };
        self.end(started.elapsed(), &invocation, outcome)
    }

    /// Calls the remote model as [`Self::run`] does, past any record.
    pub fn run_unrecorded(
        &self,
        token: Option<&InputTensor>,
        inputs: &[InputTensor],
    ) -> Result<Vec<OutputTensor>, Failure> {
        let (started, invocation) = (Instant::now(), Invocation::watched(&self.watch));
        let outcome = self.attempt(started, &invocation, token, inputs);
        self.end(started.elapsed(), &invocation, outcome)
    }

    fn attempt(
        &self,
        started: Instant,
        invocation: &Invocation,
        token: Option<&InputTensor>,
        inputs: &[InputTensor],
    ) -> Result<Vec<OutputTensor>, Problem> {
        let limits = self.limits(started);
        let (requests, mut expected) = self.prepare(invocation, token, inputs, limits.deadline)?;
        let responses = self.waited(limits.deadline, self.exchange(requests, &limits, invocation))?;
        self.answer(&mut expected, &responses, limits.deadline)
    }

    fn attempt_unknown(
        &self,
        kept: &Kept,
        started: Instant,
        invocation: &Invocation,
        token: Option<&InputTensor>,
        inputs: &[InputTensor],
    ) -> Result<Vec<OutputTensor>, Problem> {
        let limits = self.limits(started);
        let (wanted, tensors) = self.wanted(kept, invocation, token, inputs)?;
        self.waited(limits.deadline, self.known_or_asked(kept, wanted, tensors, &limits, invocation))
    }

    /// What `work` brings, for which this thread waits until its deadline or the end of its run.
    fn waited<T>(&self, deadline: Instant, work: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
        wait(deadline, work).unwrap_or_else(|ended| Err(self.ended(ended)))
    }
}
