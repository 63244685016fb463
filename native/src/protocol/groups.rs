//! Groups of values under names that the node chooses: headers, further fields of a body, parameters of a request.
//!
//! The constants of a group are one attribute of the node, a JSON object. What is given at run time is an input among the
//! options, which `option_names` calls `headers.NAME`, `extra.KEY` or `parameters.KEY`; its element type is its type.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::json;
use serde_json::value::RawValue;

use super::declared::OwnAttributes;
use super::options::{Group, OptionInput};
use super::spec::{Asked, ProtocolSpec};
use crate::failure::{Code, Problem, malformed};

/// Entries that a group may have.
const MOST: usize = 256;

/// The entries of a JSON object in their order; one that names something twice is none.
#[derive(Debug)]
pub(super) struct Entries<T>(pub(super) Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Object(PhantomData)).map(Self)
    }
}

struct Object<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
    type Value = Vec<(String, T)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut entries, mut seen) = (Vec::new(), HashSet::new());
        while let Some((name, value)) = map.next_entry::<String, T>()? {
            if !seen.insert(name.clone()) || entries.len() == MOST {
                return Err(A::Error::custom("a name comes twice, or there are too many"));
            }
            entries.push((name, value));
        }
        Ok(entries)
    }
}

/// Further fields of a node's requests: its constants, and what each call gives.
pub(super) struct Fields {
    group: Group,
    constant: Vec<(String, Box<RawValue>)>,
}

impl Fields {
    /// Those that `attributes` have of `group`.
    pub(super) fn read(group: Group, attributes: &OwnAttributes) -> Result<Self, Problem> {
        let constant = match attributes.text(group.name()) {
            "" => Vec::new(),
            text => {
                serde_json::from_str::<Entries<_>>(text)
                    .map_err(|error| malformed(format!("{} is no JSON object of fields: {error}", group.name())))?
                    .0
            }
        };
        Ok(Self { group, constant })
    }

    /// Each field of a call, with its value as JSON.
    pub(super) fn of<'a>(&'a self, asked: &'a Asked) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> {
        let constant = self.constant.iter().map(|(name, value)| (name.as_str(), Cow::Borrowed(value.get())));
        let given = asked.options.given(self.group).map(|(name, value)| (name, Cow::Owned(value.json())));
        constant.chain(given)
    }

    /// The fields of a call as a JSON object, if there are any.
    pub(super) fn object(&self, asked: &Asked) -> Option<String> {
        let fields: Vec<_> = self.of(asked).map(|(name, value)| format!("{}:{value}", json!(name))).collect();
        (!fields.is_empty()).then(|| format!("{{{}}}", fields.join(",")))
    }

    /// Adds the fields of a call to the end of `object`, a JSON object that has fields already.
    pub(super) fn append(&self, asked: &Asked, object: &mut Vec<u8>) {
        if let Some(fields) = self.object(asked) {
            object.pop();
            object.push(b',');
            object.extend_from_slice(&fields.as_bytes()[1..]);
        }
    }
}

/// Refuses groups that a node of `protocol` cannot have: malformed ones, and fields that the protocol sends itself.
pub fn check(protocol: &ProtocolSpec, attributes: &OwnAttributes, inputs: &[OptionInput]) -> Result<(), Problem> {
    for group in [Group::Extra, Group::Parameters].into_iter().filter(|group| group.is_among(protocol.attributes)) {
        let fields = Fields::read(group, attributes)?;
        let given = inputs.iter().filter_map(|input| input.key(group));
        for name in given.clone() {
            if fields.constant.iter().any(|(constant, _)| constant == name) {
                return Err(malformed(format!("{}.{name} is both a constant and an input", group.name())));
            }
        }
        for name in fields.constant.iter().map(|(name, _)| name.as_str()).chain(given) {
            check_name(protocol, group, name)?;
        }
        let complex = |value: &RawValue| value.get().starts_with(['[', '{', 'n']);
        if let Some((name, _)) = fields.constant.iter().find(|(_, value)| group == Group::Parameters && complex(value))
        {
            return Err(malformed(format!("the parameter \"{name}\" is neither a bool, a number nor a text")));
        }
    }
    Ok(())
}

fn check_name(protocol: &ProtocolSpec, group: Group, name: &str) -> Result<(), Problem> {
    let is = |own: &str| own.strip_suffix('*').map_or(own == name, |start| name.starts_with(start));
    match protocol.own_fields.iter().find(|(own, _)| is(own)) {
        Some((_, instead)) => {
            let message = format!("{} names \"{name}\", which {} says itself: {instead}", group.name(), protocol.name);
            Err(Problem::new(Code::OwnField, message))
        }
        None if name.is_empty() => Err(malformed(format!("{} has a field without a name", group.name()))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;
    use crate::protocol::options::{Options, Value as Given};

    fn appended(text: &str, asked: &Asked) -> Value {
        let mut body = br#"{"model":"m"}"#.to_vec();
        Fields::read(Group::Extra, &OwnAttributes::from([("extra", text)])).unwrap().append(asked, &mut body);
        serde_json::from_slice(&body).unwrap()
    }

    #[test]
    fn a_number_is_sent_as_it_was_written_and_a_float32_in_its_own_digits() {
        let options = Options::default().and_given(Group::Extra, "p", Given::Float(0.1));
        let asked = Asked { options: options.and_given(Group::Extra, "e", Given::Text(String::new())), rows: 1 };
        let mut body = b"{\"model\":\"m\"}".to_vec();
        let fields =
            Fields::read(Group::Extra, &OwnAttributes::from([("extra", r#"{"n": 1.50, "i": 1e400}"#)])).unwrap();
        fields.append(&asked, &mut body);
        assert_eq!(body, br#"{"model":"m","n":1.50,"i":1e400,"p":0.1}"#);
    }

    proptest! {
        #[test]
        fn fields_join_those_that_are_there(names in proptest::collection::hash_set(any::<String>(), 0..5), text: String) {
            let fields: Map<_, _> = names.iter().filter(|name| *name != "model").map(|name| (name.clone(), json!({"x": [text]}))).collect();
            let mut expected = fields.clone();
            expected.insert("model".into(), json!("m"));
            let written = Value::from(fields).to_string();
            prop_assert_eq!(appended(&written, &Asked::default()), Value::from(expected));
        }

        #[test]
        fn arbitrary_attributes_never_panic(text: String) {
            let _ = Fields::read(Group::Extra, &OwnAttributes::from([("extra", text.as_str())]));
        }
    }
}
