//! A node, as its attributes describe it.

mod auth;
mod output_types;

use std::collections::HashSet;
use std::time::Duration;

use serde_json::Value;

use crate::attributes::{self, Required, Text};
use crate::element::ElementType;
use crate::endpoint::Endpoint;
use crate::failure::{Problem, malformed};
use crate::protocol::declared::{Declared, DeclaredInput, DeclaredOutput, OPTIONAL_INPUTS, Optional, OwnAttributes};
use crate::protocol::headers::Headers;
use crate::protocol::options::{OptionInput, Options};
use crate::protocol::spec::{Authentication, Protocol, ProtocolSpec};
use crate::protocol::table;
use crate::protocol::{cutting, cutting::Slice, groups};
use crate::session::cache::settings::Settings;
use crate::session::endpoints::{Endpoints, Places};
use crate::session::hedging::Rule;
use crate::shape::{Shape, ShapeParser};
use crate::tensor::OutputTensor;

pub use self::auth::Auth;
pub use crate::attributes::Attributes;
pub use output_types::output_types;

/// An `Invoke` node.
#[derive(Clone)]
pub struct Node {
    /// Its name in the graph.
    pub name: String,
    /// Its protocol.
    pub protocol: &'static ProtocolSpec,
    /// Its base URL; of several the first.
    pub endpoint: Endpoint,
    /// What else is known of where its requests go.
    pub places: Places,
    /// The protocol's own attributes.
    pub attributes: OwnAttributes,
    /// The options that are constant.
    pub options: Options,
    /// The options that are inputs, between the token and the inputs that travel.
    pub option_inputs: Vec<OptionInput>,
    /// How it gets its token.
    pub auth: Auth,
    /// How it carries it.
    pub authentication: Authentication,
    /// Headers of each of its requests.
    pub headers: Headers,
    /// The inputs that travel; the token and the options are not among them.
    pub inputs: Vec<DeclaredInput>,
    /// Those of them that may be left out.
    pub optional: Optional,
    /// The outputs that travel; those of `on_error="flag"` are not among them.
    pub outputs: Vec<DeclaredOutput>,
    /// What one request holds at most, where a batch is cut.
    pub batch: Option<Slice>,
    /// For each input whether it has the rows that are cut; empty where none are.
    pub with_rows: Vec<bool>,
    /// What it keeps of its answers, if it does.
    pub cache: Option<Settings>,
    /// How many dimension names its shapes have.
    pub shape_names: usize,
    /// The deadline of a call.
    pub timeout: Duration,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long one attempt may take; `None` for as long as the call.
    pub attempt_timeout: Option<Duration>,
    /// Requests after the first.
    pub retries: u32,
    /// When a second request is sent beside one that takes long.
    pub hedge: Option<Rule>,
    /// Whether a failure is data (`ok`, `status`, `error`) instead of an error.
    pub flag: bool,
}

/// What the graph says about a node beside its attributes.
#[derive(Clone, Debug)]
pub struct Signature {
    /// The node's name.
    pub name: String,
    /// How many inputs it has.
    pub inputs: usize,
    /// The declared types of its outputs; `None` for a type that cannot travel.
    pub outputs: Vec<Option<ElementType>>,
}

/// The types of the outputs `ok`, `status` and `error`.
pub const FLAG_OUTPUTS: [ElementType; 3] = [ElementType::Bool, ElementType::Int64, ElementType::String];

impl Node {
    /// The types of all of its outputs, those of `on_error="flag"` included.
    pub fn elements(&self) -> impl Iterator<Item = ElementType> {
        let flags: &[_] = if self.flag { &FLAG_OUTPUTS } else { &[] };
        self.outputs.iter().map(|output| output.element).chain(flags.iter().copied())
    }

    /// Reads a node of a session that gives no URLs; see [`Node::resolved`].
    pub fn parse(attributes: &dyn Attributes, signature: Signature) -> Result<Self, Problem> {
        Self::resolved(attributes, signature, &Endpoints::default())
    }

    /// Reads a node, and finds what its endpoint's name stands for; `Err` is an OH301, OH574 or OH576, or says that it names
    /// a header (OH322) or field (OH323) that is not its own to give.
    pub fn resolved(attributes: &dyn Attributes, signature: Signature, endpoints: &Endpoints) -> Result<Self, Problem> {
        let reader = Reader(attributes);
        let protocol = reader.protocol()?;
        let (auth, flag) = (reader.auth()?, reader.flag()?);
        let mut shapes = ShapeParser::default();
        let option_inputs = reader.option_inputs(protocol)?;
        let (endpoint, places) = endpoints.of(attributes, protocol)?;
        let own = own_attributes(protocol, |name| attributes.text(name))?;
        groups::check(protocol, &own, &option_inputs)?;
        let authentication = authentication(&attributes::AUTH_SCHEME.read(attributes)?, protocol)?;
        let tokens = [protocol.authentication, authentication];
        let given = usize::from(auth == Auth::Input) + option_inputs.len();
        let inputs = reader.inputs(&mut shapes, signature.inputs, given)?;
        let outputs = reader.outputs(&mut shapes, &signature.outputs, flag)?;
        let (batch, with_rows) = cutting::cut(protocol, &own, Slice::read(attributes)?, (&inputs, &outputs))?;
        Ok(Self {
            name: signature.name,
            protocol,
            headers: Headers::parse(&attributes::HEADERS.read(attributes)?, &option_inputs, &tokens, endpoint.wire)?,
            endpoint,
            places,
            optional: Optional::read(own.text(OPTIONAL_INPUTS), &inputs)?,
            attributes: own,
            options: options(protocol, &option_inputs, attributes)?,
            option_inputs,
            auth,
            authentication,
            inputs,
            outputs,
            batch,
            with_rows,
            cache: Settings::of(attributes)?,
            shape_names: shapes.names(),
            timeout: Duration::from_millis(attributes::TIMEOUT.read(attributes)?),
            connect_timeout: Duration::from_millis(attributes::CONNECT_TIMEOUT.read(attributes)?),
            attempt_timeout: attempt_timeout(attributes::ATTEMPT_TIMEOUT.read(attributes)?),
            retries: u32::try_from(attributes::RETRIES.read(attributes)?).unwrap_or(u32::MAX),
            hedge: Rule::parse(&attributes::HEDGE.read(attributes)?)?,
            flag,
        })
    }

    /// Its protocol, prepared for it.
    pub fn prepare(&self) -> Result<Box<dyn Protocol>, Problem> {
        (self.protocol.prepare)(&Declared {
            protocol: self.protocol.name,
            endpoint: &self.endpoint,
            attributes: &self.attributes,
            options: &self.options,
            option_inputs: &self.option_inputs,
            inputs: &self.inputs,
            optional: &self.optional,
            outputs: &self.outputs,
        })
    }

    /// Empty outputs, which a node with `on_error="flag"` gives when its call failed.
    pub fn emptied(&self) -> Vec<OutputTensor> {
        self.outputs.iter().map(|output| OutputTensor::empty(output.element, output.shape.emptied())).collect()
    }
}

/// How long one attempt may take, from an attribute in which 0 is no limit.
pub fn attempt_timeout(milliseconds: u64) -> Option<Duration> {
    (milliseconds > 0).then(|| Duration::from_millis(milliseconds))
}

/// How a node of `protocol` carries its token by this `auth_scheme`.
pub fn authentication(scheme: &str, protocol: &ProtocolSpec) -> Result<Authentication, Problem> {
    let unknown = || malformed(format!("auth_scheme \"{scheme}\" is neither bearer nor api-key"));
    Authentication::parse(scheme, protocol.authentication).ok_or_else(unknown)
}

/// Reads the attributes that `protocol` has of its own.
pub fn own_attributes(
    protocol: &ProtocolSpec,
    text: impl Fn(&str) -> Option<String>,
) -> Result<OwnAttributes, Problem> {
    OwnAttributes::read(protocol.attributes, protocol.required, text)
}

/// Reads the constant options. Refuses an option that is an input as well, and a required one that is neither.
fn options(protocol: &ProtocolSpec, inputs: &[OptionInput], attributes: &dyn Attributes) -> Result<Options, Problem> {
    let options = Options::constant(protocol.options, attributes);
    if let Some(both) = inputs.iter().map(OptionInput::name).find(|name| options.has(name)) {
        return Err(malformed(format!("{both} is both an attribute and an input")));
    }
    let given = |name: &str| options.has(name) || inputs.iter().any(|option| option.name() == name);
    if let Some(missing) = protocol.required_options.iter().find(|name| !given(name)) {
        return Err(malformed(format!("the attribute {missing} is missing")));
    }
    // Checked here once, so that a number that cannot be sent is known before the first call.
    options.with(&[], &[]).map_err(|problem| malformed(problem.message))
}

struct Reader<'a>(&'a dyn Attributes);

impl Reader<'_> {
    fn protocol(&self) -> Result<&'static ProtocolSpec, Problem> {
        let name = attributes::PROTOCOL.read(self.0)?;
        table::find(&name).ok_or_else(|| malformed(format!("protocol \"{name}\" is unknown")))
    }

    fn auth(&self) -> Result<Auth, Problem> {
        let auth = attributes::AUTH.read(self.0)?;
        Auth::parse(&auth).ok_or_else(|| malformed(format!("auth \"{auth}\" is none of none, input, credential:NAME")))
    }

    fn flag(&self) -> Result<bool, Problem> {
        match attributes::ON_ERROR.read(self.0)?.as_str() {
            "raise" => Ok(false),
            "flag" => Ok(true),
            other => Err(malformed(format!("on_error \"{other}\" is neither raise nor flag"))),
        }
    }

    fn names(&self, attribute: Required) -> Result<Vec<String>, Problem> {
        distinct(&attribute.read(self.0)?, attribute.name)
    }

    fn option_names(&self) -> Result<Vec<String>, Problem> {
        match attributes::OPTION_NAMES.read(self.0)? {
            none if none.is_empty() => Ok(Vec::new()),
            text => distinct(&text, attributes::OPTION_NAMES.name),
        }
    }

    fn option_inputs(&self, protocol: &ProtocolSpec) -> Result<Vec<OptionInput>, Problem> {
        let unknown = |name: &String| malformed(format!("{} has no option \"{name}\"", protocol.name));
        let find =
            |name: &String| OptionInput::find(name, protocol.options, protocol.attributes).ok_or_else(|| unknown(name));
        self.option_names()?.iter().map(find).collect()
    }

    fn inputs(&self, shapes: &mut ShapeParser, count: usize, given: usize) -> Result<Vec<DeclaredInput>, Problem> {
        let names = self.names(attributes::INPUT_NAMES)?;
        if names.len() + given != count {
            return Err(malformed(format!(
                "it has {count} inputs, but names {} beside {given} for token and options",
                names.len()
            )));
        }
        let shapes = self.shapes(shapes, attributes::INPUT_SHAPES, names.len())?;
        Ok(names.into_iter().zip(shapes).map(|(name, shape)| DeclaredInput { name, shape }).collect())
    }

    fn outputs(
        &self,
        shapes: &mut ShapeParser,
        elements: &[Option<ElementType>],
        flag: bool,
    ) -> Result<Vec<DeclaredOutput>, Problem> {
        let names = self.names(attributes::OUTPUT_NAMES)?;
        let flags: &[ElementType] = if flag { &FLAG_OUTPUTS } else { &[] };
        if names.len() + flags.len() != elements.len() {
            return Err(malformed(format!(
                "it has {} outputs, but names {} beside {} of on_error",
                elements.len(),
                names.len(),
                flags.len()
            )));
        }
        let (elements, declared_flags) = elements.split_at(names.len());
        if !declared_flags.iter().zip(flags).all(|(declared, flag)| *declared == Some(*flag)) {
            return Err(malformed("its last outputs are not bool, int64 and string, as on_error=\"flag\" has them"));
        }
        let shapes = self.shapes(shapes, attributes::OUTPUT_SHAPES, names.len())?;
        names
            .into_iter()
            .zip(elements)
            .zip(shapes)
            .map(|((name, element), shape)| declared_output(name, *element, shape))
            .collect()
    }

    /// The shapes in a JSON array, one for each of `count` names; all unknown where the attribute is empty.
    fn shapes(&self, parser: &mut ShapeParser, attribute: Text, count: usize) -> Result<Vec<Shape>, Problem> {
        let (text, attribute) = (attribute.read(self.0)?, attribute.name);
        if text.is_empty() {
            return Ok(vec![Shape::UNKNOWN; count]);
        }
        let values: Vec<Value> =
            serde_json::from_str(&text).map_err(|_| malformed(format!("{attribute} is no JSON array")))?;
        if values.len() != count {
            return Err(malformed(format!("{attribute} has {} shapes for {count} names", values.len())));
        }
        let shapes: Option<_> = values.iter().map(|value| parser.parse(value)).collect();
        shapes.ok_or_else(|| malformed(format!("{attribute} holds something that is no shape")))
    }
}

/// The names in a JSON array; refuses one that comes twice.
pub fn distinct(text: &str, attribute: &str) -> Result<Vec<String>, Problem> {
    let names = names(text, attribute)?;
    if names.iter().collect::<HashSet<_>>().len() < names.len() {
        return Err(malformed(format!("{attribute} names something twice")));
    }
    Ok(names)
}

fn names(text: &str, attribute: &str) -> Result<Vec<String>, Problem> {
    serde_json::from_str(text).map_err(|_| malformed(format!("{attribute} is no JSON array of names")))
}

fn declared_output(name: String, element: Option<ElementType>, shape: Shape) -> Result<DeclaredOutput, Problem> {
    match element {
        Some(element) => Ok(DeclaredOutput { name, element, shape, is_blob: false }),
        None => Err(malformed(format!("output \"{name}\" is declared as something that cannot travel"))),
    }
}
