//! A call whose answer is recorded, or comes from a record.

use super::{Call, Run};
use crate::failure::{Code, Problem};
use crate::tape::{Answer, Tape, key};
use crate::tensor::{InputTensor, OutputTensor};

impl Call {
    /// The outcome of `live`, recorded where the scope records, or what is recorded in its place.
    pub(super) fn taped(
        &self,
        run: &Run,
        inputs: &[InputTensor],
        live: impl FnOnce() -> Result<Vec<OutputTensor>, Problem>,
    ) -> Result<Vec<OutputTensor>, Problem> {
        match self.scope.tape() {
            Tape::Off => live(),
            Tape::Replay(replay) => {
                let answer = replay.answer(&key::of(&self.node, inputs))?;
                run.tally.replay(answer.attempts);
                self.fitting(inputs, answer)
            }
            Tape::Record(record) => {
                let outcome = live().map_err(|problem| run.blot(problem));
                let answer = Answer { attempts: run.tally.attempts(), outcome };
                record.keep(&key::of(&self.node, inputs), &self.node.name, &answer, run.secret.get())?;
                answer.outcome
            }
        }
    }

    /// A recorded answer, which must fit the node as if it came from the server.
    fn fitting(&self, inputs: &[InputTensor], answer: Answer) -> Result<Vec<OutputTensor>, Problem> {
        let outputs = answer.outcome?;
        let declared = self.node.outputs.iter().map(|declared| declared.element);
        if !declared.eq(outputs.iter().map(|output| output.element)) {
            return Err(Problem::new(Code::OutputType, "the recorded outputs are not those that are declared"));
        }
        let mut sizes = self.check_inputs(inputs)?;
        self.fit(&mut sizes, &outputs)?;
        Ok(outputs)
    }
}
