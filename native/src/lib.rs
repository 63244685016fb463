//! The operator library of onnxhybrid: remote models as ONNX Runtime custom operators.
//!
//! ONNX Runtime loads the library and calls `RegisterCustomOps`; a host language calls the C functions
//! of [`abi`]. Layers, from the outside in: [`abi`], [`register`] and [`op`] face the host; [`invoke`] and [`begin`]
//! are the kernels; [`call`] joins one node's [`protocol`] with the [`transport`]; the rest is data.
#![deny(unsafe_op_in_unsafe_fn, missing_docs)]

pub mod abi;
pub mod begin;
pub mod breaker;
pub mod budget;
pub mod call;
pub mod credential;
pub mod describe;
pub mod element;
pub mod endpoint;
pub mod events;
pub mod failure;
pub mod guard;
pub mod invoke;
pub mod node;
pub mod official;
pub mod op;
pub mod ort;
pub mod policy;
pub mod process;
pub mod protocol;
pub mod register;
pub mod running;
pub mod scope;
pub mod shape;
pub mod stats;
pub mod tape;
pub mod tensor;
pub mod ticket;
pub mod trace;
pub mod transport;
