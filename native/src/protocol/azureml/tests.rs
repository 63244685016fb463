use bytes::Bytes;
use http::StatusCode;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::protocol::declared::tests::Parts;
use crate::protocol::options::Options;
use crate::tensor::{InputData, OutputData};

/// x, w -> y (float32), z (str)
fn prepared(form: &str, inputs: &[&str], outputs: &[(&str, ElementType)]) -> Result<Box<dyn Protocol>, Problem> {
    let mut parts = Parts::new("http://h/api/score/", inputs, outputs);
    parts.attributes = [("form", form)].into();
    prepare(&parts.declared())
}

fn named() -> Box<dyn Protocol> {
    prepared("named", &["x", "w\"1"], &[("y", ElementType::Float32), ("z", ElementType::String)]).unwrap()
}

fn data() -> Box<dyn Protocol> {
    prepared("data", &["x"], &[("y", ElementType::Float32)]).unwrap()
}

fn floats(values: &'static [u8]) -> InputTensor<'static> {
    InputTensor { element: ElementType::Float32, shape: vec![values.len() as i64 / 4], data: InputData::Raw(values) }
}

fn response(body: impl Into<Vec<u8>>) -> Response {
    let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    Response { status: StatusCode::OK, headers, body: Bytes::from(body.into()).into(), ..Response::default() }
}

fn read(protocol: &dyn Protocol, body: &str) -> Result<Vec<OutputTensor>, Problem> {
    protocol.outputs(&response(body), &Asked::default())
}

#[test]
fn inputs_travel_under_their_names_to_the_uri_as_it_is() {
    let strings = InputData::Text(["a"].into_iter().collect());
    let strings = InputTensor { element: ElementType::String, shape: vec![1, 1], data: strings };
    let asked = Asked { options: Options::from_iter([("deployment", "blue")]), rows: 1 };
    let request = named().request(&[floats(&[0; 8]), strings], &asked).unwrap();
    assert_eq!(request.path, "/api/score/");
    assert_eq!(request.headers[DEPLOYMENT], "blue");
    assert_eq!(request.body.join(), r#"{"x":[0.0,0.0],"w\"1":[["a"]]}"#);
    let request = data().request(&[floats(&[0; 4])], &Asked::default()).unwrap();
    assert_eq!(request.body.join(), r#"{"data":[0.0]}"#);
    assert!(!request.headers.contains_key(DEPLOYMENT));
}

#[test]
fn a_deployment_adds_no_header_of_its_own() {
    for name in ["a\r\nx: y", "a b", "é"] {
        let asked = Asked { options: Options::from_iter([("deployment", name)]), rows: 1 };
        assert_eq!(data().request(&[floats(&[])], &asked).unwrap_err().code, Code::Input);
    }
}

#[test]
fn an_answer_is_read_plain_and_as_json_within_a_string() {
    let answer = json!({"z": ["a"], "more": 1, "y": [[1, 2.5]], "error": null});
    for body in [answer.to_string(), Value::from(answer.to_string()).to_string()] {
        let outputs = read(&*named(), &body).unwrap();
        assert_eq!((outputs[0].shape.as_slice(), outputs[1].shape.as_slice()), (&[1, 2][..], &[1][..]));
        let OutputData::Raw(chunks) = &outputs[0].data else { panic!("strings") };
        assert_eq!(chunks.join(), [1f32.to_ne_bytes(), 2.5f32.to_ne_bytes()].concat());
    }
    assert_eq!(read(&*data(), r#"{"result": 1}"#).unwrap()[0].shape.len(), 0);
}

#[test]
fn a_missing_or_doubled_output_is_refused() {
    for body in [
        r#"{"y": [1]}"#,
        r#"{"y": [1], "z": ["a"], "y": [1]}"#,
        "[1]",
        "1",
        "",
        "\"\"",
        r#""{\"y\": [1]""#,
        r#"{"y": [NaN], "z": []}"#,
    ] {
        assert_eq!(read(&*named(), body).unwrap_err().code, Code::Answer, "{body}");
    }
    assert_eq!(read(&*data(), r#"{"result": ["a"]}"#).unwrap_err().code, Code::OutputType);
    assert_eq!(read(&*data(), r#"{"result": [[1], []]}"#).unwrap_err().code, Code::OutputShape);
}

#[test]
fn an_error_of_the_script_is_a_failure_in_its_words() {
    for body in [
        r#"{"error": "no such model"}"#,
        r#""{\"error\": \"no such model\"}""#,
        r#"{"error": {"message": "no such model"}}"#,
        r#"{"error": {"code": 1, "text": "no such model"}}"#,
    ] {
        let problem = read(&*named(), body).unwrap_err();
        assert!(problem.code == Code::Answer && problem.message.contains("no such model"), "{}", problem.message);
    }
    let error = prepared("named", &["x"], &[("error", ElementType::Float32)]).unwrap();
    assert!(read(&*error, r#"{"error": [0.5]}"#).is_ok());
}

#[test]
fn the_form_data_has_one_input_and_one_output() {
    let float = [("y", ElementType::Float32)];
    assert_eq!(prepared("data", &["x", "w"], &float).err().unwrap().code, Code::Node);
    assert_eq!(prepared("other", &["x"], &float).err().unwrap().code, Code::Node);
}

proptest! {
    #[test]
    fn arbitrary_answers_never_panic(body in any::<String>()) {
        let _ = read(&*named(), &body);
        let _ = read(&*named(), &Value::from(body).to_string());
    }
}
