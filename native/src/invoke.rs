//! The kernel of `Invoke`: tensors in, one remote call, tensors out.

use std::sync::Arc;

use crate::call::Call;
use crate::element::ElementType;
use crate::failure::{Code, Failure, Problem};
use crate::node::{Auth, Node, Signature};
use crate::ort::table::Kernel;
use crate::ort::{Context, KernelInfo};
use crate::register::ScopeSlot;
use crate::scope::Scope;
use crate::tensor::{Chunks, InputTensor, OutputData, OutputTensor};

/// An `Invoke` node of a session.
pub struct Invoke(Call);

impl Kernel for Invoke {
    type Shared = ScopeSlot;

    fn create(slot: &ScopeSlot, info: &KernelInfo) -> Result<Self, Failure> {
        let signature = signature(info).map_err(Failure::without_node)?;
        let located = Failure { node: signature.name.clone(), ..Failure::without_node(Problem::new(Code::Node, "")) };
        Self::prepare(slot.scope(), info, signature).map_err(|problem| Failure { problem, ..located })
    }

    fn compute(&self, context: &Context) -> Result<(), Failure> {
        let outcome = self.inputs(context).and_then(|(token, inputs)| self.0.run(token.as_ref(), &inputs));
        let outputs = match outcome {
            Ok(outputs) => self.with_flags(outputs, None),
            Err(failure) if self.0.node().flag && !failure.problem.code.is_of_the_session() => {
                self.with_flags(self.emptied(), Some(&failure))
            }
            Err(failure) => return Err(failure),
        };
        outputs
            .iter()
            .enumerate()
            .try_for_each(|(index, output)| context.write(index, output))
            .map_err(|error| self.failure(error))
    }

    fn failure(&self, problem: impl Into<Problem>) -> Failure {
        self.0.failure(problem.into(), 0)
    }
}

impl Invoke {
    fn prepare(scope: Arc<Scope>, info: &KernelInfo, signature: Signature) -> Result<Self, Problem> {
        Ok(Self(Call::new(Node::parse(info, signature)?, scope)?))
    }

    /// The token, if the node takes one, and the inputs that travel.
    fn inputs<'a>(&self, context: &Context<'a>) -> Result<(Option<InputTensor<'a>>, Vec<InputTensor<'a>>), Failure> {
        let unreadable = |error: crate::ort::OrtError| self.failure(Problem::new(Code::Input, error.to_string()));
        let count = context.input_count().map_err(unreadable)?;
        let mut inputs =
            (0..count).map(|index| context.input(index)).collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
        let token = (self.0.node().auth == Auth::Input).then(|| inputs.remove(0));
        Ok((token, inputs))
    }

    /// The outputs followed by `ok`, `status` and `error`, where the node has them.
    fn with_flags(&self, mut outputs: Vec<OutputTensor>, failure: Option<&Failure>) -> Vec<OutputTensor> {
        if self.0.node().flag {
            let status = failure.map_or(Some(200), |failure| failure.problem.status);
            let error = failure.map(Failure::to_string).unwrap_or_default();
            outputs.push(scalar(ElementType::Bool, &[u8::from(failure.is_none())]));
            outputs.push(scalar(ElementType::Int64, &i64::from(status.unwrap_or(0)).to_ne_bytes()));
            let text = OutputData::Text([error.as_str()].into_iter().collect());
            outputs.push(OutputTensor { element: ElementType::String, shape: Vec::new(), data: text });
        }
        outputs
    }

    fn emptied(&self) -> Vec<OutputTensor> {
        self.0.node().outputs.iter().map(|output| OutputTensor::empty(output.element, output.shape.emptied())).collect()
    }
}

fn scalar(element: ElementType, bytes: &[u8]) -> OutputTensor {
    let data = OutputData::Raw(Chunks::from(bytes::Bytes::copy_from_slice(bytes)));
    OutputTensor { element, shape: Vec::new(), data }
}

/// What the graph says about the node. A node without a name goes by its first output's.
fn signature(info: &KernelInfo) -> Result<Signature, Problem> {
    let outputs = (0..info.output_count()?).map(|index| info.output_element(index)).collect::<Result<_, _>>()?;
    let mut name = info.node_name()?;
    if name.is_empty() {
        name = info.output_name(0)?;
    }
    Ok(Signature { name, inputs: info.input_count()?, outputs })
}
