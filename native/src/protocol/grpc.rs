//! gRPC: one message in a request, one in its answer, and what the answer says of its success.
//!
//! Source: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md> and `http-grpc-status-mapping.md` beside
//! it.

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method};
use percent_encoding::percent_decode;

use super::answer::{check_content, status_text};
use super::protobuf::{Cursor, MAX_MESSAGE};
use crate::failure::{Code, Problem};
use crate::transport::{Request, Response};

/// Bytes in front of a message: whether it is compressed, and its length.
pub const PREFIX: usize = 5;

/// The names of the statuses, by number.
const STATUSES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

const OK: u16 = 0;
const DEADLINE_EXCEEDED: u16 = 4;

/// The buffer of a message of `length` bytes, with its prefix; `Err` for one longer than any server reads.
pub fn begin(length: usize) -> Result<Vec<u8>, Problem> {
    let stated = u32::try_from(length).ok().filter(|_| length <= MAX_MESSAGE).ok_or_else(|| {
        Problem::new(
            Code::Input,
            format!("the inputs make a message of {length} bytes, and {MAX_MESSAGE} is the limit"),
        )
    })?;
    let mut body = Vec::with_capacity(PREFIX + length);
    body.push(0);
    body.extend_from_slice(&stated.to_be_bytes());
    Ok(body)
}

/// The request that calls the method at `path`; `body` is a message behind its prefix.
pub fn request(path: PathAndQuery, body: Vec<u8>) -> Request<'static> {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(http::header::TE, HeaderValue::from_static("trailers"));
    Request { method: Method::POST, path, headers, body: body.into() }
}

/// Refuses every status but OK, in the server's words; the problem's status is gRPC's number.
pub fn check(response: &Response) -> Result<(), Problem> {
    let mut statuses = response.headers.get_all("grpc-status").iter().map(HeaderValue::as_bytes);
    let (status, another) = (statuses.next(), statuses.next());
    if response.status.as_u16() != 200 {
        let number = status.and_then(number).unwrap_or_else(|| of_http(response.status.as_u16()));
        return Err(failed(number, status_text(response)));
    }
    check_content(response, &["application/grpc", "application/grpc+proto"])?;
    let broken = |what| Problem::new(Code::Answer, format!("the answer is no gRPC: {what}"));
    let status = status.ok_or_else(|| broken("it ended without a status"))?;
    let number = number(status).ok_or_else(|| broken("its status is no number"))?;
    if another.is_some() {
        return Err(broken("it has two statuses"));
    }
    if number == OK {
        return Ok(());
    }
    let name = STATUSES.get(usize::from(number)).copied().unwrap_or("an unknown status");
    let message = message_of(&response.headers);
    let separator = if message.is_empty() { "" } else { ": " };
    Err(failed(number, format!("the server answered {number} {name}{}{separator}{message}", response.advice)))
}

/// The one message of an answer that passed [`check`].
pub fn message(response: &Response) -> Result<Cursor<'_>, Problem> {
    let answer = |what: String| Problem::new(Code::Answer, format!("the answer is no gRPC message: {what}"));
    let mut body = Cursor::new(&response.body);
    if body.is_empty() {
        return Err(answer("it is empty".into()));
    }
    let cut = |length| Problem::new(Code::CutShort, format!("the answer ended early: {length} bytes of a message"));
    let total = body.len();
    let [compressed, length @ ..] = body.array::<PREFIX>().ok_or_else(|| cut(total))?;
    let length = u32::from_be_bytes(length) as usize;
    let message = body.take(length).ok_or_else(|| cut(total))?;
    match (body.len(), compressed) {
        (0, 0) => Ok(message),
        // What the transport could decompress is so no longer.
        (0, _) => Err(answer(format!("its first byte is {compressed}, not 0 or 1"))),
        (more, _) => Err(answer(format!("{more} bytes follow it"))),
    }
}

/// The number in a `grpc-status`.
fn number(text: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn failed(status: u16, text: String) -> Problem {
    let code = if status == DEADLINE_EXCEEDED { Code::Deadline } else { Code::Status };
    Problem::new(code, text).with_status(status)
}

/// What `grpc-message` says, whose bytes beyond ASCII are percent-encoded.
fn message_of(headers: &HeaderMap) -> String {
    let bytes = headers.get("grpc-message").map_or(&b""[..], HeaderValue::as_bytes);
    percent_decode(bytes).decode_utf8_lossy().into_owned()
}

/// The gRPC status for an HTTP status, which a proxy gave instead of the server.
fn of_http(status: u16) -> u16 {
    match status {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use proptest::prelude::*;

    use bytes::Bytes;

    use super::*;

    fn response(status: u16, headers: &[(&'static str, &str)], body: &[u8]) -> Response {
        let headers = headers.iter().map(|(name, value)| {
            (http::HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        });
        let body = Bytes::copy_from_slice(body).into();
        Response {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.collect(),
            body,
            ..Response::default()
        }
    }

    fn problem(status: u16, headers: &[(&'static str, &str)]) -> Problem {
        check(&response(status, headers, b"")).unwrap_err()
    }

    #[test]
    fn success_is_the_status_ok_behind_a_200() {
        assert!(
            check(&response(200, &[("grpc-status", "0"), ("content-type", "application/grpc+proto")], b"")).is_ok()
        );
        assert_eq!(problem(200, &[]).code, Code::Answer);
        assert_eq!(problem(200, &[("grpc-status", "")]).code, Code::Answer);
        assert_eq!(problem(200, &[("grpc-status", "+0")]).code, Code::Answer);
        assert_eq!(problem(200, &[("grpc-status", "99999999")]).code, Code::Answer);
        assert_eq!(problem(200, &[("grpc-status", "0"), ("content-type", "text/html")]).code, Code::Answer);
        let mut twice = response(200, &[("grpc-status", "0")], b"");
        twice.headers.append("grpc-status", HeaderValue::from_static("13"));
        assert_eq!(check(&twice).unwrap_err().code, Code::Answer);
    }

    #[test]
    fn a_failure_is_told_in_the_words_of_the_server() {
        let told = problem(200, &[("grpc-status", "3"), ("grpc-message", "na%C3%AFve 100%25 %zz")]);
        assert_eq!((told.code, told.status), (Code::Status, Some(3)));
        assert_eq!(told.message, "the server answered 3 INVALID_ARGUMENT: naïve 100% %zz");
        assert_eq!(problem(200, &[("grpc-status", "77")]).message, "the server answered 77 an unknown status");
        assert_eq!(problem(200, &[("grpc-status", "4")]).code, Code::Deadline);
    }

    #[test]
    fn an_http_status_becomes_its_grpc_status() {
        for (http, grpc) in [(401, 16), (403, 7), (404, 12), (503, 14), (302, 2), (500, 2), (204, 2)] {
            let told = problem(http, &[]);
            assert_eq!((told.code, told.status), (Code::Status, Some(grpc)), "{http}");
        }
        assert_eq!(problem(503, &[("grpc-status", "8")]).status, Some(8));
    }

    #[test]
    fn an_answer_is_one_message_that_is_not_compressed() {
        let read = |body: &[u8]| message(&response(200, &[], body)).map(|message| message.to_bytes().to_vec());
        assert_eq!(read(b"\0\0\0\0\x02ab").unwrap(), b"ab");
        assert_eq!(read(b"\0\0\0\0\0").unwrap(), b"");
        for (body, code) in [
            (&b""[..], Code::Answer),
            (b"\0\0\0\0", Code::CutShort),
            (b"\0\0\0\0\x03ab", Code::CutShort),
            (b"\0\xff\xff\xff\xffab", Code::CutShort),
            (b"\x01\0\0\0\x02ab", Code::Answer),
            (b"\x02\0\0\0\x02ab", Code::Answer),
            (b"\0\0\0\0\x01ab", Code::Answer),
            (b"\0\0\0\0\0\0\0\0\0\0", Code::Answer),
        ] {
            assert_eq!(read(body).unwrap_err().code, code, "{body:?}");
        }
    }

    #[test]
    fn a_message_longer_than_any_server_reads_is_not_begun() {
        assert_eq!(begin(MAX_MESSAGE + 1).unwrap_err().code, Code::Input);
        assert_eq!(begin(258).unwrap(), [0, 0, 0, 1, 2]);
    }

    proptest! {
        #[test]
        fn arbitrary_answers_never_panic(
            status in 100u16..600,
            grpc in any::<String>(),
            text in any::<String>(),
            body in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let tidy = |text: &str| text.replace(|c: char| c.is_control(), "");
            let answer = response(status, &[("grpc-status", &tidy(&grpc)), ("grpc-message", &tidy(&text))], &body);
            let _ = (check(&answer), message(&answer).is_ok());
        }
    }
}
