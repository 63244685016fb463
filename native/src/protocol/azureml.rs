//! `azureml.score`: the scoring URI of an AzureML online endpoint, or of an MLflow scoring server, JSON both ways.
//!
//! What the body holds is the scoring script's choice: [`form`] has the requests. An answer is an object with the outputs
//! by name, `{"result": nested lists}`, `{"predictions": …}`, or bare nested lists: [`results`] reads them all. Scripts
//! often return `json.dumps(…)`, which the server encodes once more, so an answer that is a string holding JSON is read
//! as that JSON.
//! Source: <https://learn.microsoft.com/azure/machine-learning/how-to-authenticate-online-endpoint> and
//! <https://mlflow.org/docs/latest/deployment/deploy-model-locally.html>.

mod form;
mod results;

use std::borrow::Cow;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use self::form::Form;
use super::answer::check_text;
use super::declared::{Declared, DeclaredInput, DeclaredOutput};
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

struct Score {
    path: PathAndQuery,
    form: Form,
    inputs: Vec<DeclaredInput>,
    outputs: Vec<DeclaredOutput>,
}

fn prepare(node: &Declared) -> Result<Box<dyn Protocol>, Problem> {
    Ok(Box::new(Score {
        path: node
            .endpoint
            .exact_path_and_query("")
            .ok_or_else(|| malformed("the endpoint has no path that can be sent"))?,
        form: Form::parse(node.attributes.text("form"), node.inputs.len(), node.outputs.len())?,
        inputs: node.inputs.to_vec(),
        outputs: node.outputs.to_vec(),
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
        let body = self.form.body(&self.inputs, inputs)?.into();
        Ok(Request { method: Method::POST, path: self.path.clone(), headers, body })
    }

    fn outputs(&self, response: &Response, asked: &Asked) -> Result<Vec<OutputTensor>, Problem> {
        check_text(response)?;
        let body = response.body.join();
        let text = std::str::from_utf8(&body).map_err(|_| results::answer("it is no UTF-8"))?;
        let is_of_rows = |output: &DeclaredOutput, rows: i64| {
            let counts = self.inputs.first().is_some_and(|input| output.shape.has_rows_of(&input.shape));
            !counts || usize::try_from(rows) == Ok(asked.rows)
        };
        results::read(&unquoted(text), self.form, &self.outputs, is_of_rows)
    }
}

fn deployment_header(name: &str) -> Result<HeaderValue, Problem> {
    let refused = || Problem::new(Code::Input, "the deployment is no name of visible ASCII characters");
    if !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(refused());
    }
    HeaderValue::from_str(name).map_err(|_| refused())
}

/// The text itself, or what it holds where it is one JSON string.
fn unquoted(text: &str) -> Cow<'_, str> {
    if !text.trim_start().starts_with('"') {
        return Cow::Borrowed(text);
    }
    serde_json::from_str::<String>(text).map_or(Cow::Borrowed(text), Cow::Owned)
}

#[cfg(test)]
mod tests;
