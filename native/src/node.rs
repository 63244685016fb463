//! A node, as its attributes describe it.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::Value;

use crate::element::ElementType;
use crate::endpoint::Endpoint;
use crate::failure::{Code, Problem};
use crate::protocol::options::{OptionSpec, Settings};
use crate::protocol::{self, Options, ProtocolSpec};
use crate::shape::{Shape, ShapeParser};
use crate::tensor::OutputTensor;

/// Where a node's attributes are read from.
pub trait Attributes {
    /// A text attribute, if it is there.
    fn text(&self, name: &str) -> Option<String>;
    /// An integer attribute, if it is there.
    fn integer(&self, name: &str) -> Option<i64>;
    /// A float attribute, if it is there.
    fn float(&self, _name: &str) -> Option<f32> {
        None
    }
}

/// How a node gets its token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Auth {
    /// It needs none.
    None,
    /// Its first input is the token.
    Input,
    /// The scope holds it under this name.
    Credential(String),
}

impl Auth {
    /// Reads `none`, `input` or `credential:NAME`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "none" => Some(Self::None),
            "input" => Some(Self::Input),
            _ => text
                .strip_prefix("credential:")
                .filter(|name| !name.is_empty())
                .map(|name| Self::Credential(name.into())),
        }
    }
}

/// An input that the node declares.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeclaredInput {
    /// The name on the wire.
    pub name: String,
    /// Its shape as far as it is known.
    pub shape: Shape,
}

/// An output that the node declares.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeclaredOutput {
    /// The name on the wire.
    pub name: String,
    /// Its type, as the graph declares it.
    pub element: ElementType,
    /// Its shape as far as it is known.
    pub shape: Shape,
}

/// An `Invoke` node.
#[derive(Clone)]
pub struct Node {
    /// Its name in the graph.
    pub name: String,
    /// Its protocol.
    pub protocol: &'static ProtocolSpec,
    /// Its base URL.
    pub endpoint: Endpoint,
    /// The protocol's own attributes.
    pub options: Options,
    /// The options that are constant.
    pub settings: Settings,
    /// The options that are inputs, between the token and the inputs that travel.
    pub option_inputs: Vec<OptionSpec>,
    /// How it gets its token.
    pub auth: Auth,
    /// The inputs that travel; the token and the options are not among them.
    pub inputs: Vec<DeclaredInput>,
    /// The outputs that travel; those of `on_error="flag"` are not among them.
    pub outputs: Vec<DeclaredOutput>,
    /// Names that recur in shapes.
    pub shape_names: usize,
    /// The deadline of a call.
    pub timeout: Duration,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// Requests after the first.
    pub retries: u32,
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

    /// Reads a node; every `Err` is an OH301.
    pub fn parse(attributes: &dyn Attributes, signature: Signature) -> Result<Self, Problem> {
        let reader = Reader(attributes);
        let protocol_name = reader.required("protocol")?;
        let protocol = protocol::find(&protocol_name)
            .ok_or_else(|| malformed(format!("protocol \"{protocol_name}\" is unknown")))?;
        let auth = attributes.text("auth").unwrap_or_else(|| "none".into());
        let auth = Auth::parse(&auth)
            .ok_or_else(|| malformed(format!("auth \"{auth}\" is none of none, input, credential:NAME")))?;
        let flag = reader.flag()?;
        let mut shapes = ShapeParser::default();
        let option_inputs = reader.option_inputs(protocol)?;
        let given = usize::from(auth == Auth::Input) + option_inputs.len();
        let inputs = reader.inputs(&mut shapes, signature.inputs, given)?;
        let outputs = reader.outputs(&mut shapes, &signature.outputs, flag)?;
        Ok(Self {
            name: signature.name,
            protocol,
            endpoint: endpoint(&reader.required("endpoint")?, protocol)?,
            options: options(protocol, |name| attributes.text(name))?,
            settings: settings(protocol, &option_inputs, attributes)?,
            option_inputs,
            auth,
            inputs,
            outputs,
            shape_names: shapes.names(),
            timeout: reader.milliseconds("timeout_ms", 30_000)?,
            connect_timeout: reader.milliseconds("connect_timeout_ms", 5_000)?,
            retries: reader.retries()?,
            flag,
        })
    }
}

impl Node {
    /// The outputs without elements, as far as their shapes allow.
    pub fn emptied(&self) -> Vec<OutputTensor> {
        self.outputs.iter().map(|output| OutputTensor::empty(output.element, output.shape.emptied())).collect()
    }
}

/// Reads an endpoint that `protocol` can be spoken with.
pub fn endpoint(text: &str, protocol: &ProtocolSpec) -> Result<Endpoint, Problem> {
    let endpoint = Endpoint::parse(text).map_err(|what| malformed(format!("the endpoint {what}")))?;
    if !protocol.schemes.contains(&endpoint.scheme()) {
        return Err(malformed(format!("{} is not spoken over {}", protocol.name, endpoint.scheme())));
    }
    Ok(endpoint)
}

/// Reads the attributes that `protocol` has of its own.
pub fn options(protocol: &ProtocolSpec, text: impl Fn(&str) -> Option<String>) -> Result<Options, Problem> {
    let options = Options(protocol.attributes.iter().map(|name| (*name, text(name).unwrap_or_default())).collect());
    match protocol.required.iter().find(|name| options.text(name).is_empty()) {
        Some(missing) => Err(malformed(format!("the attribute {missing} is missing"))),
        None => Ok(options),
    }
}

/// Reads the options that are constant; none of them may be an input too.
fn settings(protocol: &ProtocolSpec, inputs: &[OptionSpec], attributes: &dyn Attributes) -> Result<Settings, Problem> {
    let settings = Settings::constant(protocol.options, attributes);
    match inputs.iter().find(|option| settings.has(option.name)) {
        Some(option) => Err(malformed(format!("{} is both an attribute and an input", option.name))),
        // Checked here once, so that a number that cannot be sent is known before the first call.
        None => settings.with(&[], &[]).map_err(|problem| malformed(problem.message)),
    }
}

struct Reader<'a>(&'a dyn Attributes);

impl Reader<'_> {
    fn required(&self, name: &str) -> Result<String, Problem> {
        self.0
            .text(name)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| malformed(format!("the attribute {name} is missing")))
    }

    fn milliseconds(&self, name: &str, default: u64) -> Result<Duration, Problem> {
        let Some(value) = self.0.integer(name) else { return Ok(Duration::from_millis(default)) };
        // A year bounds what a clock must be able to add.
        match u64::try_from(value) {
            Ok(millis @ 1..=31_536_000_000) => Ok(Duration::from_millis(millis)),
            _ => Err(malformed(format!("{name} is {value}, no time in milliseconds"))),
        }
    }

    fn retries(&self) -> Result<u32, Problem> {
        let value = self.0.integer("retries").unwrap_or(2);
        u32::try_from(value).map_err(|_| malformed(format!("retries is {value}")))
    }

    fn flag(&self) -> Result<bool, Problem> {
        match self.0.text("on_error").as_deref() {
            None | Some("raise") => Ok(false),
            Some("flag") => Ok(true),
            Some(other) => Err(malformed(format!("on_error \"{other}\" is neither raise nor flag"))),
        }
    }

    fn option_inputs(&self, protocol: &ProtocolSpec) -> Result<Vec<OptionSpec>, Problem> {
        if self.0.text("option_names").is_none_or(|text| text.is_empty()) {
            return Ok(Vec::new());
        }
        let find = |name: &String| {
            let option = protocol.options.iter().find(|option| option.name == name);
            option.copied().ok_or_else(|| malformed(format!("{} has no option \"{name}\"", protocol.name)))
        };
        self.names("option_names")?.iter().map(find).collect()
    }

    fn inputs(&self, shapes: &mut ShapeParser, count: usize, given: usize) -> Result<Vec<DeclaredInput>, Problem> {
        let names = self.names("input_names")?;
        if names.len() + given != count {
            return Err(malformed(format!(
                "it has {count} inputs, but names {} beside {given} for token and options",
                names.len()
            )));
        }
        let shapes = self.shapes(shapes, "input_shapes", names.len())?;
        Ok(names.into_iter().zip(shapes).map(|(name, shape)| DeclaredInput { name, shape }).collect())
    }

    fn outputs(
        &self,
        shapes: &mut ShapeParser,
        elements: &[Option<ElementType>],
        flag: bool,
    ) -> Result<Vec<DeclaredOutput>, Problem> {
        let names = self.names("output_names")?;
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
            return Err(malformed(
                "its last outputs are not bool, int64 and string, as on_error=\"flag\" has them".into(),
            ));
        }
        let shapes = self.shapes(shapes, "output_shapes", names.len())?;
        names
            .into_iter()
            .zip(elements)
            .zip(shapes)
            .map(|((name, element), shape)| declared_output(name, *element, shape))
            .collect()
    }

    fn names(&self, attribute: &str) -> Result<Vec<String>, Problem> {
        let text = self.required(attribute)?;
        let names: Vec<String> =
            serde_json::from_str(&text).map_err(|_| malformed(format!("{attribute} is no JSON array of names")))?;
        if names.iter().collect::<HashSet<_>>().len() < names.len() {
            return Err(malformed(format!("{attribute} names something twice")));
        }
        Ok(names)
    }

    fn shapes(&self, parser: &mut ShapeParser, attribute: &str, count: usize) -> Result<Vec<Shape>, Problem> {
        let Some(text) = self.0.text(attribute).filter(|text| !text.is_empty()) else {
            return Ok(vec![Shape::UNKNOWN; count]);
        };
        let values: Vec<Value> =
            serde_json::from_str(&text).map_err(|_| malformed(format!("{attribute} is no JSON array")))?;
        if values.len() != count {
            return Err(malformed(format!("{attribute} has {} shapes for {count} names", values.len())));
        }
        let shapes: Option<_> = values.iter().map(|value| parser.parse(value)).collect();
        shapes.ok_or_else(|| malformed(format!("{attribute} holds something that is no shape")))
    }
}

fn declared_output(name: String, element: Option<ElementType>, shape: Shape) -> Result<DeclaredOutput, Problem> {
    match element {
        Some(element) => Ok(DeclaredOutput { name, element, shape }),
        None => Err(malformed(format!("output \"{name}\" is declared as something that cannot travel"))),
    }
}

/// The types that the attribute `output_types` names, and those of `on_error="flag"`: for a node that gives its outputs
/// elsewhere, and so cannot be asked for them.
pub fn output_types(attributes: &dyn Attributes) -> Result<Vec<Option<ElementType>>, Problem> {
    let reader = Reader(attributes);
    let names: Vec<String> = serde_json::from_str(&reader.required("output_types")?)
        .map_err(|_| malformed("output_types is no JSON array of names".into()))?;
    let mut elements: Vec<_> = names.iter().map(|name| ElementType::from_name(name)).collect();
    if let Some(unknown) = elements.iter().position(Option::is_none) {
        return Err(malformed(format!("output_types names \"{}\", which is no type", names[unknown])));
    }
    elements.extend(reader.flag()?.then_some(FLAG_OUTPUTS.map(Some)).into_iter().flatten());
    Ok(elements)
}

fn malformed(message: String) -> Problem {
    Problem::new(Code::Node, format!("the node is malformed: {message}"))
}
