//! What a message of a model holds: a text, or a list of parts.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::protocol::json::Object;
use crate::run::bounds;

/// The content of a message.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Content {
    /// The text, or all parts together that are texts; `None` if there is no such part.
    pub(super) text: Option<String>,
    /// Why the model refused, if a part says so.
    pub(super) refusal: Option<String>,
}

impl Content {
    /// Reads a content whose texts are the parts of the types `kinds`; the first is that of a part without a type.
    pub(super) fn of_kinds(json: &str, kinds: &'static [&'static str]) -> serde_json::Result<Self> {
        Reader { kinds }.deserialize(&mut serde_json::Deserializer::from_str(json))
    }
}

/// The content of a chat: some servers name its parts as responses do.
impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Reader { kinds: &["text", "output_text"] }.deserialize(deserializer)
    }
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    refusal: Option<&'a RawValue>,
}

/// Reads a content part by part, of which none is kept: there may be very many.
struct Reader {
    /// The types of the parts that are texts.
    kinds: &'static [&'static str],
}

impl Reader {
    fn add<E: Error>(&self, content: &mut Content, part: &Part) -> Result<(), E> {
        let kind = part.kind.as_deref().unwrap_or(self.kinds[0]);
        let text = |json: &RawValue| serde_json::from_str::<String>(json.get());
        if let Some(json) = part.text.filter(|_| self.kinds.contains(&kind)) {
            let text = text(json).map_err(|_| E::custom(format_args!("a part of type {kind} has no text")))?;
            content.text.get_or_insert_default().push_str(&text);
        }
        if kind == "refusal" && content.refusal.is_none() {
            content.refusal = part.refusal.and_then(|json| text(json).ok()).filter(|refusal| !refusal.is_empty());
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Reader {
    type Value = Content;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Content, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or a list of parts")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Content, E> {
        Ok(Content { text: Some(text.to_owned()), refusal: None })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Content, A::Error> {
        let mut content = Content::default();
        while let Some(Object(part)) = sequence.next_element()? {
            bounds::step().map_err(A::Error::custom)?;
            self.add(&mut content, &part)?;
        }
        Ok(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<(Option<String>, Option<String>), ()> {
        let content: Content = serde_json::from_str(json).map_err(|_| ())?;
        Ok((content.text, content.refusal))
    }

    #[test]
    fn the_texts_among_the_parts_are_joined_in_order() {
        let text = |text: &str| Ok((Some(text.to_owned()), None));
        assert_eq!(read(r#""h\u00e9""#), text("hé"));
        assert_eq!(read(r#"[{"type": "text", "text": "a"}, {"type": "text", "text": ""}]"#), text("a"));
        let thinking = r#"{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}"#;
        let parts = format!(r#"[{thinking}, {{"type": "text", "text": "4"}}, {{"text": "2", "type": "output_text"}}]"#);
        assert_eq!(read(&parts), text("42"));
        assert_eq!(read(r#"[{"text": "no type"}, {"type": "reasoning", "text": {"x": 1}}]"#), text("no type"));
        assert_eq!(read(&format!("[{thinking}]")), Ok((None, None)));
        assert_eq!(read("[]"), Ok((None, None)));
        assert_eq!(read(r#"[{"type": "refusal", "refusal": "no"}]"#), Ok((None, Some("no".into()))));
        let strict = Content::of_kinds(&parts, &["output_text"]).unwrap();
        assert_eq!(strict, Content { text: Some("2".into()), refusal: None });
    }

    #[test]
    fn what_is_neither_text_nor_parts_is_no_content() {
        for json in ["5", "{}", "true", r#"["a"]"#, "[null]", r#"[["text", "a"]]"#, r#"[{"type": "text", "text": 5}]"#]
        {
            assert_eq!(read(json), Err(()), "{json}");
        }
    }
}
