//! An option of a call: its name, its type and its value, which is a constant or an input of one element.

use std::borrow::Cow;

use serde_json::json;

use crate::attributes::Attributes;
use crate::element::ElementType;
use crate::failure::{Code, Problem};
use crate::tensor::{InputData, InputTensor};

/// What an option holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Text; empty means that it is not sent.
    Text,
    /// A finite float32.
    Float,
    /// An int64.
    Integer,
}

impl Kind {
    /// The element type of an input that gives such an option.
    pub fn element(self) -> ElementType {
        match self {
            Self::Text => ElementType::String,
            Self::Float => ElementType::Float32,
            Self::Integer => ElementType::Int64,
        }
    }
}

/// An option of a protocol. Its name is that of the attribute and that in `option_names`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OptionSpec {
    /// The name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

impl OptionSpec {
    /// An option that holds text.
    pub const fn text(name: &'static str) -> Self {
        Self { name, kind: Kind::Text }
    }

    /// An option that holds a float32.
    pub const fn float(name: &'static str) -> Self {
        Self { name, kind: Kind::Float }
    }

    /// An option that holds an int64.
    pub const fn integer(name: &'static str) -> Self {
        Self { name, kind: Kind::Integer }
    }

    pub(super) fn constant(&self, attributes: &dyn Attributes) -> Option<Value> {
        match self.kind {
            Kind::Text => attributes.text(self.name).filter(|text| !text.is_empty()).map(Value::Text),
            Kind::Float => attributes.float(self.name).map(Value::Float),
            Kind::Integer => attributes.integer(self.name).map(Value::Integer),
        }
    }
}

/// The value of an option.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A float32.
    Float(f32),
    /// An int64.
    Integer(i64),
    /// A bool.
    Bool(bool),
}

impl Value {
    /// The one element of `tensor`; `None` if it has another type than `element`, or not one element.
    pub(super) fn of(element: ElementType, tensor: &InputTensor) -> Option<Self> {
        if tensor.element != element {
            return None;
        }
        match (&tensor.data, element) {
            (InputData::Text(strings), ElementType::String) if strings.starts.len() == 1 => {
                String::from_utf8(strings.content.clone()).ok().map(Self::Text)
            }
            (InputData::Raw(bytes), ElementType::Float32) => {
                (*bytes).try_into().ok().map(|bytes| Self::Float(f32::from_ne_bytes(bytes)))
            }
            (InputData::Raw(bytes), ElementType::Int64) => {
                (*bytes).try_into().ok().map(|bytes| Self::Integer(i64::from_ne_bytes(bytes)))
            }
            (InputData::Raw([byte]), ElementType::Bool) => Some(Self::Bool(*byte != 0)),
            _ => None,
        }
    }

    /// As JSON. A float32 is written in as few digits as tell it from others.
    pub(super) fn json(&self) -> String {
        match self {
            Self::Text(text) => json!(text).to_string(),
            Self::Float(number) => format!("{number:?}"),
            Self::Integer(number) => number.to_string(),
            Self::Bool(value) => value.to_string(),
        }
    }
}

/// A group of values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Group {
    /// Headers of every request, whatever the protocol.
    Headers,
    /// Further fields of a body.
    Extra,
    /// Parameters of a request.
    Parameters,
}

impl Group {
    const ALL: [Self; 3] = [Self::Headers, Self::Extra, Self::Parameters];

    /// The name of the attribute, and what stands before the dot in `option_names`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Headers => "headers",
            Self::Extra => "extra",
            Self::Parameters => "parameters",
        }
    }

    /// Whether nodes have such a group whose protocol has these attributes.
    pub(super) fn is_among(self, attributes: &[&str]) -> bool {
        self == Self::Headers || attributes.contains(&self.name())
    }
}

/// An option that is an input of the node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum OptionInput {
    /// One that the protocol has.
    Own(OptionSpec),
    /// One of a group, by the name that it has there.
    Grouped(Group, String),
}

impl OptionInput {
    /// The option that `option_names` calls `name`, of a protocol that has these options and attributes.
    pub fn find(name: &str, options: &[OptionSpec], attributes: &[&str]) -> Option<Self> {
        if let Some(own) = options.iter().find(|option| option.name == name) {
            return Some(Self::Own(*own));
        }
        let (group, key) = name.split_once('.').filter(|(_, key)| !key.is_empty())?;
        let group = Group::ALL.into_iter().find(|known| known.name() == group && known.is_among(attributes))?;
        Some(Self::Grouped(group, key.to_owned()))
    }

    /// The name in `option_names`.
    pub fn name(&self) -> Cow<'static, str> {
        match self {
            Self::Own(spec) => Cow::Borrowed(spec.name),
            Self::Grouped(group, key) => Cow::Owned(format!("{}.{key}", group.name())),
        }
    }

    /// The name in a group.
    pub fn key(&self, of: Group) -> Option<&str> {
        match self {
            Self::Grouped(group, key) if *group == of => Some(key),
            _ => None,
        }
    }

    /// What `tensor` gives.
    pub(super) fn given(&self, tensor: &InputTensor) -> Result<Value, Problem> {
        match self {
            Self::Own(spec) => Value::of(spec.kind.element(), tensor),
            Self::Grouped(..) => Value::of(tensor.element, tensor),
        }
        .ok_or_else(|| {
            let kind = match self {
                Self::Own(spec) => spec.kind.element().name(),
                Self::Grouped(..) => "bool, int64, float32 or str",
            };
            Problem::new(Code::Input, format!("the option \"{}\" is not exactly one {kind}", self.name()))
        })
    }
}
