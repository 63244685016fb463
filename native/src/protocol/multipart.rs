//! Bodies of type multipart/form-data (RFC 7578).

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use http::HeaderValue;
use serde_json::value::RawValue;

use super::groups::Entries;
use crate::transport::Body;

/// How deeply a value may be nested.
const MAX_DEPTH: usize = 8;

/// A form that is being written.
pub(super) struct Form<'a> {
    boundary: String,
    /// What is whole.
    body: Body<'a>,
    /// What follows it.
    text: Vec<u8>,
}

impl<'a> Form<'a> {
    /// An empty form. Its boundary is random and secret until it is sent, so that no value can end its own part.
    pub(super) fn new() -> Self {
        // The keys of two `RandomState`s come from the operating system.
        let random = || RandomState::new().build_hasher().finish();
        let boundary = format!("onnxhybrid-{:016x}{:016x}", random(), random());
        Self { boundary, body: Body::default(), text: Vec::new() }
    }

    /// Adds a field.
    pub(super) fn field(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.part(&format!("name=\"{}\"\r\n", escaped(name)));
        self.text.extend_from_slice(value.as_ref());
        self.text.extend_from_slice(b"\r\n");
    }

    /// Adds a value that is JSON as the official clients of OpenAI do: a list as the repeated field `name[]`, the entries of
    /// an object as `name[key]`; null is no field.
    pub(super) fn json(&mut self, name: &str, value: &str) {
        self.nested(name, value, 0);
    }

    /// What is nested too deeply for any service, or no proper object, is a field as it is written.
    fn nested(&mut self, name: &str, value: &str, depth: usize) {
        match value.as_bytes().first() {
            Some(b'[') if depth < MAX_DEPTH => {
                let items: Vec<Box<RawValue>> = serde_json::from_str(value).unwrap_or_default();
                items.iter().for_each(|item| self.nested(&format!("{name}[]"), item.get(), depth + 1));
            }
            Some(b'{') if depth < MAX_DEPTH => match serde_json::from_str(value) {
                Ok(Entries::<Box<RawValue>>(entries)) => {
                    let nest = |(key, value): &(String, Box<RawValue>)| {
                        self.nested(&format!("{name}[{key}]"), value.get(), depth + 1);
                    };
                    entries.iter().for_each(nest);
                }
                Err(_) => self.field(name, value),
            },
            Some(b'"') => self.field(name, serde_json::from_str::<String>(value).unwrap_or_default()),
            Some(b'n') | None => {}
            Some(_) => self.field(name, value),
        }
    }

    /// Adds a file, whose bytes are sent from where they are.
    pub(super) fn file(&mut self, name: &str, file_name: &str, kind: &str, file: &'a [u8]) {
        let (name, file_name) = (escaped(name), escaped(file_name));
        self.part(&format!("name=\"{name}\"; filename=\"{file_name}\"\r\nContent-Type: {kind}\r\n"));
        self.body.push(std::mem::take(&mut self.text));
        self.body.lend(file);
        self.text.extend_from_slice(b"\r\n");
    }

    /// The body and its content type.
    pub(super) fn finish(mut self) -> (Body<'a>, HeaderValue) {
        self.text.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        self.body.push(self.text);
        let kind = HeaderValue::try_from(format!("multipart/form-data; boundary={}", self.boundary));
        (self.body, kind.unwrap_or_else(|_| HeaderValue::from_static("multipart/form-data")))
    }

    fn part(&mut self, headers: &str) {
        let head = format!("--{}\r\nContent-Disposition: form-data; {headers}\r\n", self.boundary);
        self.text.extend_from_slice(head.as_bytes());
    }
}

/// A name inside quotes, as browsers and curl write it.
fn escaped(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_its_parts_between_boundaries() {
        let mut form = Form::new();
        form.field("model", "a\r\n--b");
        let boundary = form.boundary.clone();
        form.file("file", "a\"udio.wav", "audio/wav", b"\0\r\n");
        let (body, kind) = form.finish();
        assert_eq!(kind, format!("multipart/form-data; boundary={boundary}"));
        let expected = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\na\r\n--b\r\n\
             --{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a%22udio.wav\"\r\n\
             Content-Type: audio/wav\r\n\r\n\0\r\n\r\n--{boundary}--\r\n"
        );
        assert_eq!(body.join(), expected);
    }

    #[test]
    fn a_value_that_is_json_becomes_fields_with_brackets() {
        let mut form = Form::new();
        form.json("a", r#"["word", {"b": 1.50}, null, [true]]"#);
        form.json("c", r#"{"type": "vad\n", "x": {"y": false}}"#);
        form.json("deep", &format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)));
        let text = String::from_utf8(form.text.clone()).unwrap();
        for (name, value) in
            [("a[]", "word"), ("a[][b]", "1.50"), ("a[][]", "true"), ("c[type]", "vad\n"), ("c[x][y]", "false")]
        {
            assert!(text.contains(&format!("name=\"{name}\"\r\n\r\n{value}\r\n")), "{name}");
        }
        assert_eq!(text.matches(&form.boundary).count(), 6);
    }

    #[test]
    fn no_two_boundaries_are_the_same() {
        assert_ne!(Form::new().boundary, Form::new().boundary);
    }
}
