//! The OpenAI API, and the same API as Azure deploys it.
//!
//! Sources: <https://platform.openai.com/docs/api-reference> and
//! <https://learn.microsoft.com/azure/ai-services/openai/reference>; where they are silent, the official client
//! decides.

pub(super) mod audio;
pub(super) mod chat;
mod choice;
mod content;
pub(super) mod embeddings;
pub(super) mod responses;
mod transcript;
mod vectors;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method};
use serde::Deserialize;

use super::answer::{answer, check_text, failed};
use super::declared::Declared;
use super::groups::Fields;
use super::json::{Object, entries};
use super::options::Group;
use super::spec::Asked;
use super::told;
use crate::element::ElementType;
use crate::endpoint::Endpoint;
use crate::failure::{Code, Problem, malformed};
use crate::tensor::{InputData, InputTensor};
use crate::transport::{Body, Request, Response};

/// Where a node's requests go, and what they hold beside the fields that its protocol knows.
struct Service {
    endpoint: Endpoint,
    /// The version of Azure's API; empty for OpenAI's own.
    api_version: String,
    extra: Fields,
}

/// The version of Azure's API that is OpenAI's own under another path: the deployment is the body's `model`.
const V1: &str = "v1";

/// What says the fields that every request has, where `extra` names them.
const MODEL: (&str, &str) = ("model", "the builder's first argument, or its deployment");
const STREAM: (&str, &str) = ("stream*", "nothing, since an answer is read as a whole");

impl Service {
    /// The service of a node that has one input, and one output of type `output`.
    fn new(node: &Declared, output: ElementType) -> Result<Self, Problem> {
        if node.inputs.len() != 1 || node.outputs.len() != 1 || node.outputs[0].element != output {
            return Err(malformed(format!(
                "{} has one input, and one output of type {}",
                node.protocol,
                output.name()
            )));
        }
        let api_version = node.attributes.text("api_version").to_owned();
        Ok(Self { endpoint: node.endpoint.clone(), api_version, extra: Fields::read(Group::Extra, node.attributes)? })
    }

    fn post<'a>(
        &self,
        operation: &[&str],
        asked: &Asked,
        kind: HeaderValue,
        body: impl Into<Body<'a>>,
    ) -> Result<Request<'a>, Problem> {
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(http::header::CONTENT_TYPE, kind);
        headers.insert(http::header::ACCEPT, HeaderValue::from_static("application/json"));
        let path = self.path(operation, asked)?;
        Ok(Request { method: Method::POST, path, headers, body: body.into() })
    }

    fn post_json(
        &self,
        operation: &[&str],
        asked: &Asked,
        body: &impl serde::Serialize,
    ) -> Result<Request<'static>, Problem> {
        let mut body = serde_json::to_vec(body).map_err(|error| Problem::new(Code::Input, error.to_string()))?;
        self.extra.append(asked, &mut body);
        self.post(operation, asked, HeaderValue::from_static("application/json"), body)
    }

    /// The path of an operation. On Azure it names the deployment, which is what `model` holds there; but in [`V1`].
    fn path(&self, operation: &[&str], asked: &Asked) -> Result<PathAndQuery, Problem> {
        let unfit = || Problem::new(Code::Node, "the endpoint has no path that can be sent");
        if self.api_version.is_empty() {
            return self.endpoint.path(operation).ok_or_else(unfit);
        }
        if self.api_version == V1 {
            return self.endpoint.path(&[&["openai", "v1"], operation].concat()).ok_or_else(unfit);
        }
        let model = asked.options.required("model")?;
        let segments = [&["openai", "deployments", model], operation].concat();
        let unfit = || Problem::new(Code::Input, format!("the deployment \"{model}\" makes no path"));
        self.endpoint.path_and_query(&segments, "api-version", &self.api_version).ok_or_else(unfit)
    }
}

/// The strings of `tensor`; `Err` if its elements are numbers, or a string is no UTF-8.
fn strings<'a>(tensor: &'a InputTensor) -> Result<Vec<&'a str>, Problem> {
    let InputData::Text(strings) = &tensor.data else {
        return Err(Problem::new(Code::Input, format!("the input is {}, not str", tensor.element.name())));
    };
    let text = |(index, string)| {
        let refused = || Problem::new(Code::Input, format!("string {index} of the input is no UTF-8"));
        std::str::from_utf8(string).map_err(|_| refused())
    };
    strings.iter().enumerate().map(text).collect()
}

/// The prompt of a row.
fn one_prompt<'a>(inputs: &'a [InputTensor]) -> Result<&'a str, Problem> {
    match inputs.first().map(strings).transpose()?.as_deref() {
        Some([prompt]) => Ok(prompt),
        _ => Err(Problem::new(Code::Input, "the input has more dimensions than that of its rows")),
    }
}

/// The models that bodies name which are sent as they are.
fn models_of_bodies(bodies: &InputTensor) -> Vec<String> {
    let bodies = strings(bodies).unwrap_or_default();
    let models = bodies.into_iter().filter_map(|body| entries(body, &["model"]).ok()).flatten();
    models.filter_map(|(_, model)| serde_json::from_str(model.get()).ok()).collect()
}

/// What `read` makes of an answer's body, which is text in UTF-8.
fn with_body<T>(response: &Response, read: impl FnOnce(&str) -> Result<T, Problem>) -> Result<T, Problem> {
    check_text(response)?;
    let body = response.body.join();
    read(std::str::from_utf8(&body).map_err(|_| answer("it is no UTF-8"))?)
}

/// A JSON text without the mark that some write before it, which is no part of it.
fn unmarked(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Reads a JSON object that a service wrote, in which every answer has the entry `promised`. Some report a failure with
/// status 200.
fn parse<'a, T: Deserialize<'a>>(text: &'a str, promised: &str) -> Result<T, Problem> {
    let json = unmarked(text);
    let read = serde_json::from_str::<Object<T>>(json);
    // A second reading is worth its time only where there may be something to find.
    let reported = (read.is_err() || json.contains("error")).then(|| told::failure(json, promised)).flatten();
    match (reported, read) {
        (Some(reported), _) => Err(failed(reported)),
        (None, Ok(Object(value))) => Ok(value),
        (None, Err(problem)) => Err(unread(json, &problem)),
    }
}

/// The JSON object as it came, if it reports no failure.
fn whole(text: &str, promised: &str) -> Result<String, Problem> {
    let json = unmarked(text);
    entries(json, &[]).map_err(|problem| unread(json, &problem))?;
    told::failure(json, promised).map_or_else(|| Ok(json.to_owned()), |reported| Err(failed(reported)))
}

/// The problem of a model that does not want to answer.
fn refused(why: &str) -> Problem {
    answer(format!("the model refused: {why}"))
}

/// The problem of a body that is not the JSON that it ought to be.
fn unread(text: &str, problem: &serde_json::Error) -> Problem {
    let start = text.trim_start();
    if ["data:", "event:", ":"].iter().any(|event| start.starts_with(event)) {
        return answer("it is a stream of events, which was not asked for");
    }
    answer(problem)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::StatusCode;

    use super::*;
    use crate::protocol::declared::tests::Parts;
    use crate::protocol::options::Options;
    use crate::protocol::spec::{Protocol, ProtocolSpec};

    /// A protocol prepared for a node with one input, one output, the model `m` and these attributes.
    pub(super) fn prepared<const N: usize>(
        spec: &ProtocolSpec,
        attributes: [(&'static str, &str); N],
        output: ElementType,
    ) -> Result<Box<dyn Protocol>, Problem> {
        let mut parts = Parts::new("http://h/v1", &["x"], &[("y", output)]);
        parts.attributes = attributes.into();
        parts.options = Options::from_iter([("model", "m")]);
        (spec.prepare)(&parts.declared())
    }

    /// A call of the model `m`.
    pub(super) fn asked(rows: usize) -> Asked {
        Asked { options: Options::from_iter([("model", "m")]), rows }
    }

    pub(super) fn texts(items: &[&str]) -> InputTensor<'static> {
        let data = InputData::Text(items.iter().collect());
        InputTensor { element: ElementType::String, shape: vec![items.len() as i64], data }
    }

    pub(super) fn response(kind: &'static str, body: impl Into<Vec<u8>>) -> Response {
        let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, HeaderValue::from_static(kind))]);
        Response { status: StatusCode::OK, headers, body: Bytes::from(body.into()).into(), ..Response::default() }
    }
}
