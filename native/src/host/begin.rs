//! The kernels of `Begin`, `Await` and `Cancel`: one remote call in two nodes, so that others can run in between.

use std::sync::Arc;

use crate::call::Call;
use crate::call::tickets::{Taken, Tickets};
use crate::element::ElementType;
use crate::failure::{Code, Failure, Problem};
use crate::host::kernel::{inputs, node_name, of_node, output_elements, scalar, write};
use crate::host::slot::{Owner, ScopeSlot};
use crate::node::{Node, Signature, output_types};
use crate::ort::table::Kernel;
use crate::ort::{Context, KernelInfo};
use crate::tensor::InputData;
use crate::transport::runtime::Ended;

/// A `Begin` node: it sends the request and gives a ticket.
pub struct Begin {
    call: Arc<Call>,
    tickets: Arc<Tickets>,
}

impl Kernel for Begin {
    type Shared = ScopeSlot;

    const OUTPUT: Option<ElementType> = Some(ElementType::Int64);

    fn create(slot: &ScopeSlot, info: &KernelInfo) -> Result<Self, Failure> {
        let name = node_name(info).map_err(|error| Failure::without_node(error.into()))?;
        let prepared = slot.owner_of(info).and_then(|owner| Self::prepare(owner, info, name.clone()));
        prepared.map_err(|problem| of_node(&name, problem))
    }

    fn compute(&self, context: &Context) -> Result<(), Failure> {
        let (token, inputs) = inputs(&self.call, context)?;
        let ticket = self.tickets.add(self.call.begin(token.as_ref(), &inputs));
        let written = context.write(0, &scalar(ElementType::Int64, &ticket.to_ne_bytes()));
        written.map_err(|error| self.failure(error))
    }

    fn failure(&self, problem: impl Into<Problem>) -> Failure {
        self.call.failure(problem.into(), 0)
    }
}

impl Begin {
    fn prepare(owner: Owner, info: &KernelInfo, name: String) -> Result<Self, Problem> {
        let signature = Signature { name, inputs: info.input_count()?, outputs: output_types(info)? };
        let node = Node::resolved(info, signature, owner.scope.endpoints())?;
        let call = Arc::new(Call::new(node, owner.scope)?);
        Ok(Self { call, tickets: owner.tickets })
    }
}

impl Drop for Begin {
    fn drop(&mut self) {
        // The session is over, and nobody is left to await its calls.
        self.tickets.abandon_all(&self.call);
    }
}

/// An `Await` node: it gives what the call of a ticket brought.
pub struct Await {
    name: String,
    outputs: Vec<Option<ElementType>>,
    tickets: Arc<Tickets>,
}

impl Kernel for Await {
    type Shared = ScopeSlot;

    fn create(slot: &ScopeSlot, info: &KernelInfo) -> Result<Self, Failure> {
        let read = || Ok((node_name(info)?, output_elements(info)?));
        let (name, outputs) = read().map_err(Failure::without_node)?;
        let owner = slot.owner_of(info).map_err(|problem| of_node(&name, problem))?;
        Ok(Self { name, outputs, tickets: owner.tickets })
    }

    fn compute(&self, context: &Context) -> Result<(), Failure> {
        let taken = ticket(context).and_then(|ticket| self.tickets.take(ticket));
        let taken = taken.map_err(|problem| self.failure(problem))?;
        let call = match &taken {
            Taken::Begun(begun) => begun.call().clone(),
            Taken::Late(call) => call.clone(),
        };
        self.check(&call)?;
        let outcome = match taken {
            Taken::Begun(begun) => begun.finish(),
            Taken::Late(call) => Err(call.failure(call.ended(Ended::Deadline), 0)),
        };
        write(&call, context, outcome)
    }

    fn failure(&self, problem: impl Into<Problem>) -> Failure {
        of_node(&self.name, problem.into())
    }
}

impl Await {
    /// Refuses a ticket of a node whose outputs are not those that the graph declares here.
    fn check(&self, call: &Call) -> Result<(), Failure> {
        if call.node().elements().map(Some).eq(self.outputs.iter().copied()) {
            return Ok(());
        }
        let declared = |elements: &mut dyn Iterator<Item = Option<ElementType>>| {
            elements.map(|element| element.map_or("?", ElementType::name)).collect::<Vec<_>>().join(", ")
        };
        let (here, there) =
            (declared(&mut self.outputs.iter().copied()), declared(&mut call.node().elements().map(Some)));
        let message = format!("it declares the outputs {here}; the node \"{}\" gives {there}", call.node().name);
        Err(self.failure(Problem::new(Code::TicketOutputs, message)))
    }
}

/// A `Cancel` node: it drops the call of a ticket, and says whether that was still under way.
pub struct Cancel {
    name: String,
    tickets: Arc<Tickets>,
}

impl Kernel for Cancel {
    type Shared = ScopeSlot;

    const OUTPUT: Option<ElementType> = Some(ElementType::Bool);

    fn create(slot: &ScopeSlot, info: &KernelInfo) -> Result<Self, Failure> {
        let name = node_name(info).map_err(|error| Failure::without_node(error.into()))?;
        let owner = slot.owner_of(info).map_err(|problem| of_node(&name, problem))?;
        Ok(Self { name, tickets: owner.tickets })
    }

    fn compute(&self, context: &Context) -> Result<(), Failure> {
        let taken = ticket(context).and_then(|ticket| self.tickets.take(ticket));
        let dropped = match taken.map_err(|problem| self.failure(problem))? {
            Taken::Begun(begun) => {
                let under_way = !begun.is_over();
                begun.abandon(Code::Cancelled);
                under_way
            }
            Taken::Late(_) => false,
        };
        let written = context.write(0, &scalar(ElementType::Bool, &[u8::from(dropped)]));
        written.map_err(|error| self.failure(error))
    }

    fn failure(&self, problem: impl Into<Problem>) -> Failure {
        of_node(&self.name, problem.into())
    }
}

/// The first input, the ticket; further ones are only waited for.
fn ticket(context: &Context) -> Result<i64, Problem> {
    let input = context.input(0)?;
    match (input.element, input.data) {
        (ElementType::Int64, InputData::Raw(bytes)) if bytes.len() == 8 => {
            Ok(i64::from_ne_bytes(bytes.try_into().unwrap_or_default()))
        }
        _ => Err(Problem::new(Code::Ticket, "the first input is no ticket, which is one int64")),
    }
}
