//! A call whose answer is recorded, or comes from a record.

use super::Call;
use super::prepared::Invocation;
use crate::failure::{Code, Problem};
use crate::session::tape::{Answer, Tape, key};
use crate::shape::Sizes;
use crate::tensor::{InputTensor, OutputTensor};

/// What a record says to a call before it is made.
pub(super) enum Recalled {
    /// The outcome that takes the place of the call's.
    Known(Result<Vec<OutputTensor>, Problem>),
    /// That it has to be made; with a fingerprint, to be kept.
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

    /// The outcome of a call that was made, once it is in the record, if it has to be.
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
            outcome: outcome.map_err(|problem| invocation.blot(problem)),
        };
        record.keep(&key, &self.node.name, &answer, invocation.secret.get())?;
        answer.outcome
    }

    /// A recorded answer, which must fit what the node declares; equal inputs gave it, so that it fits those.
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
