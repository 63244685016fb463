//! `triton.http`: KServe v2 over HTTP with Triton's binary tensor data extension in both directions.
//!
//! Source: <https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md>.

mod decode;
mod encode;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method};

use self::decode::HEADER_LENGTH;
use super::answer::{check_content, check_status};
use super::declared::{Declared, DeclaredOutput, OwnAttributes};
use super::groups::Fields;
use super::kserve::{self, blobs::Blobs};
use super::options::Group;
use super::spec::{Asked, Authentication, Batch, Describe, Description, Protocol, ProtocolSpec};
use crate::endpoint::Endpoint;
use crate::failure::{Code, Problem};
use crate::tensor::{InputTensor, OutputTensor};
use crate::transport::{Body, Request, Response};

/// The row of the protocol table.
pub(super) const SPEC: ProtocolSpec = ProtocolSpec {
    name: "triton.http",
    schemes: &["http", "https"],
    authentication: Authentication::Bearer,
    attributes: &["model", "version", "parameters", kserve::blobs::ATTRIBUTE],
    required: &["model"],
    options: &[],
    required_options: &[],
    own_fields: kserve::OWN_PARAMETERS,
    datatypes: kserve::DATATYPES,
    batch: Batch::Request,
    prepare,
    describe: Some(Describe { request: metadata_request, description: metadata }),
};

struct TritonHttp {
    path: PathAndQuery,
    template: encode::Template,
    parameters: Fields,
    blobs: Blobs,
    outputs: Vec<DeclaredOutput>,
}

fn prepare(node: &Declared) -> Result<Box<dyn Protocol>, Problem> {
    let (blobs, outputs) = kserve::blobs::read(node)?;
    Ok(Box::new(TritonHttp {
        path: path(node.endpoint, node.attributes, &["infer"])?,
        template: encode::Template::new(node.inputs, node.outputs),
        parameters: Fields::read(Group::Parameters, node.attributes)?,
        blobs,
        outputs,
    }))
}

fn path(endpoint: &Endpoint, attributes: &OwnAttributes, rest: &[&str]) -> Result<PathAndQuery, Problem> {
    let (model, version) = (attributes.text("model"), attributes.text("version"));
    let mut segments = vec!["v2", "models", model];
    if !version.is_empty() {
        segments.extend(["versions", version]);
    }
    segments.extend(rest);
    let message = || format!("model \"{model}\" and version \"{version}\" make no path");
    endpoint.path(&segments).ok_or_else(|| Problem::new(Code::Node, message()))
}

impl Protocol for TritonHttp {
    fn request<'a>(&self, inputs: &[InputTensor<'a>], asked: &Asked) -> Result<Request<'a>, Problem> {
        let inputs = self.blobs.travelling(inputs)?;
        let (body, header_length) = self.template.fill(&inputs, self.parameters.object(asked).as_deref())?;
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        headers.insert(HEADER_LENGTH, HeaderValue::from(header_length));
        Ok(Request { method: Method::POST, path: self.path.clone(), headers, body })
    }

    fn outputs(&self, response: &Response, _: &Asked) -> Result<Vec<OutputTensor>, Problem> {
        decode::outputs(response, &self.outputs)
    }
}

fn metadata_request(endpoint: &Endpoint, attributes: &OwnAttributes) -> Result<Request<'static>, Problem> {
    let path = path(endpoint, attributes, &[])?;
    Ok(Request { method: Method::GET, path, headers: HeaderMap::new(), body: Body::default() })
}

fn metadata(response: &Response) -> Result<Description, Problem> {
    check_status(response)?;
    let read =
        check_content(response, &["application/json"]).and_then(|()| kserve::metadata::read(&response.body.join()));
    read.map_err(|problem| problem.with_status(200))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path_of(model: &str, version: &str) -> Option<String> {
        let attributes = OwnAttributes::from([("model", model), ("version", version)]);
        path(&Endpoint::parse("http://h/base").unwrap(), &attributes, &["infer"]).ok().map(|path| path.to_string())
    }

    #[test]
    fn model_and_version_are_encoded_into_the_path() {
        assert_eq!(path_of("digits", "").unwrap(), "/base/v2/models/digits/infer");
        assert_eq!(path_of("a/b?", "1 2").unwrap(), "/base/v2/models/a%2Fb%3F/versions/1%202/infer");
        assert_eq!(path_of("..", ""), None);
    }
}
