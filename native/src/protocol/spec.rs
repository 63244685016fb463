//! What a protocol is: pure functions between tensors and bytes, and what the table says of it.

use http::{HeaderName, HeaderValue};

use super::answer::check_status;
use super::declared::{Declared, OwnAttributes};
use super::options::{OptionSpec, Options};
use crate::element::ElementType;
use crate::endpoint::Endpoint;
use crate::failure::Problem;
use crate::session::credential::Secret;
use crate::session::spoken::Form;
use crate::tensor::{InputTensor, OutputTensor};
use crate::transport::{Request, Response};

/// A protocol, prepared for one node. It knows no network: it can be tested with bytes alone.
///
/// With [`Batch::Row`] both methods get one row at a time: the caller splits the batch and joins the results.
pub trait Protocol: Send + Sync {
    /// The request that carries `inputs`, one for each of the node's input names.
    fn request<'a>(&self, inputs: &[InputTensor<'a>], asked: &Asked) -> Result<Request<'a>, Problem>;

    /// The names that the request for `inputs` gives the model it asks for, beside the node's attributes.
    fn models(&self, _inputs: &[InputTensor], asked: &Asked) -> Vec<String> {
        ["model", "deployment"].into_iter().filter_map(|option| asked.options.text(option)).map(str::to_owned).collect()
    }

    /// Refuses an answer that is no success, in the server's words.
    fn check(&self, response: &Response) -> Result<(), Problem> {
        check_status(response)
    }

    /// The status of a success.
    fn success(&self) -> u16 {
        200
    }

    /// The two forms of its requests, where it has two; [`Protocol::request`] then gives them in bytes.
    fn forms(&self) -> Option<&dyn Forms> {
        None
    }

    /// The outputs in the body of a success, one for each of the node's output names, of their declared types.
    fn outputs(&self, response: &Response, asked: &Asked) -> Result<Vec<OutputTensor>, Problem>;
}

/// Two forms of one protocol: tensors in bytes, or as JSON, which all of its servers understand.
pub trait Forms: Send + Sync {
    /// The form that the node names; `None` leaves it to the server.
    fn chosen(&self) -> Option<Form>;

    /// The form of a request.
    fn form(&self, request: &Request) -> Form;

    /// A request in bytes as one in JSON; `Err` if JSON cannot carry what it holds.
    fn to_json(&self, request: &Request) -> Result<Request<'static>, Problem>;

    /// Asks the server of a request in which form it takes tensors.
    fn question(&self, request: &Request) -> Request<'static>;

    /// The form that the answer names; `None` where it is no answer to the question.
    fn told(&self, response: &Response) -> Option<Form>;
}

/// What one call asks for beside its tensors; it is kept until the answer has been read.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The options of the call.
    pub options: Options,
    /// The size of the first input's first dimension; 1 for a scalar.
    pub rows: usize,
}

/// What a batch becomes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Batch {
    /// One request, which cannot be cut: what is sent has no rows.
    Whole,
    /// One request, or one for each slice of its rows.
    Request,
    /// The same, and none for an empty batch, which the service would refuse.
    Filled,
    /// A request for each row, side by side.
    Row,
}

impl Batch {
    /// As the protocol table shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
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
    /// What the attribute `auth_scheme` calls; `None` for an unknown one. An empty text is the protocol's own.
    pub fn parse(scheme: &str, own: Self) -> Option<Self> {
        match scheme {
            "" => Some(own),
            "bearer" => Some(Self::Bearer),
            "api-key" => Some(Self::ApiKey),
            _ => None,
        }
    }

    /// As the protocol table shows it.
    pub fn name(self) -> &'static str {
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

/// A tensor as a server describes it; -1 is a dimension of any size.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TensorSpec {
    /// The name on the wire.
    pub name: String,
    /// The type of the elements.
    pub element: ElementType,
    /// The dimensions; `None` where even their number is not told.
    pub shape: Option<Vec<i64>>,
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
    pub request: fn(&Endpoint, &OwnAttributes) -> Result<Request<'static>, Problem>,
    /// Reads the answer; an error status is refused as it is for a call.
    pub description: fn(&Response) -> Result<Description, Problem>,
    /// The question after it, for the model's configuration; servers need not answer it.
    pub config: fn(&Endpoint, &OwnAttributes) -> Result<Request<'static>, Problem>,
    /// Reads which inputs may be left out.
    pub optional: OptionalNames,
}

/// Reads the names of the inputs that may be left out.
pub type OptionalNames = fn(&Response) -> Result<Vec<String>, Problem>;

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
    /// The attributes of these that a node must have.
    pub required: &'static [&'static str],
    /// Attributes that may be inputs instead, named in `option_names`.
    pub options: &'static [OptionSpec],
    /// The options of these that a node must have, as an attribute or as an input.
    pub required_options: &'static [&'static str],
    /// Fields that neither `extra` nor `parameters` may name, since the protocol sends them itself or could not read the
    /// answer, and what says them instead. A `*` at the end stands for whatever follows.
    pub own_fields: &'static [(&'static str, &'static str)],
    /// Element types that can travel, with their names on the wire.
    pub datatypes: &'static [(ElementType, &'static str)],
    /// What a batch becomes.
    pub batch: Batch,
    /// Prepares the protocol for a node, once, when its session is created.
    pub prepare: fn(&Declared) -> Result<Box<dyn Protocol>, Problem>,
    /// How it discovers a model's interface, if it can.
    pub describe: Option<Describe>,
}
