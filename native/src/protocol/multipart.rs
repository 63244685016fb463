//! Bodies of type multipart/form-data (RFC 7578).

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use http::HeaderValue;

use crate::transport::Body;

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
    fn no_two_boundaries_are_the_same() {
        assert_ne!(Form::new().boundary, Form::new().boundary);
    }
}
