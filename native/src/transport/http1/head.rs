//! The head of an answer: its status, its headers, and what they say of the body behind them (RFC 9112, section 6).

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use httparse::{ParserConfig, Status};

/// Bytes that a head may have.
const MAX_HEAD: usize = 256 << 10;

/// Headers that an answer may have.
const MAX_HEADERS: usize = 100;

/// A head, read.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) length: Length,
    /// Whether another exchange may follow on the connection.
    pub(super) keeps: bool,
}

/// Where a body ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Length {
    /// After this many bytes.
    Known(u64),
    /// After its last chunk.
    Chunked,
    /// At the end of the connection.
    Close,
}

/// What makes an answer no HTTP.
pub(super) type Malformed = &'static str;

impl Head {
    /// Takes a head from the start of `buffer`; `None` if its end has not come yet. The first `known` bytes were
    /// searched for it before.
    pub(super) fn take(buffer: &mut BytesMut, known: usize) -> Result<Option<Self>, Malformed> {
        let blank = buffer.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        buffer.advance(blank);
        match end(buffer, known) {
            Some(end) => Self::parse(buffer.split_to(end).freeze())
                .and_then(|head| head.ok_or("its head is cut short"))
                .map(Some),
            None if buffer.len() > MAX_HEAD => Err("its head is too large"),
            // Bytes that cannot become a head are refused before more of them come.
            None if known == 0 => Self::parse(Bytes::copy_from_slice(buffer)).map(|_| None),
            None => Ok(None),
        }
    }

    fn parse(bytes: Bytes) -> Result<Option<Self>, Malformed> {
        let mut fields = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut answer = httparse::Response::new(&mut []);
        match ParserConfig::default().parse_response_with_uninit_headers(&mut answer, &bytes, &mut fields) {
            Ok(Status::Complete(_)) => {}
            Ok(Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err("it has too many headers"),
            Err(httparse::Error::Version) => return Err("its version is not HTTP/1"),
            Err(httparse::Error::Status) => return Err("its status line is malformed"),
            Err(_) => return Err("its head is malformed"),
        }
        let status = answer.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or("its status is none")?;
        let mut headers = HeaderMap::with_capacity(answer.headers.len());
        for field in answer.headers.iter() {
            let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| "a header's name is malformed")?;
            let value = HeaderValue::from_maybe_shared(bytes.slice_ref(field.value));
            headers.append(name, value.map_err(|_| "a header's value is malformed")?);
        }
        Self::framed(status, headers, answer.version == Some(1)).map(Some)
    }

    fn framed(status: StatusCode, headers: HeaderMap, current: bool) -> Result<Self, Malformed> {
        let lengths = content_length(&headers)?;
        let encoded = headers.contains_key(TRANSFER_ENCODING);
        let length = match (status.as_u16(), encoded, lengths) {
            (100..200 | 204 | 304, ..) => Length::Known(0),
            (_, true, _) if !current => return Err("HTTP/1.0 knows no transfer encoding"),
            (_, true, _) if is_last(&headers, "chunked") => Length::Chunked,
            (_, true, _) | (_, false, None) => Length::Close,
            (_, false, Some(length)) => Length::Known(length),
        };
        let asked = |token| names(&headers, CONNECTION).any(|name| name.eq_ignore_ascii_case(token));
        let keeps = if current { !asked("close") } else { asked("keep-alive") };
        // Two statements of where a body ends are how requests are smuggled: no other exchange follows.
        let keeps = keeps && length != Length::Close && status != 101 && !(encoded && lengths.is_some());
        Ok(Self { status, headers, length, keeps })
    }
}

/// Where the head ends: behind the first empty line.
fn end(buffer: &[u8], known: usize) -> Option<usize> {
    let from = known.saturating_sub(3).min(buffer.len());
    let mut rest = buffer.get(from..)?;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
        rest = &rest[at + 1..];
        match rest {
            [b'\n', ..] => return Some(buffer.len() - rest.len() + 1),
            [b'\r', b'\n', ..] => return Some(buffer.len() - rest.len() + 2),
            _ => {}
        }
    }
    None
}

/// The comma-separated values of a header.
fn names(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).into_iter().flat_map(|value| value.to_str().unwrap_or_default().split(',')).map(str::trim)
}

fn is_last(headers: &HeaderMap, coding: &str) -> bool {
    names(headers, TRANSFER_ENCODING).last().is_some_and(|last| last.eq_ignore_ascii_case(coding))
}

/// The one length that the headers name, however often.
fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Malformed> {
    let mut length = None;
    for text in names(headers, CONTENT_LENGTH) {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let named: u64 = text.parse().ok().filter(|_| digits).ok_or("its content-length is no number")?;
        if length.replace(named).is_some_and(|other| other != named) {
            return Err("it has two content-lengths");
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn take(text: &str) -> Result<Option<Head>, Malformed> {
        Head::take(&mut BytesMut::from(text), 0)
    }

    fn framing(lines: &str) -> Result<(Length, bool), Malformed> {
        take(&format!("HTTP/1.1 {lines}\r\n\r\n")).map(|head| head.map(|head| (head.length, head.keeps)).unwrap())
    }

    #[test]
    fn a_head_leaves_what_is_behind_it() {
        let mut buffer = BytesMut::from("\r\nHTTP/1.1 404 Not Found\r\nA: 1\r\na: 2\r\ncontent-length: 4\r\n\r\nbody");
        let head = Head::take(&mut buffer, 0).unwrap().unwrap();
        assert_eq!((head.status.as_u16(), head.length, head.keeps), (404, Length::Known(4), true));
        assert_eq!(head.headers.get_all("a").iter().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(buffer, "body");
    }

    #[test]
    fn a_body_ends_as_the_head_says() {
        assert_eq!(framing("200 OK\r\ncontent-length: 5, 5\r\ncontent-length: 5"), Ok((Length::Known(5), true)));
        assert_eq!(framing("200 OK\r\ntransfer-encoding: gzip, Chunked"), Ok((Length::Chunked, true)));
        assert_eq!(framing("200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 3"), Ok((Length::Chunked, false)));
        assert_eq!(framing("200 OK\r\ntransfer-encoding: gzip"), Ok((Length::Close, false)));
        assert_eq!(framing("200 OK"), Ok((Length::Close, false)));
        assert_eq!(framing("204 No Content"), Ok((Length::Known(0), true)));
        assert_eq!(framing("101 Switching\r\ncontent-length: 9"), Ok((Length::Known(0), false)));
        assert_eq!(framing("200 OK\r\ncontent-length: 0\r\nConnection: x, Close"), Ok((Length::Known(0), false)));
    }

    #[test]
    fn the_old_version_keeps_a_connection_only_when_it_says_so() {
        let keeps =
            |lines: &str| take(&format!("HTTP/1.0 200 OK\r\ncontent-length: 0\r\n{lines}\r\n")).unwrap().unwrap().keeps;
        assert!(!keeps("") && keeps("connection: keep-alive\r\n"));
    }

    #[test]
    fn what_is_no_head_is_told_at_once() {
        for text in [
            "SSH-2.0-x\r\n",
            "HTTP/2.0 200 OK\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: +1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
            "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        ] {
            assert!(take(text).is_err(), "{text:?}");
        }
        assert!(take(&format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(101))).is_err());
        assert!(take(&format!("HTTP/1.1 200 OK\r\na: {}", "b".repeat(MAX_HEAD))).is_err());
    }

    proptest! {
        #[test]
        fn a_head_in_pieces_is_the_head_in_one(cut in 0usize..60) {
            let whole = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\nx: y\r\n\r\n";
            let cut = cut.min(whole.len() - 1);
            let mut buffer = BytesMut::from(&whole[..cut]);
            prop_assert!(Head::take(&mut buffer, 0).unwrap().is_none());
            buffer.extend_from_slice(&whole.as_bytes()[cut..]);
            let head = Head::take(&mut buffer, cut).unwrap().unwrap();
            prop_assert_eq!((head.length, buffer.len()), (Length::Known(7), 0));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), known in 0usize..300) {
            let _ = Head::take(&mut BytesMut::from(bytes.as_slice()), known);
            let mut plausible = b"HTTP/1.1 200 OK\r\n".to_vec();
            plausible.extend(bytes);
            plausible.extend_from_slice(b"\r\n\r\n");
            let _ = Head::take(&mut BytesMut::from(plausible.as_slice()), 0);
        }
    }
}
