//! Headers that a node adds to each of its requests, over HTTP as they are and over gRPC as metadata.
//!
//! `Host` takes the place of the transport's own, and of `:authority` in HTTP/2; the certificate is still that of the
//! endpoint's host. Metadata whose name ends in `-bin` travel over gRPC as base64 of the text's bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::groups::Entries;
use super::options::{Group, OptionInput, Options, Value};
use super::spec::Authentication;
use crate::endpoint::Wire;
use crate::failure::{Code, Problem, malformed};
use crate::session::credential::Secret;

/// Headers that no node gives, with why: they carry its token, or say where a message ends and how it travels. A `*`
/// stands for whatever follows.
pub const REFUSED: &[(&str, &str)] = &[
    ("authorization", TOKEN),
    ("content-*", FRAME),
    ("transfer-encoding", FRAME),
    ("connection", FRAME),
    ("keep-alive", FRAME),
    ("te", FRAME),
    ("trailer", FRAME),
    ("upgrade", FRAME),
    ("http2-settings", FRAME),
    ("expect", FRAME),
    ("proxy-*", FRAME),
    ("accept-encoding", FRAME),
    ("inference-header-content-length", FRAME),
    ("grpc-*", FRAME),
];

/// What the message says of a token's header.
pub const TOKEN: &str = "it carries the token, which is given as auth";
const FRAME: &str = "it belongs to the transport, which sets it itself";

/// Headers that a node may have.
const MOST: usize = 64;

/// Bytes that the value of one may have: no server reads many more, and no ceiling of a policy counts them.
const LONGEST: usize = 16 << 10;

/// The headers of a node.
#[derive(Clone, Debug)]
pub struct Headers {
    constant: Vec<(HeaderName, HeaderValue)>,
    credentials: Vec<(HeaderName, String)>,
    wire: Wire,
}

/// A header in the attribute.
#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Text(String),
    Credential(Named),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    credential: String,
}

impl Headers {
    /// Reads the attribute `headers`, empty for none, beside the headers that are inputs. `tokens` are the ways in which the
    /// node or its protocol carries a token.
    pub fn parse(text: &str, inputs: &[OptionInput], tokens: &[Authentication], wire: Wire) -> Result<Self, Problem> {
        let entries = match text {
            "" => Vec::new(),
            text => {
                serde_json::from_str::<Entries<Entry>>(text)
                    .map_err(|error| malformed(format!("headers is no JSON object of texts and credentials: {error}")))?
                    .0
            }
        };
        let mut headers = Self { constant: Vec::new(), credentials: Vec::new(), wire };
        let mut names = Vec::new();
        for (name, entry) in entries {
            let name = checked(&name, tokens, wire)?;
            names.push(name.clone());
            match entry {
                Entry::Text(text) => {
                    let value = headers.value(&name, &text).map_err(|problem| refused(problem.message))?;
                    headers.constant.push((name, value));
                }
                Entry::Credential(_) if name == http::header::HOST => {
                    return Err(refused("the header \"host\" is no secret: give it as a text"));
                }
                Entry::Credential(named) => headers.credentials.push((name, named.credential)),
            }
        }
        for input in inputs.iter().filter_map(|input| input.key(Group::Headers)) {
            names.push(checked(input, tokens, wire)?);
        }
        match names.iter().enumerate().find(|(index, name)| names[..*index].contains(name)) {
            Some((_, name)) => Err(refused(format!("the header \"{name}\" is given twice; their case does not count"))),
            None if names.len() > MOST => Err(refused(format!("there are {} headers, more than {MOST}", names.len()))),
            None => Ok(headers),
        }
    }

    /// The constant headers, whose names and values stand for what is asked.
    pub fn constant(&self) -> &[(HeaderName, HeaderValue)] {
        &self.constant
    }

    /// The headers that hold credentials, and what these are called.
    pub fn credentials(&self) -> &[(HeaderName, String)] {
        &self.credentials
    }

    /// The headers of a call with these options that hold no credential; `Err` where a value is none of a header.
    pub fn of(&self, options: &Options) -> Result<HeaderMap, Problem> {
        let mut headers: HeaderMap = self.constant.iter().cloned().collect();
        for (name, value) in options.given(Group::Headers) {
            let Value::Text(text) = value else {
                return Err(Problem::new(Code::Input, format!("the header \"{name}\" is given as no str")));
            };
            let name = HeaderName::try_from(name).map_err(|_| Problem::new(Code::Input, "a header has no name"))?;
            let value = self.value(&name, text)?;
            headers.insert(name, value);
        }
        Ok(headers)
    }

    /// The value of the header `name` that holds `secret`.
    pub fn secret(&self, name: &HeaderName, secret: &Secret) -> Option<HeaderValue> {
        let mut value = self.value(name, secret.expose()).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    fn value(&self, name: &HeaderName, text: &str) -> Result<HeaderValue, Problem> {
        let unfit = |what| Problem::new(Code::Input, format!("the header \"{name}\" {what}"));
        if text.len() > LONGEST {
            return Err(unfit("has more than 16384 bytes"));
        }
        if self.wire == Wire::Grpc && name.as_str().ends_with("-bin") {
            return HeaderValue::try_from(STANDARD_NO_PAD.encode(text)).map_err(|_| unfit("is no header's value"));
        }
        if !text.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) {
            return Err(unfit("holds a character that is neither visible ASCII nor a space"));
        }
        if text.trim() != text {
            return Err(unfit("has a space at its beginning or end, which a server would not see"));
        }
        if *name == http::header::HOST && (text.contains('@') || Authority::try_from(text).is_err()) {
            return Err(unfit("is no host, such as example.com or example.com:8443"));
        }
        HeaderValue::try_from(text).map_err(|_| unfit("is no header's value"))
    }
}

/// Adds `headers` to `request`, in place of those of its own.
pub fn set(request: &mut HeaderMap, headers: &HeaderMap) {
    headers.iter().for_each(|(name, value)| drop(request.insert(name.clone(), value.clone())));
}

/// The name of a header that a node may give.
fn checked(name: &str, tokens: &[Authentication], wire: Wire) -> Result<HeaderName, Problem> {
    let Ok(header) = HeaderName::try_from(name) else {
        return Err(refused(format!("\"{}\" is no name of a header", name.escape_debug())));
    };
    let is = |own: &str| own.strip_suffix('*').map_or(own == header, |start| header.as_str().starts_with(start));
    let api_key = (header == "api-key" && tokens.contains(&Authentication::ApiKey)).then_some(TOKEN);
    let why = REFUSED.iter().find(|(own, _)| is(own)).map(|(_, why)| *why).or(api_key);
    if let Some(why) = why {
        return Err(refused(format!("the header \"{name}\" is not for a node to give: {why}")));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if wire == Wire::Grpc && !header.as_str().bytes().all(plain) {
        return Err(refused(format!(
            "the header \"{name}\" is no key of gRPC's metadata: letters, digits, '-', '_', '.'"
        )));
    }
    Ok(header)
}

fn refused(message: impl Into<String>) -> Problem {
    Problem::new(Code::Header, message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BEARER: &[Authentication] = &[Authentication::Bearer];

    fn read(text: &str, wire: Wire) -> Result<Headers, Code> {
        Headers::parse(text, &[], BEARER, wire).map_err(|problem| problem.code)
    }

    #[test]
    fn names_and_values_that_no_request_can_carry_are_refused() {
        for name in [
            "Authorization",
            "CONTENT-Type",
            "content-length",
            "Content-Encoding",
            "Transfer-Encoding",
            "Connection",
            "TE",
            "Upgrade",
            "Keep-Alive",
            "Trailer",
            "Expect",
            "Proxy-Authorization",
            "grpc-timeout",
            "accept-encoding",
            "inference-header-content-length",
            ":path",
            ":authority",
            "",
            "a b",
            "a:b",
            "a\\r\\nb",
            "é",
            "a\\u0000",
        ] {
            let text = format!(r#"{{"{name}": "x"}}"#);
            assert_eq!(read(&text, Wire::Http).err(), Some(Code::Header), "{text}");
        }
        for value in ["a\\r\\nX: y", "a\\n", "a\\u0000", "é", " a", "a\\t", "\\u007f"] {
            let text = format!(r#"{{"x-tenant": "{value}"}}"#);
            assert_eq!(read(&text, Wire::Http).err(), Some(Code::Header), "{text}");
        }
        for host in ["", "u@h", "h/x", "a b", "h:x:y"] {
            assert_eq!(read(&format!(r#"{{"Host": "{host}"}}"#), Wire::Http).err(), Some(Code::Header), "{host}");
        }
    }

    #[test]
    fn doubled_names_and_what_is_no_object_of_headers_are_refused() {
        for text in [r#"{"X-A": "1", "x-a": "2"}"#, r#"{"host": {"credential": "h"}}"#] {
            assert_eq!(read(text, Wire::Http).err(), Some(Code::Header), "{text}");
        }
        for text in ["[]", "{", r#"{"a": 1}"#, r#"{"a": {"credential": "c", "b": 1}}"#, r#"{"a": "1", "a": "2"}"#] {
            assert_eq!(read(text, Wire::Http).err(), Some(Code::Node), "{text}");
        }
        let many: Vec<_> = (0..=MOST).map(|number| format!("\"x-{number}\": \"\"")).collect();
        assert_eq!(read(&format!("{{{}}}", many.join(",")), Wire::Http).err(), Some(Code::Header));
    }

    #[test]
    fn the_header_of_a_token_belongs_to_the_token() {
        let text = r#"{"API-Key": "x"}"#;
        assert!(read(text, Wire::Http).is_ok());
        let tokens = [Authentication::Bearer, Authentication::ApiKey];
        assert_eq!(Headers::parse(text, &[], &tokens, Wire::Http).unwrap_err().code, Code::Header);
    }

    #[test]
    fn binary_metadata_travel_as_base64_over_grpc_alone() {
        let value = |wire| read(r#"{"trace-bin": "hé"}"#, wire).map(|headers| headers.constant[0].1.clone());
        assert_eq!(value(Wire::Grpc).unwrap(), "aMOp");
        assert_eq!(value(Wire::Http).unwrap_err(), Code::Header);
        assert_eq!(read(r#"{"a!b": "x"}"#, Wire::Grpc).unwrap_err(), Code::Header);
        assert!(read(r#"{"a!b": "x"}"#, Wire::Http).is_ok());
    }

    #[test]
    fn what_a_call_gives_is_checked_as_a_constant_is_and_an_empty_text_is_not_sent() {
        let headers = read(r#"{"x-a": ""}"#, Wire::Http).unwrap();
        let given = |name: &str, text: &str| {
            headers.of(&Options::default().and_given(Group::Headers, name, Value::Text(text.into())))
        };
        let sent = given("X-Tenant", "t 1").unwrap();
        assert_eq!((sent.len(), sent["x-tenant"].as_bytes(), sent["x-a"].as_bytes()), (2, &b"t 1"[..], &b""[..]));
        assert!(!given("X-Tenant", "").unwrap().contains_key("x-tenant"));
        let long = "x".repeat(LONGEST + 1);
        for (name, text) in [("X-Tenant", "a\r\nb: c"), ("X-Tenant", "é"), ("Host", "a@b"), ("X-Tenant", &long)] {
            assert_eq!(given(name, text).unwrap_err().code, Code::Input, "{text}");
        }
        let number = Options::default().and_given(Group::Headers, "x", Value::Integer(1));
        assert_eq!(headers.of(&number).unwrap_err().code, Code::Input);
    }

    proptest! {
        #[test]
        fn whatever_is_taken_stays_on_its_line(name in any::<String>(), value in any::<String>()) {
            let text = serde_json::json!({name: value}).to_string();
            if let Ok(headers) = read(&text, Wire::Http) {
                let (name, value) = &headers.constant[0];
                prop_assert!(!name.as_str().contains(['\r', '\n', ':', ' ']));
                prop_assert!(!value.as_bytes().iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
            }
        }
    }
}
