//! A node's attributes, as a file writes them, and the request that they make.
#![no_main]

use libfuzzer_sys::fuzz_target;
use onnxhybrid::element::ElementType;
use onnxhybrid::node::{Node, Signature, output_types};
use onnxhybrid::protocol::Asked;
use onnxhybrid_fuzz::Fields;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let fields = Fields::of(text);
    let _ = output_types(&fields);
    for (inputs, elements) in
        [(1, &[ElementType::Float32][..]), (2, &[ElementType::String]), (1, &[ElementType::Int64; 2])]
    {
        let outputs = elements.iter().copied().map(Some).collect();
        let Ok(node) = Node::parse(&fields, Signature { name: "node".into(), inputs, outputs }) else { continue };
        assert_eq!(node.emptied().len(), node.outputs.len());
        let Ok(protocol) = node.prepare() else { continue };
        let asked = Asked { options: node.options.clone(), rows: 1 };
        if let Ok(request) = protocol.request(&[], &asked) {
            assert!(request.path.as_str().starts_with('/'));
        }
    }
});
