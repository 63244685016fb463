//! Inputs to a `ModelInferRequest`: the description of every tensor, then their bytes as `raw_input_contents`.

use crate::failure::Problem;
use crate::protocol::declared::{DeclaredInput, DeclaredOutput};
use crate::protocol::protobuf::{field_size, put_bytes, put_head, put_varint, varint_size};
use crate::protocol::{grpc, kserve};
use crate::tensor::InputTensor;

// ModelInferRequest
const MODEL_NAME: u8 = 1;
const MODEL_VERSION: u8 = 2;
const INPUTS: u8 = 5;
const OUTPUTS: u8 = 6;
const RAW_INPUT_CONTENTS: u8 = 7;
// InferInputTensor and InferRequestedOutputTensor
const NAME: u8 = 1;
const DATATYPE: u8 = 2;
const SHAPE: u8 = 3;

/// The parts of the message that are the same for every request of a node.
pub(super) struct Template {
    /// The model's name and version, and the outputs that are asked for.
    head: Vec<u8>,
    inputs: Vec<Input>,
}

struct Input {
    name: String,
    /// The field that holds the name.
    field: Vec<u8>,
}

/// What varies of one input: its sizes, and those of the fields around it.
struct Measured {
    datatype: &'static str,
    /// Bytes of the dimensions.
    shape: usize,
    /// Bytes of the `InferInputTensor`.
    description: usize,
    /// Bytes of the tensor.
    data: usize,
}

impl Template {
    pub(super) fn new(model: &str, version: &str, inputs: &[DeclaredInput], outputs: &[DeclaredOutput]) -> Self {
        let mut head = Vec::new();
        put_bytes(&mut head, MODEL_NAME, model.as_bytes());
        put_bytes(&mut head, MODEL_VERSION, version.as_bytes());
        for output in outputs {
            put_head(&mut head, OUTPUTS, field_size(output.name.len()));
            put_bytes(&mut head, NAME, output.name.as_bytes());
        }
        Self { head, inputs: inputs.iter().map(|input| Input::new(&input.name)).collect() }
    }

    /// The message behind its gRPC prefix; `parameters` are fields of it.
    pub(super) fn fill(&self, tensors: &[InputTensor], parameters: &[u8]) -> Result<Vec<u8>, Problem> {
        let pairs = || self.inputs.iter().zip(tensors);
        let sizes: Vec<Measured> = pairs().map(|(input, tensor)| input.measure(tensor)).collect::<Result<_, _>>()?;
        let fields = sizes.iter().map(|size| field_size(size.description) + field_size(size.data));
        let mut body = grpc::begin(self.head.len() + parameters.len() + fields.sum::<usize>())?;
        body.extend_from_slice(&self.head);
        body.extend_from_slice(parameters);
        for ((input, tensor), size) in pairs().zip(&sizes) {
            input.describe(&mut body, tensor, size);
        }
        for (tensor, size) in tensors.iter().zip(&sizes) {
            put_head(&mut body, RAW_INPUT_CONTENTS, size.data);
            kserve::binary::write(&mut body, tensor);
        }
        Ok(body)
    }
}

impl Input {
    fn new(name: &str) -> Self {
        let mut field = Vec::new();
        put_bytes(&mut field, NAME, name.as_bytes());
        Self { name: name.to_owned(), field }
    }

    fn measure(&self, tensor: &InputTensor) -> Result<Measured, Problem> {
        let datatype = kserve::datatype(tensor.element).unwrap_or_default();
        let shape = tensor.shape.iter().map(|size| varint_size(*size as u64)).sum();
        let description = self.field.len() + field_size(datatype.len()) + field_size(shape);
        Ok(Measured { datatype, shape, description, data: kserve::binary::size(&self.name, tensor)? })
    }

    fn describe(&self, body: &mut Vec<u8>, tensor: &InputTensor, size: &Measured) {
        put_head(body, INPUTS, size.description);
        body.extend_from_slice(&self.field);
        put_bytes(body, DATATYPE, size.datatype.as_bytes());
        put_head(body, SHAPE, size.shape);
        tensor.shape.iter().for_each(|size| put_varint(body, *size as u64));
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::element::ElementType;
    use crate::protocol::protobuf::Cursor;
    use crate::shape::Shape;
    use crate::tensor::{Chunks, InputData};

    fn template(inputs: &[&str], outputs: &[&str]) -> Template {
        let input = |name: &&str| DeclaredInput { name: (*name).into(), shape: Shape::UNKNOWN };
        let output = |name: &&str| DeclaredOutput {
            name: (*name).into(),
            element: ElementType::Float32,
            shape: Shape::UNKNOWN,
            is_blob: false,
        };
        let inputs: Vec<_> = inputs.iter().map(input).collect();
        Template::new("m", "1", &inputs, &outputs.iter().map(output).collect::<Vec<_>>())
    }

    /// The fields of a message of length-delimited fields.
    fn fields(message: &[u8]) -> Vec<(u32, Vec<u8>)> {
        let body = Chunks::from(Bytes::copy_from_slice(message));
        let read = |field: Result<_, _>| {
            let (number, value): (u32, crate::protocol::protobuf::Value) = field.unwrap();
            (number, value.length().unwrap().to_bytes().to_vec())
        };
        Cursor::new(&body).fields().map(read).collect()
    }

    #[test]
    fn a_request_names_the_model_describes_its_inputs_and_carries_their_bytes() {
        let numbers =
            InputTensor { element: ElementType::Int16, shape: vec![1, 300], data: InputData::Raw(&[1, 0, 2, 0]) };
        let strings: InputData = InputData::Text(["a", "", "b\0c"].into_iter().collect());
        let text = InputTensor { element: ElementType::String, shape: vec![3], data: strings };
        let body = template(&["x", "t"], &["z"]).fill(&[numbers, text], &[]).unwrap();
        assert_eq!(body[..5], [&[0][..], &u32::try_from(body.len() - 5).unwrap().to_be_bytes()].concat());
        let message = fields(&body[5..]);
        assert_eq!(message[0], (1, b"m".to_vec()));
        assert_eq!(message[1], (2, b"1".to_vec()));
        assert_eq!((message[2].0, fields(&message[2].1)), (6, vec![(1, b"z".to_vec())]));
        let described = vec![(1, b"x".to_vec()), (2, b"INT16".to_vec()), (3, vec![1, 0xac, 2])];
        assert_eq!((message[3].0, fields(&message[3].1)), (5, described));
        assert_eq!(fields(&message[4].1)[1], (2, b"BYTES".to_vec()));
        assert_eq!(message[5], (7, vec![1, 0, 2, 0]));
        assert_eq!(message[6], (7, b"\x01\0\0\0a\0\0\0\0\x03\0\0\0b\0c".to_vec()));
        assert_eq!(message.len(), 7);
    }

    #[test]
    fn empty_and_scalar_tensors_have_their_contents_too() {
        let empty = InputTensor { element: ElementType::Float32, shape: vec![0, 4], data: InputData::Raw(&[]) };
        let scalar = InputTensor { element: ElementType::Bool, shape: vec![], data: InputData::Raw(&[1]) };
        let message = fields(&template(&["e", "s"], &[]).fill(&[empty, scalar], &[]).unwrap()[5..]);
        assert_eq!(fields(&message[2].1)[2], (3, vec![0, 4]));
        assert_eq!(fields(&message[3].1)[2], (3, vec![]));
        assert_eq!(message[4..], [(7, vec![]), (7, vec![1])]);
    }

    proptest! {
        #[test]
        fn a_message_is_exactly_as_long_as_its_prefix_says(
            names in proptest::collection::vec(".{0,200}", 1..4),
            shape in proptest::collection::vec(0i64.., 0..6),
            data in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let tensors: Vec<_> = names
                .iter()
                .map(|_| InputTensor { element: ElementType::UInt8, shape: shape.clone(), data: InputData::Raw(&data) })
                .collect();
            let body = template(&names, &names).fill(&tensors, &[]).unwrap();
            prop_assert_eq!(body.len(), body.capacity());
            let raw: Vec<_> = fields(&body[5..]).into_iter().filter(|field| field.0 == 7).collect();
            prop_assert_eq!(raw, vec![(7, data.clone()); names.len()]);
        }
    }
}
