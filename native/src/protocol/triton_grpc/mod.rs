//! `triton.grpc`: KServe v2 over gRPC, the methods `ModelInfer` and `ModelMetadata`.
//!
//! Source:
//! <https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/open_inference_grpc.proto>.

mod config;
mod decode;
mod encode;
mod parameters;

use http::uri::PathAndQuery;

use super::declared::{Declared, DeclaredInput, DeclaredOutput, OPTIONAL_INPUTS, Optional, OwnAttributes};
use super::groups::Fields;
use super::kserve::{self, blobs::Blobs};
use super::options::Group;
use super::spec::{Asked, Authentication, Batch, Describe, Description, Protocol, ProtocolSpec};
use super::{grpc, protobuf};
use crate::endpoint::Endpoint;
use crate::failure::{Code, Problem};
use crate::tensor::{InputTensor, OutputTensor};
use crate::transport::{Request, Response};

/// The row of the protocol table.
pub(super) const SPEC: ProtocolSpec = ProtocolSpec {
    name: "triton.grpc",
    schemes: &["grpc", "grpcs"],
    authentication: Authentication::Bearer,
    attributes: &["model", "version", "parameters", kserve::blobs::ATTRIBUTE, OPTIONAL_INPUTS],
    required: &["model"],
    datatypes: kserve::DATATYPES,
    options: &[],
    required_options: &[],
    own_fields: kserve::OWN_PARAMETERS,
    batch: Batch::Request,
    prepare,
    describe: Some(Describe {
        request: metadata_request,
        description: metadata,
        config: config_request,
        optional: optional_names,
    }),
};

struct TritonGrpc {
    /// The model's name and version.
    model: (String, String),
    path: PathAndQuery,
    template: encode::Template,
    parameters: Fields,
    blobs: Blobs,
    inputs: Vec<DeclaredInput>,
    optional: Optional,
    outputs: Vec<DeclaredOutput>,
}

fn prepare(node: &Declared) -> Result<Box<dyn Protocol>, Problem> {
    let (blobs, outputs) = kserve::blobs::read(node)?;
    let (model, version) = (node.attributes.text("model"), node.attributes.text("version"));
    Ok(Box::new(TritonGrpc {
        model: (model.to_owned(), version.to_owned()),
        path: path(node.endpoint, "ModelInfer")?,
        template: encode::Template::new(model, version, node.inputs, node.outputs),
        parameters: Fields::read(Group::Parameters, node.attributes)?,
        blobs,
        inputs: node.inputs.to_vec(),
        optional: node.optional.clone(),
        outputs,
    }))
}

fn path(endpoint: &Endpoint, method: &str) -> Result<PathAndQuery, Problem> {
    let path = endpoint.path(&["inference.GRPCInferenceService", method]);
    path.ok_or_else(|| Problem::new(Code::Node, "the endpoint's path is too long"))
}

impl TritonGrpc {
    fn template_of(&self, inputs: &[DeclaredInput]) -> encode::Template {
        encode::Template::new(&self.model.0, &self.model.1, inputs, &self.outputs)
    }
}

impl Protocol for TritonGrpc {
    fn request(&self, inputs: &[InputTensor], asked: &Asked) -> Result<Request<'static>, Problem> {
        let parameters = parameters::message(&self.parameters, asked)?;
        let travelling = self.blobs.travelling(inputs)?;
        let body = match kserve::optional::sent(&self.inputs, &self.optional, inputs, &travelling) {
            None => self.template.fill(&travelling, &parameters)?,
            Some((sent, tensors)) => self.template_of(&sent).fill(&tensors, &parameters)?,
        };
        Ok(grpc::request(self.path.clone(), body))
    }

    fn check(&self, response: &Response) -> Result<(), Problem> {
        grpc::check(response)
    }

    fn success(&self) -> u16 {
        0
    }

    fn outputs(&self, response: &Response, _: &Asked) -> Result<Vec<OutputTensor>, Problem> {
        decode::outputs(grpc::message(response)?, &self.outputs)
    }
}

fn metadata_request(endpoint: &Endpoint, attributes: &OwnAttributes) -> Result<Request<'static>, Problem> {
    question(endpoint, attributes, "ModelMetadata")
}

fn config_request(endpoint: &Endpoint, attributes: &OwnAttributes) -> Result<Request<'static>, Problem> {
    question(endpoint, attributes, "ModelConfig")
}

/// A request of one of the methods that take the name and the version of a model.
fn question(endpoint: &Endpoint, attributes: &OwnAttributes, method: &str) -> Result<Request<'static>, Problem> {
    let mut fields = Vec::new();
    for (number, name) in [(1, "model"), (2, "version")] {
        protobuf::put_bytes(&mut fields, number, attributes.text(name).as_bytes());
    }
    let mut body = grpc::begin(fields.len())?;
    body.extend_from_slice(&fields);
    Ok(grpc::request(path(endpoint, method)?, body))
}

fn optional_names(response: &Response) -> Result<Vec<String>, Problem> {
    grpc::check(response)?;
    config::optional(grpc::message(response)?)
}

fn metadata(response: &Response) -> Result<Description, Problem> {
    grpc::check(response)?;
    grpc::message(response).and_then(decode::metadata).map_err(|problem| problem.or_status(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_named_in_the_message_and_the_method_in_the_path() {
        let attributes = OwnAttributes::from([("model", "a/b"), ("version", "7")]);
        let request = metadata_request(&Endpoint::parse("grpc://h:8001/base").unwrap(), &attributes).unwrap();
        assert_eq!(request.path, "/base/inference.GRPCInferenceService/ModelMetadata");
        assert_eq!(request.body.join(), &b"\0\0\0\0\x08\x0a\x03a/b\x12\x017"[..]);
        assert_eq!(request.headers["te"], "trailers");
    }
}
