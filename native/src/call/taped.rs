//! A call whose answer is recorded, or comes from a record.

use super::Call;
use super::prepared::Invocation;
use crate::failure::{Code, Problem};
use crate::session::tape::{Answer, Tape, key};
use crate::shape::Sizes;
use crate::tensor::{InputTensor, OutputTensor};

/// Whether a call has to be made.
pub(super) enum Recalled {
    /// No: a record has its outcome.
    Known(Result<Vec<OutputTensor>, Problem>),
    /// Yes; its outcome is to be recorded under the fingerprint, if there is one.
    Unknown(Option<String>),
}

impl Call {
    /// Looks for the call in the record that the scope replays, if it does.
    pub(super) fn recall(&self, invocation: &Invocation, inputs: &[InputTensor]) -> Recalled {
        match self.scope.tape() {
            Tape::Off => Recalled::Unknown(None),
            Tape::Record(_) => Recalled::Unknown(Some(key::of(&self.node, inputs))),
            Tape::Replay(replay) => Recalled::Known(replay.answer(&key::of(&self.node, inputs)).and_then(|answer| {
                invocation.tally.replay(answer.attempts);
                self.fitting(answer)
            })),
        }
    }

    /// Records the outcome of a call that was made, if there is a fingerprint for it, and gives it on.
    pub(super) fn keep(
        &self,
        invocation: &Invocation,
        key: Option<String>,
        outcome: Result<Vec<OutputTensor>, Problem>,
    ) -> Result<Vec<OutputTensor>, Problem> {
        let (Tape::Record(record), Some(key)) = (self.scope.tape(), key) else { return outcome };
        if outcome.as_ref().is_err_and(|problem| problem.code == Code::Cancelled) {
            return outcome; // it says something of the run, and nothing of the remote model
        }
        let answer = Answer {
            attempts: invocation.tally.attempts(),
            outcome: outcome.map_err(|problem| self.blot(problem, invocation)),
        };
        let mask = self.scope.masks().with(invocation.tally.secrets());
        record.keep(&key, &self.node.name, &answer, &mask)?;
        answer.outcome
    }

    /// The outputs of a recorded answer, if they fit what the node declares. They need not be checked against the inputs:
    /// equal ones led to them.
    fn fitting(&self, answer: Answer) -> Result<Vec<OutputTensor>, Problem> {
        let outputs = answer.outcome?;
        let declared = self.node.outputs.iter().map(|declared| declared.element);
        if !declared.eq(outputs.iter().map(|output| output.element)) {
            return Err(Problem::new(Code::OutputType, "the recorded outputs are not those that are declared"));
        }
        self.fit(&mut Sizes::unknown(self.node.shape_names), &outputs)?;
        Ok(outputs)
    }
}
