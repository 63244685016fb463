//! Bodies of type multipart/form-data (RFC 7578).

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use http::HeaderValue;

/// A form that is being written.
pub(super) struct Form {
    boundary: String,
    body: Vec<u8>,
}

impl Form {
    /// An empty form. Its boundary is random and secret until it is sent, so that no value can end its own part.
    pub(super) fn new() -> Self {
        // The keys of two `RandomState`s come from the operating system.
        let random = || RandomState::new().build_hasher().finish();
        Self { boundary: format!("onnxhybrid-{:016x}{:016x}", random(), random()), body: Vec::new() }
    }

    /// Adds a field.
    pub(super) fn field(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.part(&format!("name=\"{}\"\r\n", escaped(name)), value.as_ref());
    }

    /// Adds a file, whose bytes are copied once.
    pub(super) fn file(&mut self, name: &str, file_name: &str, kind: &str, file: &[u8]) {
        let (name, file_name) = (escaped(name), escaped(file_name));
        self.part(&format!("name=\"{name}\"; filename=\"{file_name}\"\r\nContent-Type: {kind}\r\n"), file);
    }

    /// The body and its content type.
    pub(super) fn finish(mut self) -> (Vec<u8>, HeaderValue) {
        self.body.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        let kind = HeaderValue::try_from(format!("multipart/form-data; boundary={}", self.boundary));
        (self.body, kind.unwrap_or_else(|_| HeaderValue::from_static("multipart/form-data")))
    }

    fn part(&mut self, headers: &str, content: &[u8]) {
        let head = format!("--{}\r\nContent-Disposition: form-data; {headers}\r\n", self.boundary);
        // Room for the end as well, so that a large file is not moved once more.
        self.body.reserve(head.len() + content.len() + self.boundary.len() + 8);
        self.body.extend_from_slice(head.as_bytes());
        self.body.extend_from_slice(content);
        self.body.extend_from_slice(b"\r\n");
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
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    }

    #[test]
    fn no_two_boundaries_are_the_same() {
        assert_ne!(Form::new().boundary, Form::new().boundary);
    }
}
