//! `azureml.score`: the scoring URI of an AzureML online endpoint, JSON both ways.
//!
//! The form is the scoring script's choice. `named`: `{"x": nested lists, …}` to `{"y": nested lists, …}`; `data`:
//! `{"data": nested lists}` to `{"result": nested lists}`. Scripts often return `json.dumps(…)`, which the server
//! encodes once more, so an answer that is a string holding JSON is read as that JSON.
//! Source: <https://learn.microsoft.com/azure/machine-learning/how-to-authenticate-online-endpoint>.

use std::borrow::Cow;
use std::fmt;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::value::RawValue;

use super::answer::{check_content, server_message};
use super::declared::{Declared, DeclaredOutput};
use super::json::{entries, not_null};
use super::nested;
use super::options::OptionSpec;
use super::spec::{Asked, Authentication, Batch, Protocol, ProtocolSpec};
use crate::element::ElementType;
use crate::failure::{Code, Problem, malformed};
use crate::tensor::{InputTensor, OutputTensor};
use crate::transport::{Request, Response};

/// The row of the protocol table.
pub(super) const SPEC: ProtocolSpec = ProtocolSpec {
    name: "azureml.score",
    schemes: &["http", "https"],
    authentication: Authentication::Bearer,
    attributes: &["form"],
    required: &[],
    options: &[OptionSpec::text("deployment")],
    required_options: &[],
    own_fields: &[],
    datatypes: &[
        (ElementType::Bool, "bool"),
        (ElementType::UInt8, "number"),
        (ElementType::UInt16, "number"),
        (ElementType::UInt32, "number"),
        (ElementType::UInt64, "number"),
        (ElementType::Int8, "number"),
        (ElementType::Int16, "number"),
        (ElementType::Int32, "number"),
        (ElementType::Int64, "number"),
        (ElementType::Float16, "number"),
        (ElementType::Float32, "number"),
        (ElementType::Float64, "number"),
        (ElementType::BFloat16, "number"),
        (ElementType::String, "string"),
    ],
    batch: Batch::Request,
    prepare,
    describe: None,
};

/// Names the deployment behind the endpoint that is to answer.
const DEPLOYMENT: HeaderName = HeaderName::from_static("azureml-model-deployment");

/// The key of a failure that a script reports.
const ERROR: &str = "error";

struct Score {
    path: PathAndQuery,
    /// The keys of the request, as JSON text, and the inputs' own names for messages.
    inputs: Vec<(String, String)>,
    /// The keys of the answer, and what they are.
    outputs: Vec<(String, DeclaredOutput)>,
}

fn prepare(node: &Declared) -> Result<Box<dyn Protocol>, Problem> {
    let (input_key, output_key) = match node.attributes.text("form") {
        "" | "named" => (None, None),
        "data" if (node.inputs.len(), node.outputs.len()) == (1, 1) => (Some("data"), Some("result")),
        "data" => return Err(malformed("the form data has one input and one output")),
        _ => return Err(malformed("the form is neither named nor data")),
    };
    let key = |name: &str| serde_json::Value::from(input_key.unwrap_or(name)).to_string();
    let output = |output: &DeclaredOutput| (output_key.unwrap_or(&output.name).to_owned(), output.clone());
    Ok(Box::new(Score {
        path: node
            .endpoint
            .exact_path_and_query("")
            .ok_or_else(|| malformed("the endpoint has no path that can be sent"))?,
        inputs: node.inputs.iter().map(|input| (key(&input.name), input.name.clone())).collect(),
        outputs: node.outputs.iter().map(output).collect(),
    }))
}

impl Protocol for Score {
    fn request(&self, inputs: &[InputTensor], asked: &Asked) -> Result<Request<'static>, Problem> {
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(http::header::ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(deployment) = asked.options.text("deployment") {
            headers.insert(DEPLOYMENT, deployment_header(deployment)?);
        }
        let body = self.body(inputs)?.into();
        Ok(Request { method: Method::POST, path: self.path.clone(), headers, body })
    }

    fn outputs(&self, response: &Response, _: &Asked) -> Result<Vec<OutputTensor>, Problem> {
        check_content(response, &["application/json"])?;
        let body = response.body.join();
        let text = std::str::from_utf8(&body).map_err(|_| answer("it is no UTF-8"))?;
        let text = unquoted(text);
        let keys: Vec<&str> = self.outputs.iter().map(|(key, _)| key.as_str()).chain([ERROR]).collect();
        let entries = entries(&text, &keys).map_err(answer)?;
        self.check_error(&entries, response)?;
        let output = |(index, (key, declared)): (_, &(String, _))| nested::read(one(&entries, index, key)?, declared);
        self.outputs.iter().enumerate().map(output).collect()
    }
}

impl Score {
    fn body(&self, inputs: &[InputTensor]) -> Result<Vec<u8>, Problem> {
        let room = inputs.iter().map(nested::size_hint).sum::<usize>();
        let keys = self.inputs.iter().map(|(key, _)| key.len() + 2).sum::<usize>();
        let mut body = Vec::with_capacity(room + keys + 2);
        for ((key, name), tensor) in self.inputs.iter().zip(inputs) {
            body.push(if body.is_empty() { b'{' } else { b',' });
            body.extend_from_slice(key.as_bytes());
            body.push(b':');
            nested::write(&mut body, name, tensor)?;
        }
        body.extend_from_slice(if body.is_empty() { b"{}" } else { b"}" });
        Ok(body)
    }

    /// `{"error": …}` is how scripts report a failure with status 200; an output may bear that name, too.
    fn check_error(&self, entries: &[(usize, &RawValue)], response: &Response) -> Result<(), Problem> {
        // The name stands behind those of the outputs, which come first.
        match not_null(entries, self.outputs.len()) {
            None => Ok(()),
            Some(value) => {
                let text = serde_json::from_str::<String>(value);
                let text = text.unwrap_or_else(|_| match server_message(response) {
                    message if message.starts_with(['{', '"']) => value.to_owned(),
                    message => message,
                });
                Err(Problem::new(Code::Answer, format!("the scoring script failed: {text}")))
            }
        }
    }
}

fn deployment_header(name: &str) -> Result<HeaderValue, Problem> {
    let refused = || Problem::new(Code::Input, "the deployment is no name of visible ASCII characters");
    if !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(refused());
    }
    HeaderValue::from_str(name).map_err(|_| refused())
}

fn answer(what: impl fmt::Display) -> Problem {
    Problem::new(Code::Answer, format!("the answer is no scoring result: {what}"))
}

/// The text itself, or what it holds where it is one JSON string.
fn unquoted(text: &str) -> Cow<'_, str> {
    if !text.trim_start().starts_with('"') {
        return Cow::Borrowed(text);
    }
    serde_json::from_str::<String>(text).map_or(Cow::Borrowed(text), Cow::Owned)
}

fn one<'a>(entries: &[(usize, &'a RawValue)], index: usize, key: &str) -> Result<&'a str, Problem> {
    let mut found = entries.iter().filter(|(name, _)| *name == index);
    match (found.next(), found.next()) {
        (Some((_, value)), None) => Ok(value.get()),
        (None, _) => Err(answer(format!("\"{key}\" is missing"))),
        _ => Err(answer(format!("\"{key}\" came twice"))),
    }
}

#[cfg(test)]
mod tests;
