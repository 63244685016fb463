//! Nodes, and files that hold what a fuzzer gives.

use std::path::PathBuf;

use onnxhybrid::element::ElementType;
use onnxhybrid::node::{Attributes, Node, Signature};

/// The attributes of a node, as texts.
pub struct Fields(Vec<(String, String)>);

impl Attributes for Fields {
    fn text(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, text)| text.clone())
    }

    fn integer(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok().filter(|_| name.ends_with("_ms") || name == "retries")
    }
}

impl Fields {
    /// Of lines `name: text`.
    pub fn of(lines: &str) -> Self {
        let pair = |line: &str| line.split_once(": ").map(|(name, text)| (name.to_owned(), text.to_owned()));
        Self(lines.lines().filter_map(pair).collect())
    }
}

/// A node of this protocol with outputs of these types, of two rows each where they are known.
pub fn node(protocol: &str, elements: &[ElementType], more: &[(&str, &str)]) -> Node {
    let url = if protocol.ends_with("grpc") { "grpc://h" } else { "http://h" };
    let outputs: Vec<_> = (0..elements.len()).map(|index| format!("y{index}")).collect();
    let own = [
        ("protocol", protocol),
        ("endpoint", url),
        ("model", "m"),
        ("api_version", "2024-10-21"),
        ("input_names", r#"["x"]"#),
        ("output_names", &serde_json::json!(outputs).to_string()),
    ]
    .map(|(name, text)| (name.to_owned(), text.to_owned()));
    let more = more.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    let signature = Signature { name: "node".into(), inputs: 1, outputs: elements.iter().copied().map(Some).collect() };
    Node::parse(&Fields(more.chain(own).collect()), signature).unwrap_or_else(|problem| panic!("{}", problem.message))
}

/// A file that holds these bytes, in memory where the system has such a folder.
pub fn file(bytes: &[u8]) -> PathBuf {
    let folder = PathBuf::from("/dev/shm");
    let folder = if folder.is_dir() { folder } else { std::env::temp_dir() };
    let path = folder.join(format!("onnxhybrid-fuzz-{}", std::process::id()));
    std::fs::write(&path, bytes).unwrap();
    path
}

/// The bytes in pieces of this size at most.
pub fn pieces(bytes: &[u8], size: usize) -> impl Iterator<Item = &[u8]> {
    bytes.chunks(size.max(1))
}
