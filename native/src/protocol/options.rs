//! Options of a call: each a constant of the node or, where the graph gives it at run time, an input of one element.

pub use super::option::{Group, OptionInput, OptionSpec, Value};
use crate::attributes::Attributes;
use crate::failure::{Code, Problem};
use crate::tensor::InputTensor;

/// The options of one call, by name; one that is absent, or an empty text, is not sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    own: Vec<(&'static str, Value)>,
    /// What the call gives of groups.
    given: Vec<(Group, String, Value)>,
}

impl Options {
    /// Those that a node's attributes give.
    pub fn constant(specs: &[OptionSpec], attributes: &dyn Attributes) -> Self {
        let constant = |spec: &OptionSpec| spec.constant(attributes).map(|value| (spec.name, value));
        Self { own: specs.iter().filter_map(constant).collect(), given: Vec::new() }
    }

    /// These options and those of `tensors`, which are `inputs`, in their order; `Err` for a number that is not finite.
    pub fn with(&self, inputs: &[OptionInput], tensors: &[InputTensor]) -> Result<Self, Problem> {
        let mut options = self.clone();
        for (input, tensor) in inputs.iter().zip(tensors) {
            let value = input.given(tensor)?;
            match input {
                OptionInput::Own(spec) => options.own.push((spec.name, value)),
                OptionInput::Grouped(group, key) => options.given.push((*group, key.clone(), value)),
            }
        }
        options.check_finite()?;
        Ok(options)
    }

    /// Each of the protocol's own options with its value.
    pub fn values(&self) -> &[impl std::fmt::Debug] {
        &self.own
    }

    /// What the call gives of `group`, by name. An empty text is not sent.
    pub fn given(&self, group: Group) -> impl Iterator<Item = (&str, &Value)> {
        let sent = move |(own, _, value): &&(Group, String, Value)| {
            *own == group && !matches!(value, Value::Text(text) if text.is_empty())
        };
        self.given.iter().filter(sent).map(|(_, key, value)| (key.as_str(), value))
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
        self.own.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    fn check_finite(&self) -> Result<(), Problem> {
        let infinite = |value: &Value| matches!(value, Value::Float(number) if !number.is_finite());
        let own = self.own.iter().map(|(name, value)| (*name, value));
        let mut all = own.chain(self.given.iter().map(|(_, name, value)| (name.as_str(), value)));
        match all.find(|(_, value)| infinite(value)) {
            Some((name, _)) => Err(Problem::new(Code::Input, format!("the option \"{name}\" is no finite number"))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
impl FromIterator<(&'static str, &'static str)> for Options {
    fn from_iter<I: IntoIterator<Item = (&'static str, &'static str)>>(items: I) -> Self {
        let own = items.into_iter().map(|(name, text)| (name, Value::Text(text.into()))).collect();
        Self { own, given: Vec::new() }
    }
}

#[cfg(test)]
impl Options {
    pub(crate) fn and_float(mut self, name: &'static str, value: f32) -> Self {
        self.own.push((name, Value::Float(value)));
        self
    }

    pub(crate) fn and_given(mut self, group: Group, name: &str, value: Value) -> Self {
        self.given.push((group, name.to_owned(), value));
        self
    }

    pub(crate) fn and_integer(mut self, name: &'static str, value: i64) -> Self {
        self.own.push((name, Value::Integer(value)));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::ElementType;
    use crate::tensor::InputData;

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
        let inputs = specs.map(OptionInput::Own);
        let options = Options::default().with(&inputs, &given).unwrap();
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
            assert_eq!(Options::default().with(&[OptionInput::Own(spec)], &[unfit]).unwrap_err().code, Code::Input);
        }
    }

    #[test]
    fn an_empty_text_is_not_sent_and_an_infinite_number_is_refused() {
        let options = Options::default().with(&[OptionInput::Own(OptionSpec::text("t"))], &[text(&[b""])]).unwrap();
        assert_eq!((options.text("t"), options.has("t")), (None, true));
        assert_eq!(options.required("t").unwrap_err().code, Code::Input);
        for number in [f32::NAN, f32::INFINITY] {
            let bytes = number.to_ne_bytes();
            let given = [tensor(ElementType::Float32, InputData::Raw(&bytes))];
            let float = [OptionInput::Own(OptionSpec::float("f"))];
            assert_eq!(Options::default().with(&float, &given).unwrap_err().code, Code::Input);
        }
    }
}
