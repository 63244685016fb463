//! What a node declares of its calls, as far as a protocol needs to know it.

use super::options::{Group, OptionInput, Options};
use crate::element::ElementType;
use crate::endpoint::Endpoint;
use crate::failure::{Problem, malformed};
use crate::shape::Shape;
use crate::tensor::InputTensor;

/// An input that a node declares.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeclaredInput {
    /// The name on the wire.
    pub name: String,
    /// Its shape as far as it is known.
    pub shape: Shape,
}

/// An output that a node declares.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeclaredOutput {
    /// The name on the wire.
    pub name: String,
    /// Its type, as the graph declares it.
    pub element: ElementType,
    /// Its shape as far as it is known.
    pub shape: Shape,
    /// Whether it is the one string of a tensor on the wire, as uint8.
    pub is_blob: bool,
}

/// The inputs of a node that may be left out. In the graph each has an empty tensor as its default.
#[derive(Clone, Debug, Default)]
pub struct Optional(Vec<String>);

impl Optional {
    /// Reads the attribute `optional_inputs`: a JSON array of names among those of `inputs`, or nothing.
    pub fn read(text: &str, inputs: &[DeclaredInput]) -> Result<Self, Problem> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let names: Vec<String> = serde_json::from_str(text)
            .map_err(|_| malformed(format!("{OPTIONAL_INPUTS} is no JSON array of names")))?;
        match names.iter().find(|name| !inputs.iter().any(|input| input.name == **name)) {
            Some(unknown) => Err(malformed(format!("{OPTIONAL_INPUTS} names \"{unknown}\", which is no input"))),
            None => Ok(Self(names)),
        }
    }

    /// Whether `tensor`, what `input` was given, is its default. That has a size of 0 in each dimension: a batch without
    /// a row has other sizes beside, and is sent.
    pub fn is_left_out(&self, input: &DeclaredInput, tensor: &InputTensor) -> bool {
        !self.0.is_empty()
            && !tensor.shape.is_empty()
            && tensor.shape.iter().all(|size| *size == 0)
            && self.0.contains(&input.name)
    }
}

/// The attribute that names the inputs that may be left out, of protocols that have it.
pub const OPTIONAL_INPUTS: &str = "optional_inputs";

/// The attributes of a node that only its protocol knows, by name. They are texts; those that are absent are empty.
#[derive(Clone, Debug, Default)]
pub struct OwnAttributes(Vec<(&'static str, String)>);

impl OwnAttributes {
    /// Reads those called `names`; `Err` if one of `required` is absent or empty.
    pub fn read(
        names: &[&'static str],
        required: &[&str],
        text: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Problem> {
        let attributes = Self(names.iter().map(|name| (*name, text(name).unwrap_or_default())).collect());
        match required.iter().find(|name| attributes.text(name).is_empty()) {
            Some(missing) => Err(malformed(format!("the attribute {missing} is missing"))),
            None => Ok(attributes),
        }
    }

    /// The attribute's text; empty if absent.
    pub fn text(&self, name: &str) -> &str {
        self.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }

    /// Each name with its text, in the protocol's order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, text)| (*name, text.as_str()))
    }
}

impl<const N: usize> From<[(&'static str, &str); N]> for OwnAttributes {
    fn from(attributes: [(&'static str, &str); N]) -> Self {
        Self(attributes.into_iter().map(|(name, text)| (name, text.to_owned())).collect())
    }
}

/// What a protocol needs to know of a node to be prepared for it.
#[derive(Clone, Copy, Debug)]
pub struct Declared<'a> {
    /// The protocol's name.
    pub protocol: &'static str,
    /// The base URL.
    pub endpoint: &'a Endpoint,
    /// The protocol's own attributes.
    pub attributes: &'a OwnAttributes,
    /// The options that are constant.
    pub options: &'a Options,
    /// The options that are inputs.
    pub option_inputs: &'a [OptionInput],
    /// The inputs that travel.
    pub inputs: &'a [DeclaredInput],
    /// Those of them that may be left out.
    pub optional: &'a Optional,
    /// The outputs that travel.
    pub outputs: &'a [DeclaredOutput],
}

impl Declared<'_> {
    /// Whether the option is given, as a constant or as an input.
    pub fn has_option(&self, name: &str) -> bool {
        self.options.has(name) || self.option_inputs.iter().any(|option| option.name() == name)
    }

    /// Whether an input gives something of `group`.
    pub fn has_group(&self, group: Group) -> bool {
        self.option_inputs.iter().any(|option| option.key(group).is_some())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What the node of a test declares: tensors of any shape under these names.
    pub(crate) struct Parts {
        pub endpoint: Endpoint,
        pub attributes: OwnAttributes,
        pub options: Options,
        inputs: Vec<DeclaredInput>,
        outputs: Vec<DeclaredOutput>,
        optional: Optional,
    }

    impl Parts {
        pub(crate) fn new(endpoint: &str, inputs: &[&str], outputs: &[(&str, ElementType)]) -> Self {
            let input = |name: &&str| DeclaredInput { name: (*name).into(), shape: Shape::UNKNOWN };
            let output = |(name, element): &(&str, ElementType)| DeclaredOutput {
                name: (*name).into(),
                element: *element,
                shape: Shape::UNKNOWN,
                is_blob: false,
            };
            Self {
                endpoint: Endpoint::parse(endpoint).unwrap(),
                attributes: OwnAttributes::default(),
                options: Options::default(),
                inputs: inputs.iter().map(input).collect(),
                outputs: outputs.iter().map(output).collect(),
                optional: Optional::default(),
            }
        }

        pub(crate) fn declared(&self) -> Declared<'_> {
            Declared {
                protocol: "the protocol",
                endpoint: &self.endpoint,
                attributes: &self.attributes,
                options: &self.options,
                option_inputs: &[],
                inputs: &self.inputs,
                optional: &self.optional,
                outputs: &self.outputs,
            }
        }
    }

    #[test]
    fn an_attribute_that_is_absent_is_empty_unless_it_is_required() {
        let read = |required: &[&str], model: &str| {
            OwnAttributes::read(&["model", "version"], required, |name| (name == "model").then(|| model.to_owned()))
        };
        let attributes = read(&["model"], "m").unwrap();
        assert_eq!(attributes.iter().collect::<Vec<_>>(), [("model", "m"), ("version", "")]);
        assert_eq!(attributes.text("other"), "");
        for problem in [read(&["version"], "m"), read(&["model"], "")] {
            assert_eq!(problem.unwrap_err().code, crate::failure::Code::Node);
        }
    }
}
