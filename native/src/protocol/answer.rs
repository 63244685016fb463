//! What protocols over HTTP ask of an answer: its status, its headers, and the server's words where it is no success.

use http::HeaderValue;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, TRANSFER_ENCODING};
use serde::Deserialize;

use super::json::{List, entries, value};
use crate::failure::{Code, Problem};
use crate::run::bounds::Beyond;
use crate::transport::Response;

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
    format!("the server answered {} {reason}{separator}{message}", response.status.as_u16())
}

/// What the server says about its failure: the text of the usual JSON forms, otherwise the body as it is.
pub fn server_message(response: &Response) -> String {
    let body = response.body.join();
    let told = std::str::from_utf8(&body).ok().and_then(message_in);
    told.unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned())
}

/// The text of `{"error": "…"}`, `{"error": {"message": "…"}}`, `{"message": "…"}` or `{"detail": "…"}`.
fn message_in(text: &str) -> Option<String> {
    let string = |value: &str| serde_json::from_str(value).ok();
    let found = entries(text, &["error", "message", "detail"]).ok()?;
    match (value(&found, 0), value(&found, 1)) {
        (Some(error), _) => string(error).or_else(|| string(value(&entries(error, &["message"]).ok()?, 0)?)),
        (None, Some(message)) => string(message),
        (None, None) => string(value(&found, 2)?).or_else(|| details(value(&found, 2)?)),
    }
}

/// What FastAPI writes of a request that it refuses.
#[derive(Deserialize)]
struct Detail {
    #[serde(default)]
    loc: Vec<Place>,
    msg: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Place {
    Name(String),
    Index(u64),
}

/// The text of a list of [`Detail`]s: where in the request each is, and what.
fn details(list: &str) -> Option<String> {
    let place = |place: &Place| match place {
        Place::Name(name) => name.clone(),
        Place::Index(index) => index.to_string(),
    };
    let List(details) = serde_json::from_str::<List<Detail>>(list).ok().filter(|list| !list.0.is_empty())?;
    let told = details.iter().map(|detail| {
        let places: Vec<_> = detail.loc.iter().map(place).collect();
        if places.is_empty() { detail.msg.clone() } else { format!("{}: {}", places.join("."), detail.msg) }
    });
    Some(told.collect::<Vec<_>>().join("; "))
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

/// Refuses an answer that is compressed, or encoded for its way in a manner that we did not ask for.
pub fn check_encoding(response: &Response) -> Result<(), Problem> {
    check_header(response, CONTENT_ENCODING, &["identity"], "is encoded as")?;
    // What a transfer encoding other than chunks leaves behind is no body any more.
    check_header(response, TRANSFER_ENCODING, &["identity", "chunked"], "travels encoded as")
}

/// The problem of an answer of a service.
pub fn answer(what: impl std::fmt::Display) -> Problem {
    Problem::new(Code::Answer, format!("the answer is not what the service promises: {what}"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};

    use super::*;

    fn response(body: &'static str) -> Response {
        Response { status: StatusCode::OK, headers: HeaderMap::new(), body: Bytes::from_static(body.as_bytes()).into() }
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
