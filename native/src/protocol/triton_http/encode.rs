//! Inputs to a request's body: a JSON header, then the bytes of every tensor in order.

use std::io::Write;

use serde_json::json;

use crate::failure::Problem;
use crate::protocol::declared::{DeclaredInput, DeclaredOutput};
use crate::protocol::kserve;
use crate::tensor::InputTensor;
use crate::transport::Body;

/// The parts of the JSON header that are the same for every request of a node.
pub(super) struct Template {
    inputs: Vec<Input>,
    /// From the end of the inputs to that of the outputs, before what the call adds and the header ends.
    tail: Vec<u8>,
}

struct Input {
    name: String,
    /// Up to the dimensions.
    head: Vec<u8>,
}

/// Bytes reserved for shape, datatype and size of one input in the header.
const ROOM: usize = 160;

impl Template {
    pub(super) fn new(inputs: &[DeclaredInput], outputs: &[DeclaredOutput]) -> Self {
        let wanted: Vec<_> =
            outputs.iter().map(|output| json!({"name": output.name, "parameters": {"binary_data": true}})).collect();
        Self {
            inputs: inputs.iter().map(Input::new).collect(),
            tail: format!("],\"outputs\":{}", json!(wanted)).into_bytes(),
        }
    }

    /// The body with these parameters of the request, a JSON object, and the length of its JSON header.
    pub(super) fn fill<'a>(
        &self,
        tensors: &[InputTensor<'a>],
        parameters: Option<&str>,
    ) -> Result<(Body<'a>, usize), Problem> {
        let sizes: Vec<usize> = self
            .inputs
            .iter()
            .zip(tensors)
            .map(|(input, tensor)| kserve::binary::size(&input.name, tensor))
            .collect::<Result<_, _>>()?;
        let header = self.tail.len() + self.inputs.iter().map(|input| input.head.len() + ROOM).sum::<usize>();
        let copied: usize = sizes.iter().filter(|size| **size < kserve::binary::LENT).sum();
        let mut body = Vec::with_capacity(header + copied);
        body.extend_from_slice(b"{\"inputs\":[");
        for (index, ((input, tensor), size)) in self.inputs.iter().zip(tensors).zip(&sizes).enumerate() {
            if index > 0 {
                body.push(b',');
            }
            input.write_header(&mut body, tensor, *size);
        }
        body.extend_from_slice(&self.tail);
        for part in parameters.map_or([""; 2], |parameters| [",\"parameters\":", parameters]) {
            body.extend_from_slice(part.as_bytes());
        }
        body.push(b'}');
        let header_length = body.len();
        Ok((kserve::binary::body(body, tensors), header_length))
    }
}

impl Input {
    fn new(input: &DeclaredInput) -> Self {
        Self { name: input.name.clone(), head: format!("{{\"name\":{},\"shape\":[", json!(input.name)).into_bytes() }
    }

    fn write_header(&self, body: &mut Vec<u8>, tensor: &InputTensor, size: usize) {
        body.extend_from_slice(&self.head);
        for (axis, dimension) in tensor.shape.iter().enumerate() {
            let comma = if axis > 0 { "," } else { "" };
            // Writing to a Vec cannot fail.
            let _ = write!(body, "{comma}{dimension}");
        }
        let datatype = kserve::datatype(tensor.element).unwrap_or_default();
        let _ = write!(body, "],\"datatype\":\"{datatype}\",\"parameters\":{{\"binary_data_size\":{size}}}}}");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::element::ElementType;
    use crate::shape::Shape;
    use crate::tensor::InputData;

    fn template(inputs: &[&str], outputs: &[&str]) -> Template {
        let inputs: Vec<_> =
            inputs.iter().map(|name| DeclaredInput { name: (*name).into(), shape: Shape::UNKNOWN }).collect();
        let output = |name: &&str| DeclaredOutput {
            name: (*name).into(),
            element: ElementType::Float32,
            shape: Shape::UNKNOWN,
            is_blob: false,
        };
        Template::new(&inputs, &outputs.iter().map(output).collect::<Vec<_>>())
    }

    #[test]
    fn the_header_describes_the_bytes_behind_it() {
        let numbers =
            InputTensor { element: ElementType::Int16, shape: vec![1, 2], data: InputData::Raw(&[1, 0, 2, 0]) };
        let strings: InputData = InputData::Text(["a", "", "b\0c"].into_iter().collect());
        let text = InputTensor { element: ElementType::String, shape: vec![3], data: strings };
        let (body, length) = template(&["x\"y", "t"], &["z"]).fill(&[numbers, text], None).unwrap();
        let body = body.join();
        let header: Value = serde_json::from_slice(&body[..length]).unwrap();
        assert_eq!(
            header,
            json!({
                "inputs": [
                    {"name": "x\"y", "shape": [1, 2], "datatype": "INT16", "parameters": {"binary_data_size": 4}},
                    {"name": "t", "shape": [3], "datatype": "BYTES", "parameters": {"binary_data_size": 16}},
                ],
                "outputs": [{"name": "z", "parameters": {"binary_data": true}}],
            })
        );
        assert_eq!(&body[length..], b"\x01\0\x02\0\x01\0\0\0a\0\0\0\0\x03\0\0\0b\0c");
    }

    #[test]
    fn empty_and_scalar_tensors_are_described_too() {
        let empty = InputTensor { element: ElementType::Float32, shape: vec![0, 4], data: InputData::Raw(&[]) };
        let scalar = InputTensor { element: ElementType::Bool, shape: vec![], data: InputData::Raw(&[1]) };
        let (body, length) = template(&["e", "s"], &[]).fill(&[empty, scalar], None).unwrap();
        let body = body.join();
        let header: Value = serde_json::from_slice(&body[..length]).unwrap();
        assert_eq!(header["inputs"][0]["shape"], json!([0, 4]));
        assert_eq!(header["inputs"][0]["parameters"]["binary_data_size"], 0);
        assert_eq!(header["inputs"][1]["shape"], json!([]));
        assert_eq!(&body[length..], [1]);
    }
}
