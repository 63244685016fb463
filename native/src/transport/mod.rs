//! Requests and answers on their way: one deadline, safe retries, bounded bodies, pooled connections.

mod admission;
mod advice;
mod alarm;
mod attempt;
mod body;
mod coding;
mod connect;
mod connection;
#[cfg(fuzzing)]
pub mod fuzzing;
mod grpc;
mod http1;
mod http2;
mod io;
mod line;
mod message;
mod names;
mod paying;
mod peer;
mod proxy;
mod reading;
mod request;
mod retry;
pub mod runtime;
mod send;
mod several;
mod sleep;
mod socket;
mod tally;
mod tls;
mod together;
mod unpacking;
mod watch;

pub use body::Body;
pub use names::Names;
pub use peer::{Environment, Peer};
pub(crate) use request::Trouble;
pub use request::{Limits, Request, Response};
pub use retry::{Backoff, is_retryable};
pub use send::send;
pub use several::{Server, Several};
pub use tally::Tally;
pub use together::side_by_side;
pub use watch::Watch;
