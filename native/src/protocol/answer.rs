//! What protocols over HTTP ask of an answer: its status, its headers, and the server's words where it is no success.

use super::told;
use crate::failure::{Code, Problem};
use crate::run::bounds::Beyond;
use crate::transport::Response;
use http::HeaderValue;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, TRANSFER_ENCODING};

/// Where reading ends before its end; whoever set its bounds tells why.
impl From<Beyond> for Problem {
    fn from(beyond: Beyond) -> Self {
        answer(beyond)
    }
}

/// Refuses every status but 200, in the server's words. A redirect is among them: it is never followed.
pub fn check_status(response: &Response) -> Result<(), Problem> {
    let status = response.status.as_u16();
    if status == 200 {
        return Ok(());
    }
    Err(Problem::new(Code::Status, status_text(response)).with_status(status))
}

/// A status that is no success, in a sentence.
pub fn status_text(response: &Response) -> String {
    let message = server_message(response);
    let reason = response.status.canonical_reason().unwrap_or_default();
    let separator = if message.is_empty() { "" } else { ": " };
    let advice = &response.advice;
    format!("the server answered {} {reason}{advice}{separator}{message}", response.status.as_u16())
}

/// What the server says about its failure: the text of the usual JSON forms, otherwise the body as it is. A body in an
/// encoding that is not read says nothing.
pub fn server_message(response: &Response) -> String {
    if let Some(Err(encoded)) = response.headers.get(CONTENT_ENCODING).map(|_| check_encoding(response)) {
        return encoded.message;
    }
    let body = response.body.join();
    let told = std::str::from_utf8(&body).ok().and_then(told::message);
    told.unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned())
}

/// Refuses an answer that is encoded, a page for people, or called what neither JSON nor a text is. Any other type says
/// nothing: services send JSON as text, as bytes and as nothing at all, and what a body holds decides.
pub fn check_text(response: &Response) -> Result<(), Problem> {
    check_encoding(response)?;
    let mut types = response.headers.get_all(CONTENT_TYPE).iter().map(essence);
    match types.find_map(|kind| Some((foreign(&kind)?, kind))) {
        Some((what, kind)) => Err(answer(format!("it is {kind}, {what}"))),
        None => Ok(()),
    }
}

/// A content type in small letters, without its parameters.
fn essence(value: &HeaderValue) -> String {
    let value = value.as_bytes();
    let end = value.iter().position(|byte| *byte == b';').unwrap_or(value.len());
    String::from_utf8_lossy(value[..end].trim_ascii()).to_ascii_lowercase()
}

/// What a content type stands for that is neither JSON nor a text.
fn foreign(kind: &str) -> Option<&'static str> {
    let (family, name) = kind.split_once('/').unwrap_or((kind, ""));
    match family {
        "" => Some("no content type"),
        _ if name.starts_with("html") || name.starts_with("xhtml") => Some("a page for people"),
        _ if name == "xml" || name.ends_with("+xml") => Some("a document"),
        "image" | "audio" | "video" | "font" | "multipart" => Some("and no text"),
        _ => None,
    }
}

/// Refuses an answer that is encoded, or whose type a protocol does not promise; no type at all is let pass.
pub fn check_content(response: &Response, promised: &[&str]) -> Result<(), Problem> {
    check_encoding(response)?;
    check_header(response, CONTENT_TYPE, promised, "is")
}

/// Refuses an answer unless each value of the header, its parameters aside, is one of those `expected`.
fn check_header(response: &Response, name: HeaderName, expected: &[&str], what: &str) -> Result<(), Problem> {
    let fits = |value: &HeaderValue| {
        let essence = value.to_str().unwrap_or("?").split(';').next().unwrap_or_default().trim();
        expected.iter().any(|expected| essence.eq_ignore_ascii_case(expected))
    };
    match response.headers.get_all(name).iter().find(|value| !fits(value)) {
        None => Ok(()),
        Some(value) => {
            let (value, expected) = (String::from_utf8_lossy(value.as_bytes()), expected.join(" or "));
            Err(Problem::new(Code::Answer, format!("the answer {what} {value}, not {expected}")))
        }
    }
}

/// Refuses an answer that is compressed in another way than those that the transport takes off, or encoded for its way
/// in a manner that we did not ask for.
pub fn check_encoding(response: &Response) -> Result<(), Problem> {
    let values =
        response.headers.get_all(CONTENT_ENCODING).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    let values: Vec<_> = values.collect();
    let names = values.iter().flat_map(|value| value.split(',')).map(str::trim);
    let names: Vec<_> = names.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity")).collect();
    if !names.is_empty() {
        let (named, asked) = (names.join(", "), "it was asked for as it is (Accept-Encoding: identity)");
        let message = format!("the answer is encoded as {named}, and one of gzip and deflate is read; {asked}");
        return Err(Problem::new(Code::Answer, message));
    }
    // What a transfer encoding other than chunks leaves behind is no body any more.
    check_header(response, TRANSFER_ENCODING, &["identity", "chunked"], "travels encoded as")
}

/// The problem of an answer of a service.
pub fn answer(what: impl std::fmt::Display) -> Problem {
    Problem::new(Code::Answer, format!("the answer is not what the service promises: {what}"))
}

/// The problem of a service that answers with success, and says that it failed.
pub fn failed(told: impl std::fmt::Display) -> Problem {
    Problem::new(Code::Answer, format!("the service reports a failure with status 200: {told}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn response(body: &'static str) -> Response {
        Response { body: Bytes::from_static(body.as_bytes()).into(), ..Response::default() }
    }

    #[test]
    fn a_server_message_is_found_in_its_usual_places() {
        assert_eq!(server_message(&response(r#"{"error": "bad"}"#)), "bad");
        assert_eq!(server_message(&response(r#"{"error": {"message": "bad", "code": 1}}"#)), "bad");
        assert_eq!(server_message(&response(r#"{"message": "bad"}"#)), "bad");
        assert_eq!(server_message(&response(r#"{"detail": "Not Found"}"#)), "Not Found");
        let missing = r#"{"detail": [{"type": "missing", "loc": ["body", "inputs", 0, "data"], "msg": "Field required"}, {"msg": "x"}]}"#;
        assert_eq!(server_message(&response(missing)), "body.inputs.0.data: Field required; x");
        for told in [r#"{"detail": [1]}"#, r#"{"detail": []}"#, "plain"] {
            assert_eq!(server_message(&response(told)), told);
        }
    }

    #[test]
    fn only_promised_content_passes() {
        let mut answer = response("");
        assert!(check_content(&answer, &["application/json"]).is_ok());
        answer.headers.insert("content-type", HeaderValue::from_static("Application/JSON; charset=utf-8"));
        assert!(check_content(&answer, &["application/json"]).is_ok());
        answer.headers.insert("content-encoding", HeaderValue::from_static("gzip"));
        assert!(check_content(&answer, &["application/json"]).is_err());
        answer.headers.remove("content-encoding");
        answer.headers.insert("content-type", HeaderValue::from_static("text/html"));
        assert_eq!(check_content(&answer, &["application/json"]).unwrap_err().code, Code::Answer);
    }

    #[test]
    fn what_may_be_json_or_text_passes_whatever_it_is_called() {
        let passes = |types: &[&'static [u8]]| {
            let mut answer = response("");
            for value in types {
                answer.headers.append("content-type", HeaderValue::from_bytes(value).unwrap());
            }
            check_text(&answer).is_ok()
        };
        assert!(passes(&[]) && passes(&[b"text/x", b"a/b"]));
        for kind in [
            &b"text/plain; charset=x"[..],
            b"application/octet-stream",
            b"application/problem+json; a=\"b,c\"",
            b"json",
            b"\xff",
        ] {
            assert!(passes(&[kind]), "{kind:?}");
        }
        for types in [
            &[&b"text/html"[..]][..],
            &[b" Text/HTML; charset=utf-8"],
            &[b"text/html\xff"],
            &[b"application/xhtml+xml"],
            &[b"application/json", b"text/html"],
            &[b"image/png"],
            &[b"text/xml"],
            &[b"application/soap+xml"],
            &[b""],
        ] {
            assert!(!passes(types), "{types:?}");
        }
        let mut zipped = response("");
        zipped.headers.insert("content-encoding", HeaderValue::from_static("gzip"));
        assert!(check_text(&zipped).is_err());
    }

    #[test]
    fn content_that_is_said_twice_or_in_no_text_passes_only_if_each_does() {
        let passes = |name: &'static str, values: &[&'static [u8]]| {
            let mut answer = response("");
            for value in values {
                answer.headers.append(name, HeaderValue::from_bytes(value).unwrap());
            }
            check_content(&answer, &["text/plain"]).is_ok()
        };
        assert!(passes("content-encoding", &[b"Identity"]) && passes("transfer-encoding", &[b"Chunked"]));
        assert!(passes("content-type", &[b"text/plain", b"text/plain;charset=utf-8"]));
        for (name, values) in [
            ("content-type", &[&b"text/plain"[..], b"text/html"][..]),
            ("content-type", &[b"text/plain\xff"]),
            ("content-type", &[b""]),
            ("content-encoding", &[b"identity", b"gzip"]),
            ("content-encoding", &[b"gz\xffip"]),
            ("transfer-encoding", &[b"chunked, gzip"]),
        ] {
            assert!(!passes(name, values), "{name} {values:?}");
        }
    }
}
