//! Options of a call: each a constant of the node or, where the graph gives it at run time, an input of one element.

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

    fn constant(&self, attributes: &dyn Attributes) -> Option<Value> {
        match self.kind {
            Kind::Text => attributes.text(self.name).filter(|text| !text.is_empty()).map(Value::Text),
            Kind::Float => attributes.float(self.name).map(Value::Float),
            Kind::Integer => attributes.integer(self.name).map(Value::Integer),
        }
    }

    fn given(&self, tensor: &InputTensor) -> Result<Value, Problem> {
        let unfit = || {
            let message = format!("the option \"{}\" is not exactly one {}", self.name, self.kind.element().name());
            Problem::new(Code::Input, message)
        };
        if tensor.element != self.kind.element() {
            return Err(unfit());
        }
        match (&tensor.data, self.kind) {
            (InputData::Text(strings), Kind::Text) if strings.starts.len() == 1 => {
                String::from_utf8(strings.content.clone()).map(Value::Text).map_err(|_| unfit())
            }
            (InputData::Raw(bytes), Kind::Float) => {
                (*bytes).try_into().map(|bytes| Value::Float(f32::from_ne_bytes(bytes))).map_err(|_| unfit())
            }
            (InputData::Raw(bytes), Kind::Integer) => {
                (*bytes).try_into().map(|bytes| Value::Integer(i64::from_ne_bytes(bytes))).map_err(|_| unfit())
            }
            _ => Err(unfit()),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Text(String),
    Float(f32),
    Integer(i64),
}

/// The options of one call, by name; one that is absent, or an empty text, is not sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options(Vec<(&'static str, Value)>);

impl Options {
    /// Those that a node's attributes give.
    pub fn constant(specs: &[OptionSpec], attributes: &dyn Attributes) -> Self {
        Self(specs.iter().filter_map(|spec| spec.constant(attributes).map(|value| (spec.name, value))).collect())
    }

    /// These options and those of `tensors`, which are the inputs of `specs`, in their order; `Err` for a number that
    /// is not finite.
    pub fn with(&self, specs: &[OptionSpec], tensors: &[InputTensor]) -> Result<Self, Problem> {
        let mut options = self.clone();
        for (spec, tensor) in specs.iter().zip(tensors) {
            options.0.push((spec.name, spec.given(tensor)?));
        }
        options.check_finite()?;
        Ok(options)
    }

    /// Each option with its value.
    pub fn values(&self) -> &[impl std::fmt::Debug] {
        &self.0
    }

    /// Whether the option is there, be it empty.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// A text that is not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Value::Text(text)) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// A text without which there is no request.
    pub fn required(&self, name: &str) -> Result<&str, Problem> {
        self.text(name).ok_or_else(|| Problem::new(Code::Input, format!("the option \"{name}\" is empty")))
    }

    /// A float.
    pub fn float(&self, name: &str) -> Option<f32> {
        match self.get(name) {
            Some(Value::Float(value)) => Some(*value),
            _ => None,
        }
    }

    /// An integer.
    pub fn integer(&self, name: &str) -> Option<i64> {
        match self.get(name) {
            Some(Value::Integer(value)) => Some(*value),
            _ => None,
        }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    fn check_finite(&self) -> Result<(), Problem> {
        let infinite = |value: &Value| matches!(value, Value::Float(number) if !number.is_finite());
        match self.0.iter().find(|(_, value)| infinite(value)) {
            Some((name, _)) => Err(Problem::new(Code::Input, format!("the option \"{name}\" is no finite number"))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
impl FromIterator<(&'static str, &'static str)> for Options {
    fn from_iter<I: IntoIterator<Item = (&'static str, &'static str)>>(items: I) -> Self {
        Self(items.into_iter().map(|(name, text)| (name, Value::Text(text.into()))).collect())
    }
}

#[cfg(test)]
impl Options {
    pub(crate) fn and_float(mut self, name: &'static str, value: f32) -> Self {
        self.0.push((name, Value::Float(value)));
        self
    }

    pub(crate) fn and_integer(mut self, name: &'static str, value: i64) -> Self {
        self.0.push((name, Value::Integer(value)));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(element: ElementType, data: InputData<'_>) -> InputTensor<'_> {
        InputTensor { element, shape: vec![1], data }
    }

    fn text(items: &[&[u8]]) -> InputTensor<'static> {
        tensor(ElementType::String, InputData::Text(items.iter().collect()))
    }

    #[test]
    fn an_option_given_at_run_time_is_one_element_of_its_type() {
        let specs = [OptionSpec::text("t"), OptionSpec::float("f"), OptionSpec::integer("i")];
        let (half, seven) = (0.5f32.to_ne_bytes(), 7i64.to_ne_bytes());
        let given = [
            text(&["é".as_bytes()]),
            tensor(ElementType::Float32, InputData::Raw(&half)),
            tensor(ElementType::Int64, InputData::Raw(&seven)),
        ];
        let options = Options::default().with(&specs, &given).unwrap();
        assert_eq!((options.text("t"), options.float("f"), options.integer("i")), (Some("é"), Some(0.5), Some(7)));
        for (spec, unfit) in [
            (specs[0], text(&[b"a", b"b"])),
            (specs[0], text(&[])),
            (specs[0], text(&[b"\xff"])),
            (specs[0], tensor(ElementType::Int64, InputData::Raw(&seven))),
            (specs[1], tensor(ElementType::Float32, InputData::Raw(&seven))),
            (specs[1], tensor(ElementType::Int32, InputData::Raw(&half))),
            (specs[2], tensor(ElementType::Int64, InputData::Raw(&[]))),
            (specs[2], text(&[b"7"])),
        ] {
            assert_eq!(Options::default().with(&[spec], &[unfit]).unwrap_err().code, Code::Input);
        }
    }

    #[test]
    fn an_empty_text_is_not_sent_and_an_infinite_number_is_refused() {
        let options = Options::default().with(&[OptionSpec::text("t")], &[text(&[b""])]).unwrap();
        assert_eq!((options.text("t"), options.has("t")), (None, true));
        assert_eq!(options.required("t").unwrap_err().code, Code::Input);
        for number in [f32::NAN, f32::INFINITY] {
            let bytes = number.to_ne_bytes();
            let given = [tensor(ElementType::Float32, InputData::Raw(&bytes))];
            assert_eq!(Options::default().with(&[OptionSpec::float("f")], &given).unwrap_err().code, Code::Input);
        }
    }
}
