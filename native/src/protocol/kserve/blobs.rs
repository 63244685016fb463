//! Bytes that are no text: a uint8 tensor of the graph that is the one string of a BYTES tensor on the wire.
//!
//! A tensor of strings holds text in ONNX, and BYTES any bytes. The attribute [`ATTRIBUTE`] says which tensors are such.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::element::ElementType;
use crate::failure::{Code, Problem, malformed};
use crate::protocol::declared::{Declared, DeclaredOutput};
use crate::shape::Shape;
use crate::tensor::{InputData, InputTensor};

/// The attribute: a JSON object, the tensor's name on the wire -> its shape there, whose sizes are all 1.
pub const ATTRIBUTE: &str = "bytes_tensors";

/// The inputs of a node that are blobs.
pub struct Blobs {
    /// Each input's name, and its shape on the wire if it is a blob.
    inputs: Vec<(String, Option<Vec<i64>>)>,
}

/// What a node says of its inputs and outputs.
pub fn read(node: &Declared) -> Result<(Blobs, Vec<DeclaredOutput>), Problem> {
    let mut shapes = shapes(node.attributes.text(ATTRIBUTE))?;
    let inputs = node.inputs.iter().map(|input| (input.name.clone(), shapes.remove(&input.name))).collect();
    let outputs = node.outputs.iter().map(|output| declared(output, shapes.remove(&output.name).is_some()));
    let outputs = outputs.collect::<Result<_, _>>()?;
    match shapes.into_keys().min() {
        Some(name) => Err(malformed(format!("{ATTRIBUTE} names \"{name}\", which is no input and no output"))),
        None => Ok((Blobs { inputs }, outputs)),
    }
}

/// The tensors that the attribute's `text` names; none where it is malformed, which [`read`] refuses.
pub fn names(text: &str) -> HashSet<String> {
    shapes(text).unwrap_or_default().into_keys().collect()
}

fn shapes(text: &str) -> Result<HashMap<String, Vec<i64>>, Problem> {
    if text.is_empty() {
        return Ok(HashMap::new());
    }
    let shapes: HashMap<String, Vec<i64>> =
        serde_json::from_str(text).map_err(|_| malformed(format!("{ATTRIBUTE} is no JSON object of shapes")))?;
    let of_one = |shape: &Vec<i64>| shape.iter().all(|size| *size == 1);
    match shapes.iter().find(|(_, shape)| !of_one(shape)) {
        Some((name, shape)) => Err(malformed(format!(
            "{ATTRIBUTE} gives \"{name}\" the shape {shape:?}, which is not that of one element"
        ))),
        None => Ok(shapes),
    }
}

fn declared(output: &DeclaredOutput, is_blob: bool) -> Result<DeclaredOutput, Problem> {
    if is_blob && output.element != ElementType::UInt8 {
        let (name, element) = (&output.name, output.element.name());
        return Err(malformed(format!("output \"{name}\" is of {ATTRIBUTE} and {element}, not uint8")));
    }
    Ok(DeclaredOutput { is_blob, ..output.clone() })
}

impl Blobs {
    /// The inputs as they travel.
    pub fn travelling<'t, 'a>(&self, tensors: &'t [InputTensor<'a>]) -> Result<Cow<'t, [InputTensor<'a>]>, Problem> {
        if self.inputs.iter().all(|(_, shape)| shape.is_none()) {
            return Ok(Cow::Borrowed(tensors));
        }
        self.inputs.iter().zip(tensors).map(|((name, shape), tensor)| blob(name, shape.as_ref(), tensor)).collect()
    }
}

fn blob<'a>(name: &str, shape: Option<&Vec<i64>>, tensor: &InputTensor<'a>) -> Result<InputTensor<'a>, Problem> {
    let Some(shape) = shape else { return Ok(tensor.clone()) };
    match &tensor.data {
        InputData::Raw(bytes) if tensor.element == ElementType::UInt8 && tensor.shape.len() == 1 => {
            Ok(InputTensor { element: ElementType::String, shape: shape.clone(), data: InputData::Blob(bytes) })
        }
        _ => {
            let (element, rank) = (tensor.element.name(), tensor.shape.len());
            let message = format!("input \"{name}\" is {element} of {rank} dimensions, not uint8 of one, its bytes");
            Err(Problem::new(Code::Input, message))
        }
    }
}

/// An output as it is declared, or as the tensor of strings that it is on the wire.
pub fn on_wire(output: &DeclaredOutput) -> Cow<'_, DeclaredOutput> {
    if !output.is_blob {
        return Cow::Borrowed(output);
    }
    Cow::Owned(DeclaredOutput { element: ElementType::String, shape: Shape::UNKNOWN, ..output.clone() })
}

/// What to do where an output called `name` is BYTES, and not text.
pub fn way(name: &str) -> String {
    format!("; bytes come as uint8 where {ATTRIBUTE} has the output: oh.remote.triton(…, bytes=[\"{name}\"])")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::declared::OwnAttributes;
    use crate::protocol::declared::tests::Parts;
    use crate::protocol::kserve::binary;
    use crate::tensor::PackedStrings;

    fn parts(attribute: &str, output: ElementType) -> Parts {
        let mut parts = Parts::new("http://h", &["image", "x"], &[("small", output)]);
        parts.attributes = OwnAttributes::from([(ATTRIBUTE, attribute)]);
        parts
    }

    fn bytes(data: &[u8]) -> InputTensor<'_> {
        InputTensor { element: ElementType::UInt8, shape: vec![data.len() as i64], data: InputData::Raw(data) }
    }

    #[test]
    fn what_the_attribute_names_is_one_element_and_the_rest_stays_as_it_is() {
        let parts = parts(r#"{"image": [1, 1], "small": [1]}"#, ElementType::UInt8);
        let (blobs, outputs) = read(&parts.declared()).unwrap();
        let tensors = [bytes(b"\xff\0"), bytes(b"ab")];
        let sent = blobs.travelling(&tensors).unwrap();
        assert_eq!((sent[0].element, &sent[0].shape), (ElementType::String, &vec![1, 1]));
        assert_eq!((sent[1].element, &sent[1].shape), (ElementType::UInt8, &vec![2]));
        assert!(outputs[0].is_blob);
        assert_eq!(on_wire(&outputs[0]).element, ElementType::String);
    }

    #[test]
    fn a_node_without_the_attribute_sends_its_tensors_themselves() {
        let parts = parts("", ElementType::Float32);
        let (blobs, outputs) = read(&parts.declared()).unwrap();
        let tensors = [bytes(b"a"), bytes(b"b")];
        assert!(matches!(blobs.travelling(&tensors), Ok(Cow::Borrowed(_))));
        assert!(!outputs[0].is_blob);
    }

    #[test]
    fn an_attribute_that_fits_no_tensor_is_malformed() {
        for attribute in [
            "[]",
            "{",
            r#"{"image": 1}"#,
            r#"{"image": [2]}"#,
            r#"{"image": [-1]}"#,
            r#"{"y": [1]}"#,
            r#"{"small": [1]}"#,
        ] {
            let problem = read(&parts(attribute, ElementType::Int8).declared()).err().expect(attribute);
            assert_eq!(problem.code, Code::Node, "{attribute}");
        }
    }

    #[test]
    fn other_than_a_row_of_bytes_is_no_element() {
        let (blobs, _) = read(&parts(r#"{"x": []}"#, ElementType::UInt8).declared()).unwrap();
        for (element, shape) in [(ElementType::Int8, vec![1]), (ElementType::UInt8, vec![1, 1])] {
            let tensors = [bytes(b""), InputTensor { element, shape, data: InputData::Raw(b"a") }];
            assert_eq!(blobs.travelling(&tensors).unwrap_err().code, Code::Input);
        }
    }

    proptest! {
        #[test]
        fn an_element_is_its_bytes_behind_their_length(
            data in proptest::collection::vec(any::<u8>(), 0..100),
            length in prop_oneof![Just(0), Just(binary::LENT - 5), Just(binary::LENT)],
        ) {
            let data = [data, vec![7; length]].concat();
            let blob = InputTensor { element: ElementType::String, shape: vec![1], data: InputData::Blob(&data) };
            let mut written = Vec::new();
            binary::write(&mut written, &blob);
            prop_assert_eq!(binary::size("x", &blob).unwrap(), written.len());
            prop_assert_eq!(binary::body(Vec::new(), &[blob]).join(), written.clone());
            prop_assert_eq!(PackedStrings::only(&Bytes::from(written)).unwrap(), data);
        }
    }
}
