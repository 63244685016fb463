use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::element::ELEMENTS;
use crate::protocol::protobuf::{put_bytes, put_head, put_varint};
use crate::shape::Shape;
use crate::tensor::{Chunks, OutputData, element_count};

fn declared(outputs: &[(&str, ElementType)]) -> Vec<DeclaredOutput> {
    let output = |(name, element): &(&str, ElementType)| DeclaredOutput {
        name: (*name).into(),
        element: *element,
        shape: Shape::UNKNOWN,
        is_blob: false,
    };
    outputs.iter().map(output).collect()
}

/// `message` in two pieces that split a field somewhere.
fn body(message: &[u8]) -> Chunks {
    let (front, back) = message.split_at(message.len() / 3);
    let mut body = Chunks::from(Bytes::copy_from_slice(front));
    body.push(Bytes::copy_from_slice(back));
    body
}

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = Vec::new();
    put_bytes(&mut field, number, bytes);
    field
}

fn varints(values: &[i64]) -> Vec<u8> {
    let mut bytes = Vec::new();
    values.iter().for_each(|value| put_varint(&mut bytes, *value as u64));
    bytes
}

/// An `InferOutputTensor` as a field of the response; `contents` are its `InferTensorContents`.
fn described(name: &str, datatype: &str, shape: &[i64], contents: Option<&[u8]>) -> Vec<u8> {
    let parts = [field(1, name.as_bytes()), field(2, datatype.as_bytes()), field(3, &varints(shape))];
    field(5, &[parts.concat(), contents.map_or(Vec::new(), |contents| field(5, contents))].concat())
}

fn decode(message: &[u8], wanted: &[(&str, ElementType)]) -> Result<Vec<OutputTensor>, Problem> {
    outputs(Cursor::new(&body(message)), &declared(wanted))
}

fn code(message: &[u8], wanted: &[(&str, ElementType)]) -> Code {
    decode(message, wanted).unwrap_err().code
}

fn raw(tensor: &OutputTensor) -> Vec<u8> {
    match &tensor.data {
        OutputData::Raw(chunks) => chunks.join().to_vec(),
        OutputData::Text(strings) => strings.iter().collect::<Vec<_>>().join(&b'|'),
    }
}

/// The data of output `y` that came with contents of its own.
fn typed(datatype: &str, element: ElementType, shape: &[i64], contents: &[u8]) -> Result<Vec<u8>, Code> {
    let message = described("y", datatype, shape, Some(contents));
    decode(&message, &[("y", element)]).map(|outputs| raw(&outputs[0])).map_err(|problem| problem.code)
}

#[test]
fn the_one_string_of_a_blob_comes_out_as_its_bytes() {
    let mut declared = declared(&[("y", ElementType::UInt8)]);
    declared[0].is_blob = true;
    let raw_contents = [described("y", "BYTES", &[1, 1], None), field(6, b"\x03\0\0\0\xff\0\xd8")].concat();
    let own_contents = described("y", "BYTES", &[1], Some(&field(8, b"\xff\0\xd8")));
    for message in [raw_contents, own_contents] {
        let found = &outputs(Cursor::new(&body(&message)), &declared).unwrap()[0];
        assert_eq!(
            (found.element, found.shape.as_slice(), raw(found)),
            (ElementType::UInt8, &[3][..], b"\xff\0\xd8".to_vec())
        );
    }
    let numbers = [described("y", "UINT8", &[1], None), field(6, b"a")].concat();
    assert_eq!(outputs(Cursor::new(&body(&numbers)), &declared).unwrap_err().code, Code::OutputType);
}

#[test]
fn outputs_come_in_their_declared_order_and_others_are_skipped() {
    let message = [
        field(1, b"model"),
        field(6, b"xxx"),
        described("extra", "FP8", &[3], None),
        described("b", "INT16", &[1, 2], None),
        described("a", "FP32", &[1], None),
        field(6, b"\x01\0\x02\0"),
        field(6, &0.5f32.to_le_bytes()),
        field(15, b"from a later version"),
    ];
    let outputs = decode(&message.concat(), &[("a", ElementType::Float32), ("b", ElementType::Int16)]).unwrap();
    assert_eq!((outputs[0].shape.as_slice(), raw(&outputs[0])), (&[1][..], 0.5f32.to_ne_bytes().to_vec()));
    assert_eq!(
        (outputs[1].shape.as_slice(), raw(&outputs[1])),
        (&[1, 2][..], 1i16.to_ne_bytes().iter().chain(&2i16.to_ne_bytes()).copied().collect())
    );
}

#[test]
fn a_missing_or_doubled_output_is_refused() {
    let one = [described("y", "BOOL", &[1], None), field(6, b"\0")].concat();
    assert_eq!(code(&[], &[("y", ElementType::Bool)]), Code::Answer);
    assert_eq!(code(&[one.clone(), one].concat(), &[("y", ElementType::Bool)]), Code::Answer);
}

#[test]
fn raw_contents_are_as_many_as_the_outputs_or_none() {
    let two = [described("y", "BOOL", &[1], None), described("z", "BOOL", &[1], None)].concat();
    for contents in [&[field(6, b"\0")][..], &[field(6, b"\0"), field(6, b"\0"), field(6, b"\0")]] {
        assert_eq!(code(&[two.clone(), contents.concat()].concat(), &[("y", ElementType::Bool)]), Code::Answer);
    }
    let both = [described("y", "BOOL", &[1], Some(&field(1, b"\x01"))), field(6, b"\0")].concat();
    assert_eq!(code(&both, &[("y", ElementType::Bool)]), Code::Answer);
}

#[test]
fn another_type_than_the_declared_is_refused() {
    for datatype in ["FP64", "FP8", "", "fp32"] {
        let message = [described("y", datatype, &[1], None), field(6, &[0; 8])].concat();
        assert_eq!(code(&message, &[("y", ElementType::Float32)]), Code::OutputType, "{datatype}");
    }
}

#[test]
fn shapes_that_lie_are_refused() {
    for shape in [&[-1][..], &[2], &[], &[i64::MAX, 4], &[1 << 62, 4], &[0, -1], &[1; 65], &[1; 300]] {
        let size = if shape.is_empty() { 8 } else { 4 };
        let message = [described("y", "FP32", shape, None), field(6, &[0; 8][..size])].concat();
        assert_eq!(code(&message, &[("y", ElementType::Float32)]), Code::OutputShape, "{shape:?}");
    }
}

#[test]
fn dimensions_need_not_be_packed() {
    let mut tensor = [field(1, b"y"), field(2, b"BOOL")].concat();
    for size in [1, 2] {
        tensor.extend([3 << 3, size]);
    }
    let message = [field(5, &tensor), field(6, b"\0\x01")].concat();
    assert_eq!(decode(&message, &[("y", ElementType::Bool)]).unwrap()[0].shape, [1, 2]);
}

#[test]
fn empty_and_scalar_outputs_need_no_contents_of_their_own_to_be_empty_or_one_element() {
    let wanted = [("e", ElementType::Float32), ("s", ElementType::Bool)];
    let message =
        [described("e", "FP32", &[0, 4], None), described("s", "BOOL", &[], Some(&field(1, b"\x01")))].concat();
    let outputs = decode(&message, &wanted).unwrap();
    assert_eq!((outputs[0].shape.as_slice(), raw(&outputs[0]).len()), (&[0, 4][..], 0));
    assert_eq!((outputs[1].shape.as_slice(), raw(&outputs[1])), (&[][..], vec![1]));
    assert_eq!(typed("STRING", ElementType::String, &[0], b""), Err(Code::OutputType));
    assert_eq!(typed("BYTES", ElementType::String, &[0], b""), Ok(vec![]));
}

#[test]
fn contents_of_every_type_are_read() {
    assert_eq!(typed("BOOL", ElementType::Bool, &[3], &field(1, &varints(&[1, 0, 1]))), Ok(vec![1, 0, 1]));
    let signed = field(2, &varints(&[-128, 127]));
    assert_eq!(typed("INT8", ElementType::Int8, &[2], &signed), Ok(vec![0x80, 0x7f]));
    let wide = |values: &[i64]| values.iter().flat_map(|value| value.to_ne_bytes()).collect::<Vec<_>>();
    let extremes = [i64::MIN, -1, i64::MAX];
    assert_eq!(typed("INT64", ElementType::Int64, &[3], &field(3, &varints(&extremes))), Ok(wide(&extremes)));
    let large = u64::MAX.to_ne_bytes().to_vec();
    assert_eq!(typed("UINT64", ElementType::UInt64, &[1], &field(5, &varints(&[-1]))), Ok(large));
    let third = 0.3f32.to_le_bytes();
    assert_eq!(typed("FP32", ElementType::Float32, &[1], &field(6, &third)), Ok(0.3f32.to_ne_bytes().to_vec()));
    assert_eq!(
        typed("FP32", ElementType::Float32, &[1], &[&[6 << 3 | 5][..], &third].concat()),
        Ok(0.3f32.to_ne_bytes().to_vec())
    );
    let precise = 0.1f64.to_le_bytes();
    assert_eq!(typed("FP64", ElementType::Float64, &[1], &field(7, &precise)), Ok(0.1f64.to_ne_bytes().to_vec()));
    assert_eq!(
        typed("FP64", ElementType::Float64, &[1], &[&[7 << 3 | 1][..], &precise].concat()),
        Ok(0.1f64.to_ne_bytes().to_vec())
    );
    let texts = [field(8, "naïve".as_bytes()), field(8, b""), field(8, b"a\0b")].concat();
    assert_eq!(typed("BYTES", ElementType::String, &[3], &texts), Ok("naïve||a\0b".as_bytes().to_vec()));
}

#[test]
fn contents_that_do_not_fit_are_refused() {
    for (datatype, element, contents, expected) in [
        ("INT8", ElementType::Int8, field(2, &varints(&[128])), Code::Answer),
        ("INT16", ElementType::Int16, field(2, &varints(&[-32769])), Code::Answer),
        ("UINT8", ElementType::UInt8, field(4, &varints(&[256])), Code::Answer),
        ("UINT32", ElementType::UInt32, field(4, &varints(&[-1])), Code::Answer),
        ("INT32", ElementType::Int32, field(3, &varints(&[1])), Code::Answer),
        ("FP32", ElementType::Float32, field(7, &[0; 8]), Code::Answer),
        ("FP32", ElementType::Float32, field(6, &[0; 5]), Code::Answer),
        ("FP32", ElementType::Float32, vec![6 << 3, 1], Code::Answer),
        ("FP32", ElementType::Float32, field(6, &[0; 8]), Code::OutputShape),
        ("FP32", ElementType::Float32, vec![], Code::OutputShape),
        ("FP16", ElementType::Float16, field(6, &[0; 4]), Code::Answer),
        ("BF16", ElementType::BFloat16, vec![], Code::OutputShape),
        ("BYTES", ElementType::String, field(8, b"\xff"), Code::Answer),
        ("BYTES", ElementType::String, [field(8, b"a"), field(8, b"b")].concat(), Code::OutputShape),
        ("BYTES", ElementType::String, vec![8 << 3, 1], Code::Answer),
    ] {
        assert_eq!(typed(datatype, element, &[1], &contents), Err(expected), "{datatype} {contents:?}");
    }
}

#[test]
fn a_flood_of_tensors_is_refused() {
    for field in [&[0x2a, 0][..], &[0x32, 0]] {
        assert_eq!(code(&field.repeat(MAX_TENSORS + 1), &[]), Code::Answer);
    }
}

#[test]
fn malformed_messages_are_refused() {
    let name = [field(5, &field(1, b"\xff")), vec![0x28, 1], vec![0x2a, 5], field(5, &[0x08, 1]), vec![0x0b]];
    for message in name {
        assert_eq!(code(&message, &[]), Code::Answer, "{message:?}");
    }
}

#[test]
fn metadata_becomes_specs() {
    let tensor = [field(1, b"x"), field(2, b"FP16"), field(3, &varints(&[-1, 3]))].concat();
    let message = [field(1, b"m"), field(2, b"1"), field(3, b"python"), field(4, &tensor)].concat();
    let described = metadata(Cursor::new(&body(&message))).unwrap();
    let spec = TensorSpec { name: "x".into(), element: ElementType::Float16, shape: Some(vec![-1, 3]) };
    assert_eq!(described, Description { inputs: vec![spec], outputs: vec![] });
    for tensor in [field(2, b"FP8"), [field(2, b"FP32"), field(3, &varints(&[-2]))].concat(), field(3, &[1; 70])] {
        assert_eq!(metadata(Cursor::new(&body(&field(5, &tensor)))).unwrap_err().code, Code::Answer);
    }
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
        let message = [described("y", kserve::datatype(element).unwrap(), &shape, None), field(6, &data)].concat();
        let outputs = decode(&message, &[("y", element)]).unwrap();
        prop_assert_eq!(&outputs[0].shape, &shape);
        prop_assert_eq!(raw(&outputs[0]), data);
    }

    #[test]
    fn arbitrary_messages_never_panic(message in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&message, &[("y", ElementType::Float32)]);
        let _ = metadata(Cursor::new(&body(&message)));
    }

    #[test]
    fn arbitrary_fields_never_panic(
        datatype in proptest::sample::select(vec!["BOOL", "FP32", "BYTES", "BF16", "INT64", "X", ""]),
        element in proptest::sample::select(vec![ElementType::Bool, ElementType::Float32, ElementType::String, ElementType::BFloat16, ElementType::Int64]),
        shape in proptest::collection::vec(any::<i64>(), 0..5),
        number in 1u8..10,
        contents in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..50)),
        data in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..50)),
    ) {
        let contents = contents.map(|contents| field(number, &contents));
        let mut message = described("y", datatype, &shape, contents.as_deref());
        if let Some(data) = data {
            put_head(&mut message, 6, data.len());
            message.extend(data);
        }
        if let Ok(outputs) = decode(&message, &[("y", element)]) {
            prop_assert!(element_count(&outputs[0].shape).is_some());
        }
    }
}
