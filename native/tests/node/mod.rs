//! The node that the tests call: input `x`, two floats, to output `y`, as many floats.
#![allow(dead_code)] // each test binary uses a part

use std::collections::HashMap;
use std::sync::Arc;

use onnxhybrid::call::Call;
use onnxhybrid::element::ElementType;
use onnxhybrid::failure::Failure;
use onnxhybrid::node::{Attributes, Node, Signature};
use onnxhybrid::session::scope::Scope;
use onnxhybrid::tensor::{InputData, InputTensor, OutputData, OutputTensor};

#[derive(Default)]
struct Fields {
    texts: HashMap<&'static str, String>,
    integers: HashMap<&'static str, i64>,
}

impl Attributes for Fields {
    fn text(&self, name: &str) -> Option<String> {
        self.texts.get(name).cloned()
    }

    fn integer(&self, name: &str) -> Option<i64> {
        self.integers.get(name).copied()
    }
}

/// The node at `url`, in a scope of its own.
pub fn call(url: &str, config: &str, integers: &[(&'static str, i64)], auth: &str) -> Call {
    let scope = Arc::new(Scope::from_json(config, None).unwrap());
    Call::new(node(url, integers, auth), scope).unwrap()
}

/// The node whose endpoint is a name that the session resolves to these URLs.
pub fn call_at(urls: &[&str], order: &str, more: &str, integers: &[(&'static str, i64)], auth: &str) -> Call {
    let config = format!(r#"{{"endpoints": {{"gpu": {}}}{more}}}"#, serde_json::json!(urls));
    let scope = Arc::new(Scope::from_json(&config, None).unwrap());
    let (mut fields, signature) = described(urls[0], integers, auth, "");
    fields.texts.extend([
        ("endpoint", String::new()),
        ("endpoint_name", "gpu".into()),
        ("endpoint_order", order.into()),
    ]);
    Call::new(Node::resolved(&fields, signature, scope.endpoints()).unwrap(), scope).unwrap()
}

/// The node at these URLs whose requests are hedged so.
pub fn hedged(urls: &[&str], hedge: &str, more: &str, integers: &[(&'static str, i64)]) -> Call {
    let config = format!(r#"{{"endpoints": {{"gpu": {}}}{more}}}"#, serde_json::json!(urls));
    let scope = Arc::new(Scope::from_json(&config, None).unwrap());
    let (mut fields, signature) = described(urls[0], integers, "none", "");
    fields.texts.extend([("endpoint_name", "gpu".into()), ("hedge", hedge.into())]);
    Call::new(Node::resolved(&fields, signature, scope.endpoints()).unwrap(), scope).unwrap()
}

/// The node at `url` that keeps its answers, with these shapes of `x` and `y`.
pub fn call_that_keeps(
    url: &str,
    config: &str,
    cache: &str,
    shapes: (&str, &str),
    integers: &[(&'static str, i64)],
    auth: &str,
) -> Call {
    let scope = Arc::new(Scope::from_json(config, None).unwrap());
    let (mut fields, signature) = described(url, integers, auth, "");
    fields.texts.extend([
        ("cache", cache.to_owned()),
        ("input_shapes", shapes.0.to_owned()),
        ("output_shapes", shapes.1.to_owned()),
    ]);
    Call::new(Node::parse(&fields, signature).unwrap(), scope).unwrap()
}

/// The node at `url` that has these headers.
pub fn call_with_headers(url: &str, config: &str, headers: &str) -> Call {
    let scope = Arc::new(Scope::from_json(config, None).unwrap());
    Call::new(parsed(url, &[], "none", headers), scope).unwrap()
}

/// The node at `url`.
pub fn node(url: &str, integers: &[(&'static str, i64)], auth: &str) -> Node {
    parsed(url, integers, auth, "")
}

fn parsed(url: &str, integers: &[(&'static str, i64)], auth: &str, headers: &str) -> Node {
    let (fields, signature) = described(url, integers, auth, headers);
    Node::parse(&fields, signature).unwrap()
}

fn described(url: &str, integers: &[(&'static str, i64)], auth: &str, headers: &str) -> (Fields, Signature) {
    let mut fields = Fields::default();
    for (name, text) in [
        ("protocol", if url.starts_with("grpc") { "triton.grpc" } else { "triton.http" }),
        ("endpoint", url),
        ("model", "m"),
        ("input_names", "[\"x\"]"),
        ("output_names", "[\"y\"]"),
        ("input_shapes", "[[\"n\"]]"),
        ("output_shapes", "[[\"n\"]]"),
        ("auth", auth),
        ("headers", headers),
    ] {
        fields.texts.insert(name, text.into());
    }
    fields.integers = [("timeout_ms", 5_000), ("retries", 0)].into_iter().chain(integers.iter().copied()).collect();
    let inputs = if auth == "input" { 2 } else { 1 };
    let signature = Signature { name: "node".into(), inputs, outputs: vec![Some(ElementType::Float32)] };
    (fields, signature)
}

/// An input of the node that has these bytes.
pub fn floats(bytes: &[u8]) -> InputTensor<'_> {
    InputTensor { element: ElementType::Float32, shape: vec![bytes.len() as i64 / 4], data: InputData::Raw(bytes) }
}

pub fn run(call: &Call) -> Result<Vec<OutputTensor>, Failure> {
    call.run(None, &[input()])
}

/// What the node takes.
pub fn input() -> InputTensor<'static> {
    InputTensor { element: ElementType::Float32, shape: vec![2], data: InputData::Raw(&[0; 8]) }
}

pub fn values(outputs: &[OutputTensor]) -> Vec<f32> {
    let OutputData::Raw(chunks) = &outputs[0].data else { panic!("strings") };
    chunks.join().chunks(4).map(|bytes| f32::from_ne_bytes(bytes.try_into().unwrap())).collect()
}
