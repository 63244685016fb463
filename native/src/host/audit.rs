//! The kernels of `Draw` and `Audit`: which accepted rows are asked for all the same, and the call that does so.

use std::sync::Arc;

use crate::attributes::{self, Attributes};
use crate::call::Call;
use crate::call::audit::{Auditor, Compared, drawn};
use crate::element::ElementType;
use crate::failure::{Failure, Problem, malformed};
use crate::host::kernel::{node_name, of_node};
use crate::host::slot::ScopeSlot;
use crate::node::{Node, Signature, distinct, output_types};
use crate::ort::table::Kernel;
use crate::ort::{Context, KernelInfo, OrtError};
use crate::session::scope::Scope;
use crate::session::tape::Tape;
use crate::tensor::{Chunks, InputData, InputTensor, OutputData, OutputTensor};

/// A `Draw` node: of the rows that its input accepts it gives the positions of some, int64[k, 1].
pub struct Draw {
    name: String,
    share: f64,
}

impl Kernel for Draw {
    type Shared = ScopeSlot;

    const OUTPUT: Option<ElementType> = Some(ElementType::Int64);

    fn create(slot: &ScopeSlot, info: &KernelInfo) -> Result<Self, Failure> {
        let name = node_name(info).map_err(|error| Failure::without_node(error.into()))?;
        let read = attributes::share(info).and_then(|share| Ok((share, slot.owner_of(info)?)));
        let (share, owner) = read.map_err(|problem| of_node(&name, problem))?;
        // Chance is in no record, so that a replay would ask for what it does not hold.
        let replays = matches!(owner.scope.tape(), Tape::Replay(_));
        Ok(Self { name, share: if replays { 0.0 } else { share } })
    }

    fn compute(&self, context: &Context) -> Result<(), Failure> {
        let accepted = context.input(0).map_err(|error| self.failure(error))?;
        let (ElementType::Bool, InputData::Raw(accepted)) = (accepted.element, accepted.data) else {
            return Err(self.failure(malformed("its input is no bool")));
        };
        let positions = drawn(accepted, self.share);
        let bytes: Vec<u8> = positions.iter().flat_map(|position| position.to_ne_bytes()).collect();
        let data = OutputData::Raw(Chunks::from(bytes::Bytes::from(bytes)));
        let rows = OutputTensor { element: ElementType::Int64, shape: vec![positions.len() as i64, 1], data };
        context.write(0, &rows).map_err(|error| self.failure(error))
    }

    fn failure(&self, problem: impl Into<Problem>) -> Failure {
        of_node(&self.name, problem.into())
    }
}

/// An `Audit` node: it begins a call whose answer is compared with its inputs, and passes its last input on.
///
/// Its inputs are those of the call, the answers that were given without it, and what is passed on.
pub struct Audit {
    auditor: Arc<Auditor>,
    answers: usize,
}

impl Kernel for Audit {
    type Shared = ScopeSlot;

    const OUTPUT: Option<ElementType> = Some(ElementType::Bool);

    fn create(slot: &ScopeSlot, info: &KernelInfo) -> Result<Self, Failure> {
        let name = node_name(info).map_err(|error| Failure::without_node(error.into()))?;
        let prepared = slot.owner_of(info).and_then(|owner| Self::prepare(owner.scope, info, name.clone()));
        prepared.map_err(|problem| of_node(&name, problem))
    }

    fn compute(&self, context: &Context) -> Result<(), Failure> {
        let count = context.input_count().map_err(|error| self.failure(error))?;
        let passed = context.input(count - 1).and_then(|passed| context.write(0, &passed_on(&passed)));
        passed.map_err(|error| self.failure(error))?;
        let read: Result<Vec<_>, OrtError> = (0..count - 1).map(|index| context.input(index)).collect();
        match read {
            Ok(read) => {
                let (inputs, answers) = read.split_at(read.len() - self.answers);
                self.auditor.begin(inputs, answers);
            }
            Err(_) => self.auditor.fail(1),
        }
        Ok(())
    }

    fn failure(&self, problem: impl Into<Problem>) -> Failure {
        self.auditor.call().failure(problem.into(), 0)
    }
}

impl Audit {
    fn prepare(scope: Arc<Scope>, info: &KernelInfo, name: String) -> Result<Self, Problem> {
        let answers = distinct(&attributes::ANSWERS.read(info)?, attributes::ANSWERS.name)?;
        let inputs = info.input_count()?.checked_sub(answers.len() + 1);
        let inputs = inputs.ok_or_else(|| malformed("it has fewer inputs than answers, and what is passed on"))?;
        let signature = Signature { name, inputs, outputs: output_types(info)? };
        let node = Node::resolved(info, signature, scope.endpoints())?;
        let compared = compared(info, &node, &answers)?;
        let audited = scope.audits().of(&node, attributes::promised(info)?);
        let auditor = Arc::new(Auditor::new(Call::new(node, scope)?, compared, audited));
        Ok(Self { auditor, answers: answers.len() })
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        // The session is over, and nobody is left to ask what was found.
        self.auditor.end();
    }
}

/// Which output of the call each answer is compared with.
fn compared(info: &dyn Attributes, node: &Node, answers: &[String]) -> Result<Compared, Problem> {
    let chosen = match attributes::COMPARED.read(info)? {
        all if all.is_empty() => answers.to_vec(),
        some => distinct(&some, attributes::COMPARED.name)?,
    };
    let output = |name: &String| {
        let found = node.outputs.iter().position(|output| output.name == *name);
        let found = found.ok_or_else(|| malformed(format!("its call has no output \"{name}\" to be compared")))?;
        Ok(chosen.contains(name).then_some(found))
    };
    let outputs: Vec<_> = answers.iter().map(output).collect::<Result<_, Problem>>()?;
    if outputs.iter().all(Option::is_none) {
        return Err(malformed("it compares no output"));
    }
    Ok(Compared { outputs, by_row: attributes::BY_ROW.read(info)? != 0 })
}

fn passed_on(passed: &InputTensor) -> OutputTensor {
    let bytes = if let InputData::Raw(bytes) = passed.data { bytes } else { &[] };
    let data = OutputData::Raw(Chunks::from(bytes::Bytes::copy_from_slice(bytes)));
    OutputTensor { element: passed.element, shape: passed.shape.clone(), data }
}
