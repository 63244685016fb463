//! Answers that one node of one session keeps in memory, by what was asked, and questions that are under way.
//!
//! Equal questions at a time are asked once: the first leads, the others follow it. No failure is shared or kept. Who
//! followed one that failed asks for itself; who followed one that was given up looks again.

mod flights;
pub mod key;
pub mod settings;
mod store;

pub use flights::{Asking, Cache};
pub use store::{Answer, Key};
