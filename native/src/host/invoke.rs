//! The kernel of `Invoke`: tensors in, one remote call, tensors out.

use std::sync::Arc;

use crate::call::Call;
use crate::failure::{Failure, Problem};
use crate::host::kernel::{inputs, node_name, of_node, output_elements, write};
use crate::host::slot::ScopeSlot;
use crate::node::{Node, Signature};
use crate::ort::table::Kernel;
use crate::ort::{Context, KernelInfo};
use crate::session::scope::Scope;

/// An `Invoke` node of a session.
pub struct Invoke(Call);

impl Kernel for Invoke {
    type Shared = ScopeSlot;

    fn create(slot: &ScopeSlot, info: &KernelInfo) -> Result<Self, Failure> {
        let signature = signature(info).map_err(Failure::without_node)?;
        let name = signature.name.clone();
        let prepared = slot.owner_of(info).and_then(|owner| Self::prepare(owner.scope, info, signature));
        prepared.map_err(|problem| of_node(&name, problem))
    }

    fn compute(&self, context: &Context) -> Result<(), Failure> {
        let outcome = inputs(&self.0, context).and_then(|(token, inputs)| self.0.run(token.as_ref(), &inputs));
        write(&self.0, context, outcome)
    }

    fn failure(&self, problem: impl Into<Problem>) -> Failure {
        self.0.failure(problem.into(), 0)
    }
}

impl Invoke {
    fn prepare(scope: Arc<Scope>, info: &KernelInfo, signature: Signature) -> Result<Self, Problem> {
        Ok(Self(Call::new(Node::resolved(info, signature, scope.endpoints())?, scope)?))
    }
}

/// What the graph says about the node.
fn signature(info: &KernelInfo) -> Result<Signature, Problem> {
    Ok(Signature { name: node_name(info)?, inputs: info.input_count()?, outputs: output_elements(info)? })
}
