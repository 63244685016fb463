//! Requests and answers on their way: one deadline, safe retries, bounded bodies, pooled connections.

mod admission;
mod alarm;
mod body;
mod connect;
mod connection;
mod grpc;
mod http1;
mod http2;
mod io;
mod message;
mod peer;
mod proxy;
mod reading;
mod retry;
pub mod runtime;
mod sleep;
mod socket;
mod tls;
mod together;
mod trust;
mod watch;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::header::AsHeaderName;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, StatusCode};

use crate::failure::Problem;
use crate::tensor::Chunks;

pub use body::Body;
pub use peer::Peer;
pub use retry::{Backoff, is_retryable};
pub use together::side_by_side;
pub use trust::{ClientCertificate, Trust};
pub use watch::Watch;

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
#[derive(Clone, Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers; of an answer of gRPC also the trailers, which alone have its status.
    pub headers: HeaderMap,
    /// The body as it came.
    pub body: Chunks,
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
    /// Requests after the first.
    pub retries: u32,
    /// Bytes that the body of an answer may have.
    pub max_response_bytes: u64,
}

/// What a call has done so far; it outlives the call that a deadline cuts off.
#[derive(Debug, Default)]
pub struct Tally {
    attempts: AtomicU32,
    retries: AtomicU32,
    bytes_out: AtomicU64,
    bytes_in: AtomicU64,
    /// What the call's requests are held to and carry.
    pub watch: Watch,
}

impl Tally {
    /// The tally of a call that is watched.
    pub fn watched(watch: &Watch) -> Self {
        Self { watch: watch.begin(), ..Self::default() }
    }

    /// Takes over the attempts of a call that was made before.
    pub fn replay(&self, attempts: u32) {
        self.attempts.store(attempts, Ordering::Relaxed);
        self.retries.store(attempts.saturating_sub(1), Ordering::Relaxed);
    }

    /// Requests that were tried.
    pub fn attempts(&self) -> u32 {
        self.attempts.load(Ordering::Relaxed)
    }

    /// Requests that were tried again.
    pub fn retries(&self) -> u32 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Bytes of request bodies that were sent, or at least begun.
    pub fn bytes_out(&self) -> u64 {
        self.bytes_out.load(Ordering::Relaxed)
    }

    /// Bytes of response bodies that were read.
    pub fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Ordering::Relaxed)
    }

    fn sent(&self, body: &Body<'_>) {
        self.bytes_out.fetch_add(body.len() as u64, Ordering::Relaxed);
    }

    fn received(&self, piece: &Bytes) {
        self.bytes_in.fetch_add(piece.len() as u64, Ordering::Relaxed);
        self.watch.received(piece.len() as u64);
    }
}

/// Why an exchange brought no answer.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// No byte of an answer came, and the request can be sent again.
    Unanswered(Problem),
    /// Trying again would be of no use, or not safe.
    Final(Problem),
}

impl From<Trouble> for Problem {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Unanswered(problem) | Trouble::Final(problem) => problem,
        }
    }
}

/// Sends `request` until an answer comes that is not worth a retry, or the limits are reached.
///
/// The caller cuts it off at the deadline; it only sees to it that no pause goes past that.
pub async fn send(peer: &Peer, request: &Request<'_>, limits: &Limits, tally: &Tally) -> Result<Response, Problem> {
    let (mut backoff, mut before, mut retries) = (Backoff::default(), None, 0);
    loop {
        let mut place = match peer.admit(request, limits, &tally.watch).await {
            Ok(place) => place,
            // What a repeat is refused for says less than what it was to repeat.
            Err(problem) => return before.unwrap_or(Err(problem)),
        };
        let attempt = tally.attempts.fetch_add(1, Ordering::Relaxed) + 1;
        let outcome = peer.exchange(request, limits, tally).await;
        place.settle(&outcome);
        drop(place);
        let pause = match &outcome {
            Ok(answer) if is_retryable(answer.status) => {
                backoff.pause(retry::retry_after(&answer.headers, SystemTime::now()))
            }
            Ok(answer) if grpc::is_retryable(&answer.headers) => backoff.pause(grpc::pushback(&answer.headers)),
            Err(Trouble::Unanswered(_)) => backoff.pause(None),
            _ => return outcome.map_err(Problem::from),
        };
        if retries >= limits.retries || Instant::now() + pause >= limits.deadline {
            return outcome.map_err(Problem::from);
        }
        tally.watch.repeated(attempt, &outcome);
        before = Some(outcome.map_err(Problem::from));
        tokio::time::sleep(pause).await;
        retries += 1;
        tally.retries.fetch_add(1, Ordering::Relaxed);
    }
}
