//! A request and its answer, each whole; what a call may take, and why it brought no answer.

use std::time::{Duration, Instant};

use http::header::AsHeaderName;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, StatusCode};

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
}

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
