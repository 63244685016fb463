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
        r#"[{"y": 1}]"#,
        r#"[{"y": 1, "z": "a"}, 2]"#,
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
fn an_answer_that_holds_no_output_tells_why_or_which_form_it_has() {
    for (body, told) in [
        (r#"{"message": "no such model"}"#, "status 200: no such model"),
        (r#"{"detail": "not ready"}"#, "status 200: not ready"),
        (r#"{"result": [1]}"#, r#"it holds "result", as form="data" has it"#),
        (r#"{"predictions": [1]}"#, r#"it holds "predictions", as form="mlflow" has it"#),
        (r#"{"w": [1]}"#, r#"the answer is no scoring result: "y" is missing"#),
    ] {
        let problem = read(&*named(), body).unwrap_err();
        assert!(problem.code == Code::Answer && problem.message.ends_with(told), "{}", problem.message);
    }
    let message = read(&*named(), r#"[{"y": 1, "z": "a"}, {"y": 2}]"#).unwrap_err().message;
    assert_eq!(message.matches("no scoring result").count(), 1, "{message}");
}

/// What the input x and two columns become in each form.
#[test]
fn a_request_has_the_form_of_its_service() {
    let rows = [1f32, 2.0].map(f32::to_ne_bytes).concat();
    let column = || InputTensor { element: ElementType::Float32, shape: vec![2], data: InputData::Raw(&rows) };
    let texts = || InputTensor {
        element: ElementType::String,
        shape: vec![2, 1],
        data: InputData::Text(["a", "b\""].into_iter().collect()),
    };
    let float = [("y", ElementType::Float32)];
    let body = |form, inputs: &[&str], tensors: &[InputTensor]| {
        let request = prepared(form, inputs, &float).unwrap().request(tensors, &Asked::default()).unwrap();
        serde_json::from_slice::<Value>(&request.body.join()).unwrap()
    };
    let table = json!({"columns": ["x", "w\"1"], "data": [[1.0, "a"], [2.0, "b\""]]});
    let indexed = json!({"columns": ["x", "w\"1"], "index": [0, 1], "data": [[1.0, "a"], [2.0, "b\""]]});
    let named = json!({"x": [1.0, 2.0], "w\"1": [["a"], ["b\""]]});
    for (form, one, two) in [
        ("", json!({"x": [1.0, 2.0]}), named.clone()),
        ("mlflow", json!({"inputs": [1.0, 2.0]}), json!({"inputs": named})),
        ("input_data", json!({"input_data": [1.0, 2.0]}), json!({"input_data": named})),
        (
            "dataframe_split",
            json!({"dataframe_split": {"columns": ["x"], "data": [[1.0], [2.0]]}}),
            json!({"dataframe_split": table}),
        ),
        (
            "input_data_split",
            json!({"input_data": {"columns": ["x"], "index": [0, 1], "data": [[1.0], [2.0]]}}),
            json!({"input_data": indexed}),
        ),
    ] {
        assert_eq!(body(form, &["x"], &[column()]), one, "{form}");
        assert_eq!(body(form, &["x", "w\"1"], &[column(), texts()]), two, "{form}");
    }
}

#[test]
fn a_table_has_columns_of_as_many_rows() {
    let split = prepared("dataframe_split", &["x", "w"], &[("y", ElementType::Float32)]).unwrap();
    let matrix = InputTensor { element: ElementType::Float32, shape: vec![1, 2], data: InputData::Raw(&[0; 8]) };
    for wrong in [floats(&[0; 8]), matrix] {
        assert_eq!(split.request(&[floats(&[0; 4]), wrong], &Asked::default()).unwrap_err().code, Code::Input);
    }
    assert_eq!(
        split.request(&[floats(&[]), floats(&[])], &Asked::default()).unwrap().body.join(),
        r#"{"dataframe_split":{"columns":["x","w"],"data":[]}}"#
    );
}

#[test]
fn one_output_may_come_bare_or_under_the_key_of_its_service() {
    let one = |form| prepared(form, &["x"], &[("y", ElementType::Float32)]).unwrap();
    let cases = ["named", "data", "mlflow", "input_data", "dataframe_split", "input_data_split"].map(|form| {
        let key = if form == "data" { "result" } else { "predictions" };
        let keyed = format!(r#"{{"{key}": [1, 2.5]}}"#);
        (form, if form == "named" { "[1,2.5]".into() } else { keyed })
    });
    for (form, keyed) in cases {
        for body in [" [1, 2.5]", "\"[1, 2.5]\"", r#"{"y": [1, 2.5]}"#, r#"[{"y": 1}, {"y": 2.5}]"#, &keyed] {
            let outputs = read(&*one(form), body).unwrap();
            assert_eq!(outputs[0].shape, [2], "{form} {body}");
            let OutputData::Raw(chunks) = &outputs[0].data else { panic!("strings") };
            assert_eq!(chunks.join(), [1f32.to_ne_bytes(), 2.5f32.to_ne_bytes()].concat());
        }
        assert_eq!(read(&*one(form), "2").unwrap()[0].shape.len(), 0);
        for wrong in ["", "[1, 2", "[1] 2", "{}", "null", r#"{"error": "x"}"#, r#"{"predictions": {"x": 1}}"#] {
            assert_eq!(read(&*one(form), wrong).unwrap_err().code, Code::Answer, "{form} {wrong}");
        }
    }
}

#[test]
fn several_outputs_come_by_name_or_by_row() {
    let mlflow = prepared("mlflow", &["x"], &[("y", ElementType::Float32), ("z", ElementType::String)]).unwrap();
    for body in [
        r#"{"predictions": {"z": ["a", "b"], "y": [1, 2]}}"#,
        r#"{"predictions": [{"y": 1, "z": "a"}, {"z": "b", "y": 2, "more": null}]}"#,
        r#"{"y": [1, 2], "z": ["a", "b"]}"#,
        r#"[{"y": 1, "z": "a"}, {"y": 2, "z": "b"}]"#,
    ] {
        let outputs = read(&*mlflow, body).unwrap();
        assert_eq!((outputs[0].shape.as_slice(), outputs[1].shape.as_slice()), (&[2][..], &[2][..]), "{body}");
    }
    for body in [r#"{"predictions": [1, 2]}"#, r#"{"predictions": [{"y": 1}]}"#, r#"[{"y": 1, "z": "a", "y": 2}]"#] {
        assert_eq!(read(&*mlflow, body).unwrap_err().code, Code::Answer, "{body}");
    }
}

#[test]
fn the_form_data_has_one_input_and_one_output() {
    let float = [("y", ElementType::Float32)];
    assert_eq!(prepared("data", &["x", "w"], &float).err().unwrap().code, Code::Node);
    assert_eq!(prepared("other", &["x"], &float).err().unwrap().code, Code::Node);
    assert_eq!(prepared("mlflow", &[], &float).err().unwrap().code, Code::Node);
}

proptest! {
    #[test]
    fn arbitrary_answers_never_panic(body in any::<String>()) {
        let _ = read(&*named(), &body);
        let _ = read(&*named(), &Value::from(body.as_str()).to_string());
        let _ = read(&*data(), &format!("{{\"result\": [{body}]}}"));
    }
}
