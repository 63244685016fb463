use http::{HeaderMap, Method};
use proptest::prelude::*;
use serde_json::json;

use super::super::encode::Template;
use super::*;
use crate::element::ELEMENTS;
use crate::protocol::declared::{DeclaredInput, DeclaredOutput};
use crate::protocol::kserve::json_data;
use crate::shape::Shape;

fn request<'a>(names: &[&str], tensors: &[InputTensor<'a>]) -> Request<'a> {
    let input = |name: &&str| DeclaredInput { name: (*name).into(), shape: Shape::UNKNOWN };
    let inputs: Vec<_> = names.iter().map(input).collect();
    let outputs =
        [DeclaredOutput { name: "z".into(), element: ElementType::Float32, shape: Shape::UNKNOWN, is_blob: false }];
    let (body, length) = Template::new(&inputs, &outputs).fill(tensors, None).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(HEADER_LENGTH, HeaderValue::from(length));
    headers.insert("authorization", HeaderValue::from_static("Bearer x"));
    Request { method: Method::POST, path: "/v2/models/m/infer".parse().unwrap(), headers, body }
}

fn body(names: &[&str], tensors: &[InputTensor]) -> Result<Value, Code> {
    let plain = to_json(&request(names, tensors)).map_err(|problem| problem.code)?;
    Ok(serde_json::from_slice(&plain.body.join()).unwrap())
}

fn raw(element: ElementType, shape: &[i64], bytes: &'static [u8]) -> InputTensor<'static> {
    InputTensor { element, shape: shape.to_vec(), data: InputData::Raw(bytes) }
}

#[test]
fn the_same_tensors_are_lists_and_the_outputs_are_wanted_so() {
    let text: InputData = InputData::Text(["a", "", "é\0"].into_iter().collect());
    let tensors = [
        raw(ElementType::UInt8, &[2, 2], &[1, 2, 3, 255]),
        InputTensor { element: ElementType::String, shape: vec![3, 1], data: text },
        raw(ElementType::Float32, &[0, 4], &[]),
        raw(ElementType::Bool, &[], &[1]),
    ];
    assert_eq!(
        body(&["x\"y", "t", "e", "s"], &tensors).unwrap(),
        json!({
            "inputs": [
                {"name": "x\"y", "shape": [2, 2], "datatype": "UINT8", "data": [1, 2, 3, 255]},
                {"name": "t", "shape": [3, 1], "datatype": "BYTES", "data": ["a", "", "é\0"]},
                {"name": "e", "shape": [0, 4], "datatype": "FP32", "data": []},
                {"name": "s", "shape": [], "datatype": "BOOL", "data": [true]},
            ],
            "outputs": [{"name": "z"}],
        })
    );
}

#[test]
fn a_request_in_json_has_the_headers_of_the_other_but_those_of_its_form() {
    let plain = to_json(&request(&["x"], &[raw(ElementType::Int8, &[1], &[1])])).unwrap();
    assert_eq!(plain.headers["content-type"], "application/json");
    assert_eq!(plain.headers["authorization"], "Bearer x");
    assert_eq!(header_length(&plain), None);
}

#[test]
fn a_tensor_that_is_lent_is_read_from_where_it_lies() {
    let large = vec![7u8; kserve::binary::LENT];
    let lent = InputTensor { element: ElementType::UInt8, shape: vec![1], data: InputData::Raw(&large) };
    let read =
        body(&["a", "b", "c"], &[raw(ElementType::UInt8, &[1], &[1]), lent, raw(ElementType::UInt8, &[1], &[2])]);
    let read = read.unwrap();
    let data = |index: usize| read["inputs"][index]["data"].as_array().unwrap();
    assert_eq!((data(0).len(), data(1).len(), &data(2)[0]), (1, large.len(), &json!(2)));
    assert!(data(1).iter().all(|value| *value == 7));
}

#[test]
fn what_json_cannot_carry_is_refused() {
    for (element, bytes) in [
        (ElementType::Float32, f32::NAN.to_ne_bytes().to_vec()),
        (ElementType::Float64, f64::INFINITY.to_ne_bytes().to_vec()),
        (ElementType::Float16, 0x7c00u16.to_ne_bytes().to_vec()),
    ] {
        let tensor = InputTensor { element, shape: vec![1], data: InputData::Raw(&bytes) };
        assert_eq!(body(&["x"], &[tensor]), Err(Code::Input));
    }
    let text: InputData = InputData::Text([b"\xff"].into_iter().collect());
    assert_eq!(
        body(&["x"], &[InputTensor { element: ElementType::String, shape: vec![1], data: text }]),
        Err(Code::Input)
    );
}

proptest! {
    #[test]
    fn numbers_are_read_as_they_were_written(
        kind in 0..ELEMENTS.len(),
        words in proptest::collection::vec(any::<[u8; 8]>(), 0..20),
    ) {
        let element = ELEMENTS[kind].0;
        prop_assume!(element != ElementType::String);
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| &word[..element.size()]).copied().collect();
        if element == ElementType::Bool {
            bytes.iter_mut().for_each(|byte| *byte &= 1);
        }
        let tensor = InputTensor { element, shape: vec![1], data: InputData::Raw(&bytes) };
        let plain = match to_json(&request(&["x"], &[tensor])) {
            Err(problem) => {
                prop_assert_eq!(problem.code, Code::Input);
                return Ok(());
            }
            Ok(plain) => plain.body.join(),
        };
        let text = std::str::from_utf8(&plain).unwrap();
        let data = text.split("\"data\":").nth(1).unwrap();
        let data = &data[..=data.find(']').unwrap()];
        prop_assert_eq!(json_data::read(data, element).unwrap().bytes, bytes);
    }
}

#[test]
fn a_string_that_is_lent_is_read_together_with_its_length() {
    let lent = vec![b'a'; 1 << 17];
    let data = InputData::Blob(&lent);
    let tensors = [InputTensor { element: ElementType::String, shape: vec![1], data }];
    let request = request(&["x"], &tensors);
    assert!(request.body.pieces().count() > 1);
    let plain: Value = serde_json::from_slice(&to_json(&request).unwrap().body.join()).unwrap();
    assert_eq!(plain["inputs"][0]["data"][0].as_str().map(str::len), Some(lent.len()));
}
