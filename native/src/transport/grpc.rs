//! What gRPC asks of a transport: the deadline in a header, the trailers, and which failures are worth a retry.
//!
//! Source: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>; for retries
//! <https://github.com/grpc/proposal/blob/master/A6-client-retries.md>.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::reading::Reading;
use crate::failure::Problem;
use crate::tensor::Chunks;

/// How much time the server has.
pub(super) const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

const STATUS: &str = "grpc-status";
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// Fields that count in the trailers only.
const TRAILERS: [&str; 3] = [STATUS, "grpc-message", PUSHBACK];

/// The value of [`TIMEOUT`]: at most eight digits and a unit.
pub(super) fn timeout(left: Duration) -> HeaderValue {
    let units = [(left.as_micros(), 'u'), (left.as_millis(), 'm'), (left.as_secs().into(), 'S')];
    let (count, unit) = units.into_iter().find(|(count, _)| *count < 100_000_000).unwrap_or((99_999_999, 'S'));
    let text = format!("{}{unit}", count.max(1));
    let mut value = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("1u"));
    // It is another in each request: the tables of HPACK are not to learn it, on either side.
    value.set_sensitive(true);
    value
}

/// Adds the trailers to the headers. A status in the headers counts only in an answer that has neither body nor
/// trailers.
pub(super) fn fold(headers: &mut HeaderMap, trailers: Option<HeaderMap>, body: &Chunks) {
    if trailers.is_some() || !body.is_empty() {
        TRAILERS.iter().for_each(|name| drop(headers.remove(*name)));
    }
    let trailers = trailers.unwrap_or_default();
    for name in TRAILERS {
        for value in trailers.get_all(name) {
            headers.append(name, value.clone());
        }
    }
}

/// Refuses a message as soon as its length is known to be too large, instead of waiting for bytes that may never come.
pub(super) fn check_length(reading: &Reading) -> Result<(), Problem> {
    // The first byte says whether the message is compressed.
    match reading.first::<5>() {
        Some([_, length @ ..]) => reading.expect(5 + u64::from(u32::from_be_bytes(length))),
        None => Ok(()),
    }
}

/// Whether the server says that the request was not worked on, or may be sent again.
///
/// UNAVAILABLE is like HTTP's 503. RESOURCE_EXHAUSTED can be a quota that recovers or a message that stays too large,
/// so it is tried again only if the server says when. A server that asks for no retry gets none.
pub(super) fn is_retryable(headers: &HeaderMap) -> bool {
    match headers.get(STATUS).map(HeaderValue::as_bytes) {
        Some(b"14") => headers.get(PUSHBACK).is_none() || pushback(headers).is_some(),
        Some(b"8") => pushback(headers).is_some(),
        _ => false,
    }
}

/// Whether the server says that all went well.
pub(super) fn is_ok(headers: &HeaderMap) -> bool {
    headers.get(STATUS).is_some_and(|status| status.as_bytes() == b"0")
}

/// How long the server asks to wait before the next request.
pub(super) fn pushback(headers: &HeaderMap) -> Option<Duration> {
    let millis = headers.get(PUSHBACK)?.to_str().ok()?.parse::<u32>().ok()?;
    Some(Duration::from_millis(millis.into()))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::failure::Code;
    use crate::transport::runtime::block_on;
    use crate::transport::{Limits, Tally};

    fn headers(rows: &[(&'static str, &'static str)]) -> HeaderMap {
        rows.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_status_counts_only_at_the_end_of_an_answer() {
        let with = |trailers: Option<HeaderMap>, body: &'static [u8]| {
            let mut folded = headers(&[(STATUS, "0"), ("content-type", "application/grpc")]);
            fold(&mut folded, trailers, &Bytes::from_static(body).into());
            folded.get(STATUS).map(|status| status.to_str().unwrap().to_owned())
        };
        assert_eq!(with(None, b""), Some("0".into()));
        assert_eq!(with(None, b"x"), None);
        assert_eq!(with(Some(HeaderMap::new()), b"x"), None);
        assert_eq!(with(Some(headers(&[(STATUS, "3")])), b"x"), Some("3".into()));
    }

    #[test]
    fn only_what_is_safe_is_tried_again() {
        for (status, pushback, expected) in [
            ("14", None, true),
            ("14", Some("20"), true),
            ("14", Some("-1"), false),
            ("8", None, false),
            ("8", Some("20"), true),
            ("8", Some("soon"), false),
            ("13", Some("20"), false),
            ("4", None, false),
            ("0", None, false),
        ] {
            let rows = [Some((STATUS, status)), pushback.map(|value| (PUSHBACK, value))];
            let rows: Vec<_> = rows.into_iter().flatten().collect();
            assert_eq!(is_retryable(&headers(&rows)), expected, "{rows:?}");
        }
    }

    #[test]
    fn a_message_that_is_announced_as_too_large_is_refused_at_once() {
        let tally = Tally::default();
        let (connect_timeout, deadline) = (Duration::ZERO, Instant::now());
        let limits = Limits { deadline, connect_timeout, attempt_timeout: None, retries: 0, max_response_bytes: 20 };
        let mut reading = Reading::new(&limits, true, None, &tally);
        let add = |reading: &mut Reading, piece: &'static [u8]| {
            block_on(deadline + Duration::from_secs(10), reading.add(Bytes::from_static(piece))).unwrap()
        };
        for piece in [&b"\0\0"[..], b"\0\0"] {
            add(&mut reading, piece).unwrap();
            assert!(check_length(&reading).is_ok());
        }
        add(&mut reading, b"\x10").unwrap();
        assert_eq!(check_length(&reading).unwrap_err().code, Code::TooLarge);
    }

    proptest! {
        #[test]
        fn a_timeout_has_at_most_eight_digits_and_is_never_longer_than_what_is_left(micros in 1u64..) {
            let left = Duration::from_micros(micros);
            let text = timeout(left).to_str().unwrap().to_owned();
            let (digits, unit) = text.split_at(text.len() - 1);
            prop_assert!(digits.len() <= 8);
            let count: u64 = digits.parse().unwrap();
            let stated = match unit { "u" => Duration::from_micros(count), "m" => Duration::from_millis(count), _ => Duration::from_secs(count) };
            prop_assert!(stated <= left && stated.as_secs_f64() >= 0.99 * left.as_secs_f64().min(99_999_999.0));
        }
    }
}
