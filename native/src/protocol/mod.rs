//! Wire protocols: pure functions between tensors and bytes, and the table of all there are.
//!
//! [`spec`] says what a protocol is, [`table`] which there are; each has a file, or a folder, of its own. A protocol
//! knows no network and no node: it is prepared from what a node declares ([`declared`]) and tested with bytes alone.

mod answer;
mod azureml;
pub mod cutting;
pub mod declared;
pub mod groups;
mod grpc;
pub mod headers;
pub(crate) mod json;
mod kserve;
mod legacy;
mod multipart;
mod nested;
mod openai;
mod option;
pub mod options;
pub mod protobuf;
pub mod spec;
pub mod table;
mod told;
mod triton_grpc;
mod triton_http;

pub use spec::{Asked, Batch, Protocol, ProtocolSpec};
