//! What faces the host: the doors that ONNX Runtime and a host language come in by, and the kernels.

pub mod abi;
pub mod audit;
pub mod begin;
pub mod describe;
pub mod invoke;
mod kernel;
pub mod op;
pub mod provider;
pub mod register;
mod run_entries;
pub mod slot;
