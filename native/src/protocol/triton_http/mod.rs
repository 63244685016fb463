//! `triton.http`: KServe v2 over HTTP, with Triton's binary tensor data extension in both directions where the server has
//! it, and otherwise with tensors as JSON.
//!
//! Source: <https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md>.

mod decode;
mod encode;
mod plain;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method};

use self::decode::HEADER_LENGTH;
use super::answer::{check_status, check_text, failed};
use super::declared::{Declared, DeclaredInput, DeclaredOutput, OPTIONAL_INPUTS, Optional, OwnAttributes};
use super::groups::Fields;
use super::kserve::{self, blobs::Blobs};
use super::options::Group;
use super::spec::{Asked, Authentication, Batch, Describe, Description, Forms, Protocol, ProtocolSpec};
use super::told;
use crate::endpoint::Endpoint;
use crate::failure::{Code, Problem, malformed};
use crate::session::spoken::Form;
use crate::tensor::{InputTensor, OutputTensor};
use crate::transport::{Body, Request, Response};

/// The row of the protocol table.
pub(super) const SPEC: ProtocolSpec = ProtocolSpec {
    name: "triton.http",
    schemes: &["http", "https"],
    authentication: Authentication::Bearer,
    attributes: &["model", "version", "parameters", kserve::blobs::ATTRIBUTE, "binary", OPTIONAL_INPUTS],
    required: &["model"],
    options: &[],
    required_options: &[],
    own_fields: kserve::OWN_PARAMETERS,
    datatypes: kserve::DATATYPES,
    batch: Batch::Request,
    prepare,
    describe: Some(Describe {
        request: metadata_request,
        description: metadata,
        config: config_request,
        optional: optional_names,
    }),
};

struct TritonHttp {
    path: PathAndQuery,
    /// The server itself.
    root: PathAndQuery,
    /// The form that the node names, if it does.
    form: Option<Form>,
    template: encode::Template,
    parameters: Fields,
    blobs: Blobs,
    inputs: Vec<DeclaredInput>,
    optional: Optional,
    outputs: Vec<DeclaredOutput>,
}

fn prepare(node: &Declared) -> Result<Box<dyn Protocol>, Problem> {
    let (blobs, outputs) = kserve::blobs::read(node)?;
    Ok(Box::new(TritonHttp {
        path: path(node.endpoint, node.attributes, &["infer"])?,
        root: node.endpoint.path(&["v2"]).ok_or_else(|| malformed("its endpoint makes no path"))?,
        form: form(node.attributes.text("binary"))?,
        template: encode::Template::new(node.inputs, node.outputs),
        parameters: Fields::read(Group::Parameters, node.attributes)?,
        blobs,
        inputs: node.inputs.to_vec(),
        optional: node.optional.clone(),
        outputs,
    }))
}

/// The form that the attribute `binary` names.
fn form(binary: &str) -> Result<Option<Form>, Problem> {
    match binary {
        "" | "auto" => Ok(None),
        "true" => Ok(Some(Form::Bytes)),
        "false" => Ok(Some(Form::Json)),
        _ => Err(malformed(format!("binary \"{binary}\" is none of auto, true, false"))),
    }
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
        let parameters = self.parameters.object(asked);
        let travelling = self.blobs.travelling(inputs)?;
        let (body, header_length) = match kserve::optional::sent(&self.inputs, &self.optional, inputs, &travelling) {
            None => self.template.fill(&travelling, parameters.as_deref())?,
            Some((sent, tensors)) => {
                encode::Template::new(&sent, &self.outputs).fill(&tensors, parameters.as_deref())?
            }
        };
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        headers.insert(HEADER_LENGTH, HeaderValue::from(header_length));
        Ok(Request { method: Method::POST, path: self.path.clone(), headers, body })
    }

    fn forms(&self) -> Option<&dyn Forms> {
        Some(self)
    }

    fn outputs(&self, response: &Response, _: &Asked) -> Result<Vec<OutputTensor>, Problem> {
        decode::outputs(response, &self.outputs)
    }
}

impl Forms for TritonHttp {
    fn chosen(&self) -> Option<Form> {
        self.form
    }

    fn form(&self, request: &Request) -> Form {
        if plain::header_length(request).is_some() { Form::Bytes } else { Form::Json }
    }

    fn to_json(&self, request: &Request) -> Result<Request<'static>, Problem> {
        plain::to_json(request)
    }

    fn question(&self, request: &Request) -> Request<'static> {
        let mut headers = request.headers.clone();
        for name in [http::header::CONTENT_TYPE, HEADER_LENGTH] {
            headers.remove(name);
        }
        Request { method: Method::GET, path: self.root.clone(), headers, body: Body::default() }
    }

    fn told(&self, response: &Response) -> Option<Form> {
        let form = |binary| if binary { Form::Bytes } else { Form::Json };
        kserve::metadata::names_binary(&response.body.join()).filter(|_| response.status == 200).map(form)
    }
}

fn metadata_request(endpoint: &Endpoint, attributes: &OwnAttributes) -> Result<Request<'static>, Problem> {
    get(path(endpoint, attributes, &[])?)
}

fn config_request(endpoint: &Endpoint, attributes: &OwnAttributes) -> Result<Request<'static>, Problem> {
    get(path(endpoint, attributes, &["config"])?)
}

fn get(path: PathAndQuery) -> Result<Request<'static>, Problem> {
    Ok(Request { method: Method::GET, path, headers: HeaderMap::new(), body: Body::default() })
}

fn optional_names(response: &Response) -> Result<Vec<String>, Problem> {
    check_status(response)?;
    kserve::optional::named(&response.body.join())
}

fn metadata(response: &Response) -> Result<Description, Problem> {
    check_status(response)?;
    let body = response.body.join();
    let reported = || std::str::from_utf8(&body).ok().and_then(|text| told::failure(text, "inputs"));
    let read = check_text(response).and_then(|()| match kserve::metadata::read(&body) {
        Err(problem) => Err(reported().map_or(problem, failed)),
        read => read,
    });
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
