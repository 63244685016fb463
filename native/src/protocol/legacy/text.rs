//! `legacy.text`: one string as the body of the request, one as the answer.

use http::HeaderValue;
use http::uri::PathAndQuery;
use serde::Deserialize;

use super::{body, one_string, path, post};
use crate::element::ElementType;
use crate::failure::{Code, Problem, malformed};
use crate::protocol::declared::Declared;
use crate::protocol::json::Object;
use crate::protocol::spec::{Asked, Authentication, Batch, Protocol, ProtocolSpec};
use crate::tensor::{InputTensor, OutputTensor};
use crate::transport::{Request, Response};

/// The row of the protocol table.
pub(in crate::protocol) const SPEC: ProtocolSpec = ProtocolSpec {
    name: "legacy.text",
    schemes: &["http", "https"],
    authentication: Authentication::ApiKey,
    attributes: &["query"],
    required: &[],
    options: &[],
    required_options: &[],
    own_fields: &[],
    datatypes: &[(ElementType::String, "string")],
    batch: Batch::Whole,
    prepare,
    describe: None,
};

struct Text {
    path: PathAndQuery,
    name: String,
}

fn prepare(node: &Declared) -> Result<Box<dyn Protocol>, Problem> {
    match node.inputs {
        [input] => Ok(Box::new(Text { path: path(node)?, name: input.name.clone() })),
        _ => Err(malformed("it has one input, the body of the request")),
    }
}

impl Protocol for Text {
    fn request<'a>(&self, inputs: &[InputTensor<'a>], _: &Asked) -> Result<Request<'a>, Problem> {
        let tensor = inputs.first().ok_or_else(|| Problem::new(Code::Input, "there is no input"))?;
        let text = one_string(&self.name, tensor)?;
        Ok(post(&self.path, HeaderValue::from_static("application/json"), text.to_vec()))
    }

    fn models(&self, inputs: &[InputTensor], _: &Asked) -> Vec<String> {
        #[derive(Deserialize)]
        struct Body {
            model: String,
        }
        let text = inputs.first().and_then(|tensor| one_string(&self.name, tensor).ok());
        text.and_then(|text| serde_json::from_slice::<Object<Body>>(text).ok())
            .map(|Object(body)| body.model)
            .into_iter()
            .collect()
    }

    fn outputs(&self, response: &Response, _: &Asked) -> Result<Vec<OutputTensor>, Problem> {
        body(response)
    }
}
