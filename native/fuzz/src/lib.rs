//! What the fuzz targets share: nodes, answers in the bytes that a fuzzer gives, and what has to hold of their outputs.
#![deny(unsafe_code, missing_docs)]

mod answer;
mod fields;

pub use answer::{answered, check, described};
pub use fields::{Fields, file, node, pieces};
