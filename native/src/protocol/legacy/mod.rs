//! What the operators of onnxruntime-extensions 0.9 to 0.14 put on the wire, for models that were made for them.
//!
//! The endpoint is the whole URL of the request, its query an attribute. The answer is one string, the body as it came.

pub(super) mod form;
pub(super) mod text;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method};

use super::answer::{answer, check_encoding, server_message};
use super::declared::Declared;
use super::json::reported_error;
use crate::element::ElementType;
use crate::failure::{Code, Problem, malformed};
use crate::tensor::{InputData, InputTensor, OutputTensor};
use crate::transport::{Body, Request, Response};

/// The path and query that a node calls; it has to have one output, a string.
fn path(node: &Declared) -> Result<PathAndQuery, Problem> {
    if node.outputs.len() != 1 || node.outputs[0].element != ElementType::String {
        return Err(malformed("it has one output, a string"));
    }
    let path = node.endpoint.exact_path_and_query(node.attributes.text("query"));
    path.ok_or_else(|| malformed("the endpoint has no path that can be sent"))
}

fn post<'a>(path: &PathAndQuery, kind: HeaderValue, body: impl Into<Body<'a>>) -> Request<'a> {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(http::header::CONTENT_TYPE, kind);
    headers.insert(http::header::ACCEPT, HeaderValue::from_static("*/*"));
    Request { method: Method::POST, path: path.clone(), headers, body: body.into() }
}

/// The one string of an input, of whatever rank.
fn one_string<'a>(name: &str, tensor: &'a InputTensor) -> Result<&'a [u8], Problem> {
    match &tensor.data {
        InputData::Text(strings) if strings.starts.len() == 1 => Ok(&strings.content),
        InputData::Text(strings) => Err(Problem::new(
            Code::Input,
            format!("the input \"{name}\" holds {} strings, not one", strings.starts.len()),
        )),
        InputData::Raw(_) | InputData::Blob(_) => {
            Err(Problem::new(Code::Input, format!("the input \"{name}\" is {}, not str", tensor.element.name())))
        }
    }
}

/// The body as it came; an HTML page, or JSON with an `error`, is refused.
fn body(response: &Response) -> Result<Vec<OutputTensor>, Problem> {
    check_encoding(response)?;
    let kind = response.header("content-type").unwrap_or_default();
    if kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/html")) {
        return Err(answer("it is text/html, a page for people"));
    }
    let body = response.body.join();
    let text = std::str::from_utf8(&body).map_err(|_| answer("it is no UTF-8"))?;
    match reported_error(text) {
        Some(_) => Err(answer(server_message(response))),
        None => Ok(vec![OutputTensor::text(text)]),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::StatusCode;
    use proptest::prelude::*;

    use super::*;
    use crate::tensor::OutputData;

    fn read(kind: &'static str, content: impl Into<Vec<u8>>) -> Result<String, Code> {
        let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, HeaderValue::from_static(kind))]);
        let response = Response {
            status: StatusCode::OK,
            headers,
            body: Bytes::from(content.into()).into(),
            ..Response::default()
        };
        let outputs = body(&response).map_err(|problem| problem.code)?;
        let OutputData::Text(strings) = &outputs[0].data else { panic!("numbers") };
        Ok(String::from_utf8(strings.iter().next().unwrap().to_vec()).unwrap())
    }

    #[test]
    fn the_answer_is_the_body_as_it_came() {
        for (kind, text) in
            [("text/plain", "hé\n"), ("application/json", "{ \"text\": 1, \"error\": null}"), ("x/y", "")]
        {
            assert_eq!(read(kind, text), Ok(text.into()));
        }
    }

    #[test]
    fn a_page_and_a_reported_failure_are_no_answer() {
        for (kind, text) in
            [("text/html", "hi"), ("Text/HTML; charset=utf-8", ""), ("application/json", "{\"error\": {}}")]
        {
            assert_eq!(read(kind, text), Err(Code::Answer), "{text}");
        }
        assert_eq!(read("text/plain", b"\xff".to_vec()), Err(Code::Answer));
    }

    proptest! {
        #[test]
        fn arbitrary_answers_never_panic(content in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = read("application/json", content);
        }
    }
}
