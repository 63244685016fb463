//! What all kernels do alike: they read inputs, write what a call brought, and name their node.

use crate::call::Call;
use crate::element::ElementType;
use crate::failure::{Code, Failure, Problem};
use crate::node::{Attributes, Auth};
use crate::ort::{Context, KernelInfo, OrtError};
use crate::tensor::{Chunks, InputTensor, OutputData, OutputTensor};

impl Attributes for KernelInfo<'_> {
    fn text(&self, name: &str) -> Option<String> {
        KernelInfo::text(self, name)
    }

    fn integer(&self, name: &str) -> Option<i64> {
        KernelInfo::integer(self, name)
    }

    fn float(&self, name: &str) -> Option<f32> {
        KernelInfo::float(self, name)
    }
}

/// The token, if the node takes one, and the inputs that travel.
pub(super) fn inputs<'a>(
    call: &Call,
    context: &Context<'a>,
) -> Result<(Option<InputTensor<'a>>, Vec<InputTensor<'a>>), Failure> {
    let unreadable = |error: OrtError| call.failure(Problem::new(Code::Input, error.to_string()), 0);
    let count = context.input_count().map_err(unreadable)?;
    let mut inputs = (0..count).map(|index| context.input(index)).collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    let token = (call.node().auth == Auth::Input).then(|| inputs.remove(0));
    Ok((token, inputs))
}

/// Writes what a call brought, or with `on_error="flag"` that it failed.
pub(super) fn write(
    call: &Call,
    context: &Context,
    outcome: Result<Vec<OutputTensor>, Failure>,
) -> Result<(), Failure> {
    let node = call.node();
    let outputs = match outcome {
        Ok(outputs) => with_flags(call, outputs, None),
        // A run that was cancelled is to end, not to go on without the answer.
        Err(failure)
            if node.flag && failure.problem.code != Code::Cancelled && !failure.problem.code.is_of_the_session() =>
        {
            with_flags(call, node.emptied(), Some(&failure))
        }
        Err(failure) => return Err(failure),
    };
    let written = outputs.iter().enumerate().try_for_each(|(index, output)| context.write(index, output));
    written.map_err(|error| call.failure(error.into(), 0))
}

/// The outputs followed by `ok`, `status` and `error`, where the node has them.
fn with_flags(call: &Call, mut outputs: Vec<OutputTensor>, failure: Option<&Failure>) -> Vec<OutputTensor> {
    if call.node().flag {
        let status = failure.map_or_else(|| Some(call.status(&outputs)), |failure| failure.problem.status);
        let error = failure.map(Failure::to_string).unwrap_or_default();
        outputs.push(scalar(ElementType::Bool, &[u8::from(failure.is_none())]));
        outputs.push(scalar(ElementType::Int64, &i64::from(status.unwrap_or(0)).to_ne_bytes()));
        let text = OutputData::Text([error.as_str()].into_iter().collect());
        outputs.push(OutputTensor { element: ElementType::String, shape: Vec::new(), data: text });
    }
    outputs
}

/// A tensor of one element and no dimension.
pub(super) fn scalar(element: ElementType, bytes: &[u8]) -> OutputTensor {
    let data = OutputData::Raw(Chunks::from(bytes::Bytes::copy_from_slice(bytes)));
    OutputTensor { element, shape: Vec::new(), data }
}

/// The types that the graph declares for the node's outputs.
pub(super) fn output_elements(info: &KernelInfo) -> Result<Vec<Option<ElementType>>, OrtError> {
    (0..info.output_count()?).map(|index| info.output_element(index)).collect()
}

/// The node's name. A node without one goes by its first output's.
pub(super) fn node_name(info: &KernelInfo) -> Result<String, OrtError> {
    let name = info.node_name()?;
    if name.is_empty() { info.output_name(0) } else { Ok(name) }
}

/// A failure of the node that is called `name`.
pub(super) fn of_node(name: &str, problem: Problem) -> Failure {
    Failure { node: name.into(), ..Failure::without_node(problem) }
}
