//! AzureML's scoring scripts: nested lists of numbers and texts.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use onnxhybrid::element::ElementType::{Bool, Float32, Int64, String};
use onnxhybrid::node::Node;
use onnxhybrid_fuzz::{check, node};

static NODES: LazyLock<Vec<Node>> = LazyLock::new(|| {
    let named = [&[Float32][..], &[String, Int64], &[Bool]];
    let named = named.map(|elements| node("azureml.score", elements, &[("form", "named")]));
    let data = [Float32, String].map(|element| node("azureml.score", &[element], &[("form", "data")]));
    named.into_iter().chain(data).collect()
});

fuzz_target!(|data: &[u8]| NODES.iter().for_each(|node| check(node, data)));
