//! The answers of what the old operators call.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use onnxhybrid::element::ElementType::String;
use onnxhybrid::node::Node;
use onnxhybrid_fuzz::{check, node};

static NODES: LazyLock<Vec<Node>> =
    LazyLock::new(|| ["legacy.form", "legacy.text"].map(|protocol| node(protocol, &[String], &[])).into());

fuzz_target!(|data: &[u8]| NODES.iter().for_each(|node| check(node, data)));
