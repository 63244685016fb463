//! The operator library of onnxhybrid: remote models as ONNX Runtime custom operators.
//!
//! ONNX Runtime loads the library and calls `RegisterCustomOps`; a host language calls the C functions
//! of [`host::abi`]. Layers, from the outside in: [`host`] holds the doors and the kernels; [`call`] joins one node's
//! [`protocol`] with the [`transport`] on behalf of a [`session`] and a [`run`]; the rest is data.
#![deny(unsafe_code, unsafe_op_in_unsafe_fn, missing_docs)]

pub mod attributes;
pub mod call;
pub mod element;
pub mod endpoint;
pub mod failure;
pub mod guard;
pub mod host;
pub mod node;
#[allow(unsafe_code)]
pub mod ort;
pub mod protocol;
pub mod run;
pub mod session;
pub mod shape;
pub mod tensor;
pub mod trace;
pub mod transport;
