//! One node's remote call, from its inputs to its outputs.
//!
//! It is prepared once for each node. Then either the thread that makes a call waits for it, or the call is begun on the
//! runtime and finished later, by whoever has its ticket.

pub mod audit;
mod batch;
mod begun;
mod direct;
mod finished;
mod forms;
mod kept;
mod known;
mod plan;
mod prepared;
mod question;
mod requests;
mod secrets;
mod servers;
mod taped;
mod task;
pub mod tickets;

pub use begun::Begun;
pub use prepared::Call;
pub use secrets::keys;
