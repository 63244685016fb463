//! Bodies of type multipart/form-data (RFC 7578), with one file.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use http::HeaderValue;

/// A form that is being written.
pub(super) struct Form {
    boundary: String,
    head: Vec<u8>,
}

impl Form {
    /// An empty form. Its boundary is random and secret until it is sent, so that no value can end its own part.
    pub(super) fn new() -> Self {
        // The keys of two `RandomState`s come from the operating system.
        let random = || RandomState::new().build_hasher().finish();
        Self { boundary: format!("onnxhybrid-{:016x}{:016x}", random(), random()), head: Vec::new() }
    }

    /// Adds a field. `name` is one of the protocol's own and needs no escapes.
    pub(super) fn field(&mut self, name: &str, value: &str) {
        self.part(&format!("name=\"{name}\""));
        self.head.extend_from_slice(b"\r\n");
        self.head.extend_from_slice(value.as_bytes());
        self.head.extend_from_slice(b"\r\n");
    }

    /// What the body has before and after the bytes of its file, which comes last, and the body's content type.
    /// `file_name` needs no escapes.
    pub(super) fn around(mut self, name: &str, file_name: &str, kind: &str) -> (Vec<u8>, Vec<u8>, Option<HeaderValue>) {
        self.part(&format!("name=\"{name}\"; filename=\"{file_name}\""));
        self.head.extend_from_slice(format!("Content-Type: {kind}\r\n\r\n").as_bytes());
        let tail = format!("\r\n--{}--\r\n", self.boundary).into_bytes();
        let kind = HeaderValue::try_from(format!("multipart/form-data; boundary={}", self.boundary)).ok();
        (self.head, tail, kind)
    }

    fn part(&mut self, disposition: &str) {
        let head = format!("--{}\r\nContent-Disposition: form-data; {disposition}\r\n", self.boundary);
        self.head.extend_from_slice(head.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_its_parts_between_boundaries() {
        let mut form = Form::new();
        form.field("model", "a\r\n--b");
        let boundary = form.boundary.clone();
        let (head, tail, kind) = form.around("file", "audio.wav", "audio/wav");
        let body = [&head[..], b"\0\r\n", &tail].concat();
        assert_eq!(kind.unwrap(), format!("multipart/form-data; boundary={boundary}"));
        let expected = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\na\r\n--b\r\n\
             --{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"audio.wav\"\r\n\
             Content-Type: audio/wav\r\n\r\n\0\r\n\r\n--{boundary}--\r\n"
        );
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    }

    #[test]
    fn no_two_boundaries_are_the_same() {
        assert_ne!(Form::new().boundary, Form::new().boundary);
    }
}
