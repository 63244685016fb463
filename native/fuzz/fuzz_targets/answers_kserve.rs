//! KServe v2 over HTTP: JSON tensors, and binary ones behind the header.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use onnxhybrid::element::ElementType::{Bool, Float16, Float32, Int64, String, UInt8};
use onnxhybrid::node::Node;
use onnxhybrid_fuzz::{check, node};

static NODES: LazyLock<Vec<Node>> = LazyLock::new(|| {
    let kinds = [&[Float32][..], &[String], &[Bool, Int64], &[UInt8, Float16]];
    kinds.map(|elements| node("triton.http", elements, &[])).into()
});

fuzz_target!(|data: &[u8]| NODES.iter().for_each(|node| check(node, data)));
