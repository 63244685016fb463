//! A request and its answer, each whole; what a call may take, and why it brought no answer.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::AsHeaderName;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::body::Body;
use crate::failure::Problem;
use crate::tensor::Chunks;

/// A request, whole and ready to be sent more than once.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: Method,
    /// Path and query at the peer's origin.
    pub path: PathAndQuery,
    /// Headers, without those that the transport sets: Host, Content-Length, User-Agent.
    pub headers: HeaderMap,
    /// The body, part of which may be lent.
    pub body: Body<'a>,
}

impl Request<'_> {
    /// The same, with nothing lent.
    pub fn into_owned(self) -> Request<'static> {
        Request { body: self.body.into_owned(), ..self }
    }
}

/// An answer, whole.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers; of an answer of gRPC also the trailers, which alone have its status.
    pub headers: HeaderMap,
    /// The body as it came.
    pub body: Chunks,
    /// What an answer that is no success says of the next request, as the end of "the server answered 503"; often nothing.
    pub advice: String,
}

impl Response {
    /// A header's value, if it is there and text.
    pub fn header(&self, name: impl AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The same in memory of its own, where it is small: its bytes lie in a buffer that is far larger and stays as long as
    /// one of them does, which is nothing for one answer and much for thousands.
    pub fn detached(self) -> Self {
        if self.body.len() > SMALL {
            return self;
        }
        let mut headers = HeaderMap::with_capacity(self.headers.len());
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_str().as_bytes());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
                headers.append(name, value);
            }
        }
        Self { headers, body: Bytes::copy_from_slice(&self.body.join()).into(), ..self }
    }
}

/// Bytes of a body that are fewer than those of the buffer that it was read into.
const SMALL: usize = 8 << 10;

/// What a call may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// When the call ends, whatever it is doing.
    pub deadline: Instant,
    /// How long one connection may take to be made.
    pub connect_timeout: Duration,
    /// How long one attempt may take, its connection included; `None` for as long as the call.
    pub attempt_timeout: Option<Duration>,
    /// Requests after the first.
    pub retries: u32,
    /// Bytes that the bodies of a call's answers may have.
    pub max_response_bytes: u64,
}

impl Limits {
    /// The time until the deadline.
    pub fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// Why an exchange brought no answer.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// No byte of an answer came, and the request can be sent again.
    Unanswered(Problem),
    /// The same, on a connection that was kept from before: it may have ended before the request came.
    Stale(Problem),
    /// There was no whole answer within the time of an attempt. Whoever set that time wants the request sent again, on
    /// another connection: this one may lead nowhere.
    Silent(Problem),
    /// The server refused the request unread, and takes others on the same connection.
    Refused(Problem),
    /// Trying again would be of no use, or not safe.
    Final(Problem),
}

impl From<Trouble> for Problem {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Unanswered(problem)
            | Trouble::Stale(problem)
            | Trouble::Refused(problem)
            | Trouble::Silent(problem)
            | Trouble::Final(problem) => problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detached_answer_says_the_same() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-one", "1"), ("x-two", "a"), ("x-two", "b")] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        for size in [0, 5, SMALL + 1] {
            let body = Chunks::from(Bytes::from(vec![7; size]));
            let answer = Response { headers: headers.clone(), body, ..Response::default() };
            let detached = answer.clone().detached();
            assert_eq!(detached.headers, headers);
            assert_eq!(detached.body.join(), answer.body.join());
        }
    }
}
