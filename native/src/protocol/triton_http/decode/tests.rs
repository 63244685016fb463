use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::element::{ELEMENTS, ElementType};
use crate::shape::Shape;
use crate::tensor::{OutputData, element_count};

fn declared(outputs: &[(&str, ElementType)]) -> Vec<DeclaredOutput> {
    let output = |(name, element): &(&str, ElementType)| DeclaredOutput {
        name: (*name).into(),
        element: *element,
        shape: Shape::UNKNOWN,
        is_blob: false,
    };
    outputs.iter().map(output).collect()
}

fn response(header: &[u8], tail: &[u8]) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(HEADER_LENGTH, HeaderValue::from(header.len()));
    let mut body = Chunks::from(Bytes::copy_from_slice(header));
    // Two pieces that split the tensors somewhere.
    let (front, back) = tail.split_at(tail.len() / 3);
    body.push(Bytes::copy_from_slice(front));
    body.push(Bytes::copy_from_slice(back));
    Response { status: StatusCode::OK, headers, body, ..Response::default() }
}

fn decode(header: &Value, tail: &[u8], wanted: &[(&str, ElementType)]) -> Result<Vec<OutputTensor>, Problem> {
    outputs(&response(header.to_string().as_bytes(), tail), &declared(wanted))
}

fn code(header: &Value, tail: &[u8], wanted: &[(&str, ElementType)]) -> Code {
    decode(header, tail, wanted).unwrap_err().code
}

fn raw(tensor: &OutputTensor) -> Vec<u8> {
    match &tensor.data {
        OutputData::Raw(chunks) => chunks.join().to_vec(),
        OutputData::Text(_) => panic!("strings"),
    }
}

fn binary(name: &str, datatype: &str, shape: impl Into<Value>, size: impl Into<Value>) -> Value {
    json!({"name": name, "datatype": datatype, "shape": shape.into(), "parameters": {"binary_data_size": size.into()}})
}

fn header(outputs: Vec<Value>) -> Value {
    json!({"model_name": "m", "model_version": "1", "outputs": outputs})
}

#[test]
fn the_one_string_of_a_blob_comes_out_as_its_bytes() {
    let mut declared = declared(&[("y", ElementType::UInt8)]);
    declared[0].is_blob = true;
    let read = |output: Value, tail: &[u8]| {
        outputs(&response(header(vec![output]).to_string().as_bytes(), tail), &declared)
            .map(|outputs| outputs[0].clone())
    };
    let jpeg = read(binary("y", "BYTES", vec![1, 1], 7), b"\x03\0\0\0\xff\0\xd8").unwrap();
    assert_eq!(
        (jpeg.element, jpeg.shape.as_slice(), raw(&jpeg)),
        (ElementType::UInt8, &[3][..], b"\xff\0\xd8".to_vec())
    );
    for data in [json!(["\u{e9}\u{0}"]), json!([["\u{e9}\u{0}"]])] {
        let shape = if data[0].is_array() { vec![1, 1] } else { vec![1] };
        let text = read(json!({"name": "y", "datatype": "BYTES", "shape": shape, "data": data}), b"").unwrap();
        assert_eq!(raw(&text), "\u{e9}\u{0}".as_bytes());
    }
    for (output, tail, code) in [
        (binary("y", "BYTES", vec![2], 10), &b"\x01\0\0\0a\x01\0\0\0b"[..], Code::OutputShape),
        (binary("y", "BYTES", vec![1], 10), b"\x01\0\0\0a\x01\0\0\0b", Code::OutputShape),
        (binary("y", "BYTES", vec![1], 4), b"\x01\0\0\0", Code::OutputShape),
        (binary("y", "UINT8", vec![1], 1), b"a", Code::OutputType),
    ] {
        assert_eq!(read(output, tail).unwrap_err().code, code);
    }
}

#[test]
fn outputs_come_in_their_declared_order_and_others_are_skipped() {
    let header = header(vec![
        binary("extra", "FP8", vec![3], 3),
        binary("b", "INT16", vec![1, 2], 4),
        json!({"name": "a", "datatype": "FP32", "shape": [1], "data": [0.5]}),
        binary("more", "BYTES", vec![9], 2),
    ]);
    let wanted = [("a", ElementType::Float32), ("b", ElementType::Int16)];
    let outputs = decode(&header, b"xxx\x01\0\x02\0yy", &wanted).unwrap();
    assert_eq!((outputs[0].shape.as_slice(), raw(&outputs[0])), (&[1][..], 0.5f32.to_ne_bytes().to_vec()));
    assert_eq!((outputs[1].shape.as_slice(), raw(&outputs[1])), (&[1, 2][..], vec![1, 0, 2, 0]));
}

#[test]
fn a_missing_or_doubled_output_is_refused() {
    let one = binary("y", "BOOL", vec![1], 1);
    assert_eq!(code(&header(vec![]), b"", &[("y", ElementType::Bool)]), Code::Answer);
    assert_eq!(code(&header(vec![one.clone(), one]), b"\0\0", &[("y", ElementType::Bool)]), Code::Answer);
}

#[test]
fn another_type_than_the_declared_is_refused() {
    let double = || header(vec![binary("y", "FP64", vec![1], 8)]);
    assert_eq!(code(&double(), &[0; 8], &[("y", ElementType::Float32)]), Code::OutputType);
    assert_eq!(
        code(&header(vec![binary("y", "FP8", vec![1], 1)]), b"\0", &[("y", ElementType::Float32)]),
        Code::OutputType
    );
}

#[test]
fn shapes_that_lie_are_refused() {
    let wanted = [("y", ElementType::Float32)];
    for shape in [
        json!([-1]),
        json!([2]),
        json!([]),
        json!([i64::MAX, 4]),
        json!([4_611_686_018_427_387_904_i64, 4]),
        json!([9_223_372_036_854_775_808_u64]),
        json!([0, -1]),
    ] {
        let size = if shape == json!([]) { 8 } else { 4 };
        let answer = header(vec![binary("y", "FP32", shape.clone(), size)]);
        assert_eq!(code(&answer, &[0; 8][..size], &wanted), Code::OutputShape, "{shape}");
    }
    let short = header(vec![json!({"name": "y", "datatype": "FP32", "shape": [3], "data": [1, 2]})]);
    assert_eq!(code(&short, b"", &wanted), Code::OutputShape);
}

#[test]
fn a_shape_of_very_many_dimensions_is_refused() {
    let answer = header(vec![binary("y", "BOOL", vec![1; 65], 1)]);
    assert_eq!(code(&answer, &[0], &[("y", ElementType::Bool)]), Code::OutputShape);
}

#[test]
fn sizes_that_lie_are_refused() {
    let wanted = [("y", ElementType::Float32)];
    let four = || header(vec![binary("y", "FP32", vec![1], 4)]);
    assert_eq!(code(&four(), b"\0\0\0", &wanted), Code::CutShort);
    assert_eq!(code(&four(), b"\0\0\0\0\0", &wanted), Code::Answer);
    assert_eq!(code(&header(vec![binary("y", "FP32", vec![1], u64::MAX)]), b"\0\0\0\0", &wanted), Code::CutShort);
    assert_eq!(code(&header(vec![binary("y", "FP32", vec![1], -4)]), b"\0\0\0\0", &wanted), Code::Answer);
    let mut longer = response(b"{}", b"");
    longer.headers.insert(HEADER_LENGTH, HeaderValue::from_static("3"));
    assert_eq!(outputs(&longer, &[]).unwrap_err().code, Code::CutShort);
    longer.headers.insert(HEADER_LENGTH, HeaderValue::from_static("-3"));
    assert_eq!(outputs(&longer, &[]).unwrap_err().code, Code::Answer);
}

#[test]
fn malformed_headers_are_refused() {
    for text in [
        "",
        "[]",
        "{}",
        "null",
        "{\"outputs\": 1}",
        "{\"outputs\": [{}]}",
        "<html></html>",
        "{\"outputs\": []",
        "\u{feff}{}",
    ] {
        assert_eq!(outputs(&response(text.as_bytes(), b""), &[]).unwrap_err().code, Code::Answer, "{text}");
    }
    assert_eq!(outputs(&response(b"\xff\xfe", b""), &[]).unwrap_err().code, Code::Answer);
}

#[test]
fn strings_are_checked() {
    let wanted = [("y", ElementType::String)];
    let strings = |count: i64, bytes: &[u8]| {
        decode(&header(vec![binary("y", "BYTES", vec![count], bytes.len())]), bytes, &wanted)
    };
    let outputs = strings(2, b"\x03\0\0\0a\0b\0\0\0\0").unwrap();
    let OutputData::Text(text) = &outputs[0].data else { panic!("numbers") };
    assert_eq!(text.iter().collect::<Vec<_>>(), [&b"a\0b"[..], b""]);
    assert_eq!(strings(1, b"\x02\0\0\0\xff\xff").unwrap_err().code, Code::Answer);
    assert_eq!(strings(1, b"\xff\xff\xff\xffab").unwrap_err().code, Code::OutputShape);
    assert_eq!(strings(1, b"\x01\0\0").unwrap_err().code, Code::OutputShape);
    assert_eq!(strings(3, b"\0\0\0\0").unwrap_err().code, Code::OutputShape);
    assert!(strings(0, b"").is_ok());
}

#[test]
fn a_bool_is_zero_or_one() {
    let answer = header(vec![binary("y", "BOOL", vec![2], 2)]);
    assert!(decode(&answer, &[0, 1], &[("y", ElementType::Bool)]).is_ok());
    assert_eq!(code(&answer, &[0, 2], &[("y", ElementType::Bool)]), Code::Answer);
}

#[test]
fn a_failure_that_comes_as_a_success_is_told_in_the_words_of_the_server() {
    for text in [
        r#"{"error": "the model is busy"}"#,
        r#"{"error": {"message": "the model is busy"}}"#,
        r#"{"message": "the model is busy"}"#,
        r#"{"error": "the model is busy", "outputs": []}"#,
    ] {
        let problem = outputs(&response(text.as_bytes(), b""), &[]).unwrap_err();
        assert_eq!(problem.code, Code::Answer);
        assert!(problem.message.ends_with("status 200: the model is busy"), "{}", problem.message);
    }
    assert!(outputs(&response(br#"{"outputs": [], "error": null, "model_name": "error"}"#, b""), &[]).is_ok());
}

#[test]
fn a_page_is_no_answer_and_any_other_type_says_nothing() {
    let mut html = response(br#"{"outputs": []}"#, b"");
    html.headers.insert("content-type", HeaderValue::from_static("text/html; charset=utf-8"));
    assert_eq!(outputs(&html, &[]).unwrap_err().code, Code::Answer);
    html.headers.insert("content-type", HeaderValue::from_static("text/plain"));
    assert!(outputs(&html, &[]).is_ok());
}

fn element_type() -> impl Strategy<Value = ElementType> {
    proptest::sample::select(
        ELEMENTS.iter().map(|row| row.0).filter(|element| *element != ElementType::String).collect::<Vec<_>>(),
    )
}

proptest! {
    #[test]
    fn numbers_of_every_type_come_back_bit_by_bit(
        element in element_type(),
        shape in proptest::collection::vec(0i64..4, 0..4),
        bytes in proptest::collection::vec(any::<u8>(), 64 * 8),
    ) {
        let size = element_count(&shape).unwrap() * element.size();
        let data: Vec<u8> = bytes[..size].iter().map(|byte| if element == ElementType::Bool { byte & 1 } else { *byte }).collect();
        let answer = header(vec![binary("y", kserve::datatype(element).unwrap(), shape.clone(), size)]);
        let outputs = decode(&answer, &data, &[("y", element)]).unwrap();
        prop_assert_eq!(&outputs[0].shape, &shape);
        prop_assert_eq!(raw(&outputs[0]), data);
    }

    #[test]
    fn arbitrary_bodies_never_panic(
        header in proptest::collection::vec(any::<u8>(), 0..100),
        tail in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let _ = outputs(&response(&header, &tail), &declared(&[("y", ElementType::Float32)]));
    }

    #[test]
    fn arbitrary_fields_never_panic(
        datatype in proptest::sample::select(vec!["BOOL", "FP32", "BYTES", "BF16", "INT64", "X", ""]),
        element in proptest::sample::select(vec![ElementType::Bool, ElementType::Float32, ElementType::String, ElementType::BFloat16]),
        shape in proptest::collection::vec(any::<i64>(), 0..5),
        size in proptest::option::of(any::<u64>()),
        data in proptest::option::of(any::<String>()),
        tail in proptest::collection::vec(any::<u8>(), 0..50),
    ) {
        let output = json!({"name": "y", "datatype": datatype, "shape": shape, "data": data, "parameters": {"binary_data_size": size}});
        if let Ok(outputs) = decode(&header(vec![output]), &tail, &[("y", element)]) {
            prop_assert!(element_count(&outputs[0].shape).is_some());
        }
    }
}
