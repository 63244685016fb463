//! What makes two requests equal.

use ring::digest::{Context, SHA256};

use crate::node::Node;
use crate::tensor::{InputData, InputTensor};

/// The fingerprint of a request: protocol, endpoint, the protocol's attributes, names and types on the wire, and
/// the tensors. The node's own name and its token have no part in it.
pub fn of(node: &Node, inputs: &[InputTensor]) -> String {
    let mut print = Print(Context::new(&SHA256));
    print.add(node.protocol.name.as_bytes());
    // What was recorded holds for the name, wherever that leads.
    let place = if node.places.name.is_empty() { &node.endpoint.text } else { &node.places.name };
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
    inputs.iter().for_each(|input| print.tensor(input));
    hex(&print.0.finish().as_ref()[..16])
}

/// The first eight bytes of a text's hash.
pub fn check(text: &str) -> String {
    hex(&ring::digest::digest(&SHA256, text.as_bytes()).as_ref()[..8])
}

struct Print(Context);

impl Print {
    /// Each part stands behind its length, so that no two lists of parts are the same bytes.
    fn add(&mut self, part: &[u8]) {
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    fn tensor(&mut self, tensor: &InputTensor) {
        self.add(tensor.element.name().as_bytes());
        self.0.update(&(tensor.shape.len() as u64).to_le_bytes());
        tensor.shape.iter().for_each(|size| self.0.update(&size.to_le_bytes()));
        match &tensor.data {
            InputData::Raw(bytes) | InputData::Blob(bytes) => self.add(bytes),
            InputData::Text(strings) => strings.iter().for_each(|string| self.add(string)),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::ElementType;

    fn print(parts: &[&str]) -> String {
        let mut print = Print(Context::new(&SHA256));
        parts.iter().for_each(|part| print.add(part.as_bytes()));
        hex(print.0.finish().as_ref())
    }

    fn tensor(shape: &[i64], data: InputData) -> String {
        let element = if matches!(data, InputData::Text(_)) { ElementType::String } else { ElementType::UInt8 };
        let mut print = Print(Context::new(&SHA256));
        print.tensor(&InputTensor { element, shape: shape.to_vec(), data });
        hex(print.0.finish().as_ref())
    }

    #[test]
    fn parts_do_not_run_into_one_another() {
        assert_ne!(print(&["ab", "c"]), print(&["a", "bc"]));
        assert_ne!(print(&["a", ""]), print(&["a"]));
        let text = |items: &[&str]| tensor(&[items.len() as i64], InputData::Text(items.iter().collect()));
        assert_ne!(text(&["ab", "c"]), text(&["a", "bc"]));
        assert_eq!(text(&["a", "b"]), text(&["a", "b"]));
    }

    #[test]
    fn one_content_in_two_shapes_is_two_tensors() {
        assert_ne!(tensor(&[2, 3], InputData::Raw(b"abcdef")), tensor(&[3, 2], InputData::Raw(b"abcdef")));
        assert_ne!(tensor(&[6], InputData::Raw(b"abcdef")), tensor(&[6], InputData::Raw(b"abcdeg")));
    }
}
