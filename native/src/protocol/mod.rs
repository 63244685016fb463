//! Wire protocols: pure functions between tensors and bytes, and the table of all there are.

mod azureml;
mod grpc;
pub mod kserve;
mod legacy;
mod multipart;
mod nested;
mod openai;
pub mod options;
pub mod protobuf;
mod triton_grpc;
mod triton_http;

use std::sync::LazyLock;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::element::ElementType;
use crate::endpoint::Endpoint;
use crate::failure::{Code, Problem};
use crate::node::Node;
use crate::protocol::options::{OptionSpec, Settings};
use crate::session::credential::Secret;
use crate::tensor::{InputTensor, OutputTensor};
use crate::transport::{Request, Response};

/// A protocol, prepared for one node. It knows no network: it can be tested with bytes alone.
///
/// Where a batch becomes a request for each row ([`Batch::Row`]) both methods see one row: the caller takes the batch
/// apart and puts it together again.
pub trait Protocol: Send + Sync {
    /// The request that carries `inputs`, one for each of the node's input names.
    fn request<'a>(&self, inputs: &[InputTensor<'a>], asked: &Asked) -> Result<Request<'a>, Problem>;

    /// Refuses an answer that is no success, in the server's words.
    fn check(&self, response: &Response) -> Result<(), Problem> {
        check_status(response)
    }

    /// The status of a success.
    fn success(&self) -> u16 {
        200
    }

    /// The outputs in the body of a success, one for each of the node's output names, of their declared types.
    fn outputs(&self, response: &Response, asked: &Asked) -> Result<Vec<OutputTensor>, Problem>;
}

/// What one call asks for beside its tensors; it is kept until the answer has been read.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The options of the call.
    pub settings: Settings,
    /// The size of the first input's first dimension; 1 for a scalar.
    pub rows: usize,
}

/// What a batch becomes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Batch {
    /// One request.
    Request,
    /// One request, and none where there is no row: the service takes no empty batch.
    Filled,
    /// A request for each row, side by side.
    Row,
}

impl Batch {
    /// As the protocol table shows it.
    fn name(self) -> &'static str {
        match self {
            Self::Request | Self::Filled => "request",
            Self::Row => "row",
        }
    }
}

/// How a protocol carries a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Authentication {
    /// `Authorization: Bearer <token>`.
    Bearer,
    /// `api-key: <token>`.
    ApiKey,
}

impl Authentication {
    /// As the protocol table shows it.
    fn name(self) -> &'static str {
        match self {
            Self::Bearer => "Authorization: Bearer",
            Self::ApiKey => "api-key",
        }
    }

    /// The header that carries `secret`.
    pub fn header(self, secret: &Secret) -> Option<(HeaderName, HeaderValue)> {
        let (name, text) = match self {
            Self::Bearer => (http::header::AUTHORIZATION, format!("Bearer {}", secret.expose())),
            Self::ApiKey => (HeaderName::from_static("api-key"), secret.expose().to_owned()),
        };
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some((name, value))
    }
}

/// The attributes of one node that only its protocol knows, by name; those that are absent are empty.
#[derive(Clone, Debug, Default)]
pub struct Options(pub Vec<(&'static str, String)>);

impl Options {
    /// The attribute's text; empty if absent.
    pub fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }
}

/// A tensor as a server describes it; -1 is a dimension of any size.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TensorSpec {
    /// The name on the wire.
    pub name: String,
    /// The type of the elements.
    pub element: ElementType,
    /// The dimensions.
    pub shape: Vec<i64>,
}

/// A model's interface as its server describes it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Description {
    /// What it takes.
    pub inputs: Vec<TensorSpec>,
    /// What it gives.
    pub outputs: Vec<TensorSpec>,
}

/// How a protocol asks a server for a model's interface.
pub struct Describe {
    /// The question.
    pub request: fn(&Endpoint, &Options) -> Result<Request<'static>, Problem>,
    /// The answer, checked like that to a call.
    pub description: fn(&Response) -> Result<Description, Problem>,
}

/// One row of the protocol table.
pub struct ProtocolSpec {
    /// The value of the attribute `protocol`.
    pub name: &'static str,
    /// URL schemes of its endpoints.
    pub schemes: &'static [&'static str],
    /// How it carries a token.
    pub authentication: Authentication,
    /// Text attributes of its own.
    pub attributes: &'static [&'static str],
    /// Those of them that must not be empty.
    pub required: &'static [&'static str],
    /// Attributes that may be inputs instead, named in `option_names`.
    pub options: &'static [OptionSpec],
    /// Element types that can travel, with their names on the wire.
    pub datatypes: &'static [(ElementType, &'static str)],
    /// What a batch becomes.
    pub batch: Batch,
    /// Prepares the protocol for a node, once, when its session is created.
    pub prepare: fn(&Node) -> Result<Box<dyn Protocol>, Problem>,
    /// How it discovers a model's interface, if it can.
    pub describe: Option<Describe>,
}

/// Every protocol that the library speaks.
pub static PROTOCOLS: &[ProtocolSpec] = &[
    triton_http::SPEC,
    triton_grpc::SPEC,
    openai::audio::OPENAI,
    openai::chat::OPENAI,
    openai::embeddings::OPENAI,
    openai::audio::AZURE,
    openai::chat::AZURE,
    openai::embeddings::AZURE,
    azureml::SPEC,
    legacy::form::SPEC,
    legacy::text::SPEC,
];

/// The protocol called `name`.
pub fn find(name: &str) -> Option<&'static ProtocolSpec> {
    PROTOCOLS.iter().find(|spec| spec.name == name)
}

/// The protocol table as JSON, for the builders and the documentation.
pub fn table() -> &'static str {
    static TABLE: LazyLock<String> = LazyLock::new(|| {
        let rows = PROTOCOLS.iter().map(|spec| (spec.name.to_owned(), row(spec)));
        Value::Object(rows.collect()).to_string()
    });
    &TABLE
}

fn row(spec: &ProtocolSpec) -> Value {
    let dtypes: Map<_, _> =
        spec.datatypes.iter().map(|(element, name)| (element.name().to_owned(), json!(name))).collect();
    let options: Map<_, _> =
        spec.options.iter().map(|option| (option.name.to_owned(), json!(option.kind.element().name()))).collect();
    json!({
        "schemes": spec.schemes,
        "authentication": spec.authentication.name(),
        "attributes": spec.attributes,
        "required": spec.required,
        "options": options,
        "dtypes": dtypes,
        "batch": spec.batch.name(),
        "describes": spec.describe.is_some(),
    })
}

/// Refuses every status but 200, in the server's words. A redirect is among them: it is never followed.
pub fn check_status(response: &Response) -> Result<(), Problem> {
    let status = response.status.as_u16();
    if status == 200 {
        return Ok(());
    }
    Err(Problem::new(Code::Status, status_text(response)).with_status(status))
}

/// A status that is no success, in a sentence.
pub fn status_text(response: &Response) -> String {
    let message = server_message(response);
    let reason = response.status.canonical_reason().unwrap_or_default();
    let separator = if message.is_empty() { "" } else { ": " };
    format!("the server answered {} {reason}{separator}{message}", response.status.as_u16())
}

/// What the server says about its failure: the text of the usual JSON forms, otherwise the body as it is.
pub fn server_message(response: &Response) -> String {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Error {
        Text { error: String },
        Object { error: Inner },
        Message { message: String },
    }
    #[derive(Deserialize)]
    struct Inner {
        message: String,
    }
    let body = response.body.join();
    match serde_json::from_slice(&body) {
        Ok(Error::Text { error }) => error,
        Ok(Error::Object { error }) => error.message,
        Ok(Error::Message { message }) => message,
        Err(_) => String::from_utf8_lossy(&body).into_owned(),
    }
}

/// Refuses an answer that is encoded, or whose type a protocol does not promise; no type at all is let pass.
pub fn check_content(response: &Response, promised: &[&str]) -> Result<(), Problem> {
    check_encoding(response)?;
    check_header(response, CONTENT_TYPE, promised, "is")
}

/// Refuses an answer unless each value of the header, its parameters aside, is one of those `expected`.
fn check_header(response: &Response, name: HeaderName, expected: &[&str], what: &str) -> Result<(), Problem> {
    let fits = |value: &HeaderValue| {
        let essence = value.to_str().unwrap_or("?").split(';').next().unwrap_or_default().trim();
        expected.iter().any(|expected| essence.eq_ignore_ascii_case(expected))
    };
    match response.headers.get_all(name).iter().find(|value| !fits(value)) {
        None => Ok(()),
        Some(value) => {
            let (value, expected) = (String::from_utf8_lossy(value.as_bytes()), expected.join(" or "));
            Err(Problem::new(Code::Answer, format!("the answer {what} {value}, not {expected}")))
        }
    }
}

/// Refuses an answer that is compressed, or encoded for its way in a manner that we did not ask for.
fn check_encoding(response: &Response) -> Result<(), Problem> {
    check_header(response, CONTENT_ENCODING, &["identity"], "is encoded as")?;
    // What a transfer encoding other than chunks leaves behind is no body any more.
    check_header(response, TRANSFER_ENCODING, &["identity", "chunked"], "travels encoded as")
}

/// The problem of a node that a protocol cannot be spoken with.
fn malformed(what: &str) -> Problem {
    Problem::new(Code::Node, format!("the node is malformed: {what}"))
}

/// The problem of an answer of a service.
fn answer(what: impl std::fmt::Display) -> Problem {
    Problem::new(Code::Answer, format!("the answer is not what the service promises: {what}"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};

    use super::*;

    fn response(body: &'static str) -> Response {
        Response { status: StatusCode::OK, headers: HeaderMap::new(), body: Bytes::from_static(body.as_bytes()).into() }
    }

    #[test]
    fn the_table_is_json_with_a_row_for_each_protocol() {
        let table: Value = serde_json::from_str(table()).unwrap();
        assert_eq!(table.as_object().unwrap().len(), PROTOCOLS.len());
        assert_eq!(table["triton.http"]["dtypes"]["float32"], "FP32");
        assert_eq!(table["triton.http"]["dtypes"]["str"], "BYTES");
    }

    #[test]
    fn a_required_attribute_is_an_attribute() {
        for spec in PROTOCOLS {
            assert!(spec.required.iter().all(|name| spec.attributes.contains(name)), "{}", spec.name);
        }
    }

    #[test]
    fn a_server_message_is_found_in_its_usual_places() {
        assert_eq!(server_message(&response(r#"{"error": "bad"}"#)), "bad");
        assert_eq!(server_message(&response(r#"{"error": {"message": "bad", "code": 1}}"#)), "bad");
        assert_eq!(server_message(&response(r#"{"message": "bad"}"#)), "bad");
        assert_eq!(server_message(&response("plain")), "plain");
    }

    #[test]
    fn only_promised_content_passes() {
        let mut answer = response("");
        assert!(check_content(&answer, &["application/json"]).is_ok());
        answer.headers.insert("content-type", HeaderValue::from_static("Application/JSON; charset=utf-8"));
        assert!(check_content(&answer, &["application/json"]).is_ok());
        answer.headers.insert("content-encoding", HeaderValue::from_static("gzip"));
        assert!(check_content(&answer, &["application/json"]).is_err());
        answer.headers.remove("content-encoding");
        answer.headers.insert("content-type", HeaderValue::from_static("text/html"));
        assert_eq!(check_content(&answer, &["application/json"]).unwrap_err().code, Code::Answer);
    }

    #[test]
    fn content_that_is_said_twice_or_in_no_text_passes_only_if_each_does() {
        let passes = |name: &'static str, values: &[&'static [u8]]| {
            let mut answer = response("");
            for value in values {
                answer.headers.append(name, HeaderValue::from_bytes(value).unwrap());
            }
            check_content(&answer, &["text/plain"]).is_ok()
        };
        assert!(passes("content-encoding", &[b"Identity"]) && passes("transfer-encoding", &[b"Chunked"]));
        assert!(passes("content-type", &[b"text/plain", b"text/plain;charset=utf-8"]));
        for (name, values) in [
            ("content-type", &[&b"text/plain"[..], b"text/html"][..]),
            ("content-type", &[b"text/plain\xff"]),
            ("content-type", &[b""]),
            ("content-encoding", &[b"identity", b"gzip"]),
            ("content-encoding", &[b"gz\xffip"]),
            ("transfer-encoding", &[b"chunked, gzip"]),
        ] {
            assert!(!passes(name, values), "{name} {values:?}");
        }
    }
}
