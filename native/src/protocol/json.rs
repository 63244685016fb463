//! JSON of a stranger, read without a tree of all its values: those take many times their text in memory.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::run::bounds;

/// Items that a list of an answer may have: each takes far more in memory than its few bytes of text.
pub(super) const MAX_ITEMS: usize = 1 << 16;

/// The entries of the JSON object `text` whose keys are among `names`, in their order: the index of the name, and the
/// value as it stands there. Of a key that comes more often than twice two are kept.
pub(crate) fn entries<'a>(text: &'a str, names: &[&str]) -> serde_json::Result<Vec<(usize, &'a RawValue)>> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let entries = deserializer.deserialize_map(Wanted { names })?;
    deserializer.end()?;
    Ok(entries)
}

/// The value of the first entry of a name.
pub(super) fn value<'a>(entries: &[(usize, &'a RawValue)], name: usize) -> Option<&'a str> {
    entries.iter().find(|(index, _)| *index == name).map(|(_, value)| value.get())
}

/// The value of the first entry of a name that is not null.
pub(super) fn not_null<'a>(entries: &[(usize, &'a RawValue)], name: usize) -> Option<&'a str> {
    entries.iter().find(|(index, value)| *index == name && value.get() != "null").map(|(_, value)| value.get())
}

/// What a service reports as its failure in the JSON object `text`, beside whatever else it holds.
pub(super) fn reported_error(text: &str) -> Option<&str> {
    entries(text, &["error"]).ok().and_then(|entries| not_null(&entries, 0))
}

struct Wanted<'n> {
    names: &'n [&'n str],
}

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = Vec<(usize, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut entries, mut seen) = (Vec::new(), vec![0; self.names.len()]);
        while let Some(Key(key)) = map.next_key()? {
            bounds::step().map_err(A::Error::custom)?;
            match self.names.iter().position(|name| *name == key) {
                Some(index) if seen[index] < 2 => {
                    seen[index] += 1;
                    entries.push((index, map.next_value()?));
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(entries)
    }
}

/// A struct that is a JSON object. Whatever is derived takes a list of its fields, too, which no protocol means.
#[derive(Debug)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields(PhantomData)).map(Self)
    }
}

struct Fields<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// A list of at most [`MAX_ITEMS`].
#[derive(Debug)]
pub(super) struct List<T>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = deserializer.deserialize_seq(Items { most: MAX_ITEMS, refuses: true, item: PhantomData })?;
        Ok(Self(items))
    }
}

/// The first `N` items of a list; the others are read and dropped.
#[derive(Debug)]
pub(super) struct First<T, const N: usize>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for First<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(deserializer.deserialize_seq(Items { most: N, refuses: false, item: PhantomData })?))
    }
}

struct Items<T> {
    most: usize,
    /// Whether a list that is longer is refused.
    refuses: bool,
    item: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element()? {
            bounds::step().map_err(A::Error::custom)?;
            if items.len() < self.most {
                items.push(item);
            } else if self.refuses {
                return Err(A::Error::custom(format_args!("a list has more than {} items", self.most)));
            }
        }
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_object_is_read_for_the_entries_that_are_wanted() {
        let text = r#"{"a": [1, {}], "x": 5, "\u0062": null, "a": 2, "a": 3}"#;
        let found: Vec<_> =
            entries(text, &["b", "a"]).unwrap().into_iter().map(|(name, value)| (name, value.get())).collect();
        assert_eq!(found, [(1, "[1, {}]"), (0, "null"), (1, "2")]);
        for text in ["[]", "1", "", "{", "{} {}", r#"{"a": }"#, r#"{"x": [}"#] {
            assert!(entries(text, &["a"]).is_err(), "{text}");
        }
    }

    #[test]
    fn an_error_is_reported_unless_it_is_null() {
        assert_eq!(reported_error(r#"{"a": 1, "error": {"b": 2}}"#), Some(r#"{"b": 2}"#));
        assert_eq!(reported_error(r#"{"error": null, "error": 2}"#), Some("2"));
        for text in [r#"{"error": null}"#, "{}", "[]", "error"] {
            assert_eq!(reported_error(text), None, "{text}");
        }
    }

    #[test]
    fn a_list_is_no_object() {
        #[derive(Debug, Deserialize)]
        struct Text<'a> {
            #[serde(borrow)]
            text: Cow<'a, str>,
            #[serde(borrow, default)]
            raw: Option<&'a RawValue>,
        }
        let read = |json| serde_json::from_str::<Object<Text>>(json).map(|Object(read)| read);
        let whole = read(r#"{"more": [1], "text": "a", "raw": [2]}"#).unwrap();
        assert_eq!((&*whole.text, whole.raw.map(RawValue::get)), ("a", Some("[2]")));
        assert_eq!(read(r#"{"text": "a", "raw": null}"#).unwrap().raw.map(RawValue::get), None);
        assert!(serde_json::from_str::<Text>(r#"["a", 1]"#).is_ok());
        for json in [r#"["a"]"#, r#"["a", 1]"#, "[]", r#""a""#, "null", r#"{"text": "a", "text": "b"}"#] {
            assert!(read(json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_list_is_refused_or_cut_where_it_is_long() {
        let long = format!("[{}0]", "0,".repeat(MAX_ITEMS));
        assert!(serde_json::from_str::<List<u8>>(&long).is_err());
        assert_eq!(serde_json::from_str::<List<u8>>("[1, 2]").unwrap().0, [1, 2]);
        assert_eq!(serde_json::from_str::<First<u8, 2>>(&long).unwrap().0, [0, 0]);
        assert!(serde_json::from_str::<First<u8, 2>>("[1, 2, 300]").is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in any::<String>()) {
            let _ = (entries(&text, &["a"]), reported_error(&text));
        }
    }
}
