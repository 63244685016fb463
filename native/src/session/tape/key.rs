//! What makes two requests equal.

use ring::digest::SHA256;

use crate::node::Node;
use crate::session::fingerprint::Print;
use crate::tensor::InputTensor;

/// The fingerprint of a request: protocol, endpoint, the protocol's attributes, names and types on the wire, and
/// the tensors. The node's own name and its token have no part in it.
pub fn of(node: &Node, inputs: &[InputTensor]) -> String {
    // What was recorded holds for the name, wherever that leads.
    let place = if node.places.name.is_empty() { &node.endpoint.text } else { &node.places.name };
    let mut print = asked(node, place);
    inputs.iter().for_each(|input| print.tensor(input));
    hex(&print.finish()[..16])
}

/// What all requests of a node to `place` have in common, but for credentials. Records hold hashes of these very parts.
pub fn asked(node: &Node, place: &str) -> Print {
    let mut print = Print::default();
    print.add(node.protocol.name.as_bytes());
    print.add(place.as_bytes());
    for (name, value) in node.attributes.iter() {
        if !value.is_empty() {
            print.add(name.as_bytes());
            print.add(value.as_bytes());
        }
    }
    // Constant options are few and hold no tensors, so that their textual form will do. Records name the type so.
    print.add(format!("Settings({:?})", node.options.values()).as_bytes());
    node.option_inputs.iter().for_each(|option| print.add(option.name().as_bytes()));
    // Of the headers that hold credentials neither name nor value: whose call it was says nothing of what was asked.
    for (name, value) in node.headers.constant() {
        print.add(name.as_str().as_bytes());
        print.add(value.as_bytes());
    }
    print.add(b"outputs");
    for output in &node.outputs {
        print.add(output.name.as_bytes());
        print.add(output.element.name().as_bytes());
    }
    print.add(b"inputs");
    node.inputs.iter().for_each(|declared| print.add(declared.name.as_bytes()));
    print
}

/// The first eight bytes of a text's hash.
pub fn check(text: &str) -> String {
    hex(&ring::digest::digest(&SHA256, text.as_bytes()).as_ref()[..8])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
