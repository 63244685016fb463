use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::shape::ShapeParser;

fn declared(element: ElementType, shape: Value) -> DeclaredOutput {
    DeclaredOutput { name: "y".into(), element, shape: ShapeParser::default().parse(&shape).unwrap(), is_blob: false }
}

fn text(element: ElementType, shape: &[i64], data: InputData) -> Result<String, Code> {
    let mut body = Vec::new();
    let tensor = InputTensor { element, shape: shape.to_vec(), data };
    write(&mut body, "x", &tensor).map_err(|problem| problem.code)?;
    Ok(String::from_utf8(body).unwrap())
}

fn raw(element: ElementType, shape: &[i64], bytes: &[u8]) -> Result<String, Code> {
    text(element, shape, InputData::Raw(bytes))
}

fn read_bytes(text: &str, element: ElementType) -> Result<(Vec<i64>, Vec<u8>), Code> {
    let tensor = read(text, &declared(element, Value::Null)).map_err(|problem| problem.code)?;
    let bytes = match tensor.data {
        OutputData::Raw(chunks) => chunks.join().to_vec(),
        OutputData::Text(strings) => strings.iter().flatten().copied().collect(),
    };
    Ok((tensor.shape, bytes))
}

#[test]
fn the_nesting_is_the_shape() {
    let bytes = [1u8, 2, 3, 4, 5, 6];
    for (shape, expected) in [
        (&[6][..], "[1,2,3,4,5,6]"),
        (&[2, 3], "[[1,2,3],[4,5,6]]"),
        (&[1, 3, 2], "[[[1,2],[3,4],[5,6]]]"),
        (&[6, 1], "[[1],[2],[3],[4],[5],[6]]"),
    ] {
        assert_eq!(raw(ElementType::UInt8, shape, &bytes).unwrap(), expected);
        assert_eq!(read_bytes(expected, ElementType::UInt8), Ok((shape.to_vec(), bytes.to_vec())));
    }
    assert_eq!(raw(ElementType::UInt8, &[], &[7]).unwrap(), "7");
    assert_eq!(read_bytes("7", ElementType::UInt8), Ok((vec![], vec![7])));
}

#[test]
fn empty_tensors_keep_what_their_lists_can_say() {
    for (shape, expected) in [(&[0][..], "[]"), (&[0, 4], "[]"), (&[2, 0], "[[],[]]"), (&[1, 0, 3], "[[]]")] {
        assert_eq!(raw(ElementType::Float32, shape, &[]).unwrap(), expected);
    }
    let shape_of = |text, shape| read(text, &declared(ElementType::Float32, shape)).unwrap().shape;
    assert_eq!(shape_of("[]", json!(null)), [0]);
    assert_eq!(shape_of("[]", json!(["n", 4])), [0, 4]);
    assert_eq!(shape_of("[[],[]]", json!([2, 0, "d"])), [2, 0, 0]);
}

#[test]
fn an_empty_tensor_of_absurd_size_is_refused() {
    for shape in [&[i64::MAX, 0][..], &[1 << 40, 1 << 40, 0], &[1 << 20, 2, 0]] {
        assert_eq!(raw(ElementType::Float32, shape, &[]), Err(Code::Input));
    }
    assert_eq!(raw(ElementType::Float32, &[0, i64::MAX], &[]).unwrap(), "[]");
}

#[test]
fn numbers_are_written_as_json_has_them() {
    assert_eq!(raw(ElementType::Bool, &[2], &[1, 0]).unwrap(), "[true,false]");
    assert_eq!(raw(ElementType::Int64, &[], &i64::MIN.to_ne_bytes()).unwrap(), "-9223372036854775808");
    assert_eq!(raw(ElementType::UInt64, &[], &u64::MAX.to_ne_bytes()).unwrap(), "18446744073709551615");
    assert_eq!(raw(ElementType::Float32, &[], &0.1f32.to_ne_bytes()).unwrap(), "0.1");
    assert_eq!(raw(ElementType::Float16, &[], &f16::from_f32(0.1).to_ne_bytes()).unwrap(), "0.099975586");
    assert_eq!(raw(ElementType::BFloat16, &[], &bf16::from_f32(-2.5).to_ne_bytes()).unwrap(), "-2.5");
}

#[test]
fn what_json_has_no_form_for_is_refused() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert_eq!(raw(ElementType::Float32, &[1], &value.to_ne_bytes()), Err(Code::Input));
        assert_eq!(raw(ElementType::Float64, &[1], &f64::from(value).to_ne_bytes()), Err(Code::Input));
        assert_eq!(raw(ElementType::Float16, &[1], &f16::from_f32(value).to_ne_bytes()), Err(Code::Input));
        assert_eq!(raw(ElementType::BFloat16, &[1], &bf16::from_f32(value).to_ne_bytes()), Err(Code::Input));
    }
    let bytes: InputData = InputData::Text([b"\xff"].into_iter().collect());
    assert_eq!(text(ElementType::String, &[1], bytes), Err(Code::Input));
}

#[test]
fn strings_are_escaped_and_come_back() {
    let items = InputData::Text(["a\"\n\0", "é"].into_iter().collect());
    let written = text(ElementType::String, &[2], items).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), json!(["a\"\n\0", "é"]));
    assert_eq!(read_bytes(&written, ElementType::String), Ok((vec![2], "a\"\n\0é".as_bytes().to_vec())));
}

#[test]
fn what_is_no_tensor_of_the_type_is_refused_with_its_code() {
    for (text, code) in [
        ("[[1],[2,3]]", Code::OutputShape),
        ("[1,[2]]", Code::OutputShape),
        ("[[1],2]", Code::OutputShape),
        ("[[],[1]]", Code::OutputShape),
        ("[[],1]", Code::OutputShape),
        ("[1,[]]", Code::OutputShape),
        ("[\"1\"]", Code::OutputType),
        ("[1.5]", Code::OutputType),
        ("[true]", Code::OutputType),
        ("[null]", Code::OutputType),
        ("{}", Code::OutputType),
        ("[2147483648]", Code::OutputType),
        ("[1", Code::Answer),
    ] {
        assert_eq!(read_bytes(text, ElementType::Int32), Err(code), "{text}");
    }
    assert!(read_bytes(&"[".repeat(100_000), ElementType::Int32).is_err());
    assert!(read_bytes(&format!("{}{}", "[".repeat(65), "]".repeat(65)), ElementType::Int32).is_err());
}

proptest! {
    #[test]
    fn float32_comes_back_bit_by_bit(values in proptest::collection::vec(any::<f32>().prop_filter("JSON has no others", |v| v.is_finite()), 1..40)) {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
        let written = raw(ElementType::Float32, &[values.len() as i64], &bytes).unwrap();
        prop_assert_eq!(read_bytes(&written, ElementType::Float32), Ok((vec![values.len() as i64], bytes)));
    }

    #[test]
    fn every_integer_comes_back(values in proptest::collection::vec(any::<i64>(), 1..20), rows in 1usize..4) {
        let values = values.repeat(rows);
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
        let shape = vec![rows as i64, (values.len() / rows) as i64];
        let written = raw(ElementType::Int64, &shape, &bytes).unwrap();
        prop_assert_eq!(read_bytes(&written, ElementType::Int64), Ok((shape, bytes)));
    }

    #[test]
    fn every_half_comes_back(bits in any::<u16>()) {
        let half = f16::from_bits(bits);
        prop_assume!(half.is_finite());
        let written = raw(ElementType::Float16, &[], &half.to_ne_bytes()).unwrap();
        prop_assert_eq!(read_bytes(&written, ElementType::Float16), Ok((vec![], half.to_ne_bytes().to_vec())));
    }

    #[test]
    fn a_tensor_that_was_read_has_as_many_elements_as_its_shape(text in r"[\[\],0-9 ]{0,24}") {
        if let Ok((shape, bytes)) = read_bytes(&text, ElementType::UInt8) {
            prop_assert_eq!(shape.iter().product::<i64>(), bytes.len() as i64);
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        let _ = read_bytes(&text, ElementType::String);
    }
}
