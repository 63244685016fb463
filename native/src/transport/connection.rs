//! One connection, and one exchange on it.
//!
//! A connection is driven by the thread that waits for its answer: no task switch lies between the caller and the
//! socket, and nothing runs while the connection is idle. An [HTTP/2](super::http2) connection is shared by many
//! callers, and driven by one of them for all.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::http2::Http2;
use super::reading::{MAX_ERROR_BYTES, Reading};
use super::{Limits, Response, Tally, Trouble};
use crate::endpoint::Wire;
use crate::failure::{Code, Problem};

/// A socket, encrypted or not.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A socket of either kind.
pub(super) type BoxIo = Box<dyn Io>;

/// An open connection.
pub(super) struct Connection {
    sender: Sender,
    /// Since when it waits for a request.
    pub(super) idle_since: Instant,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>, Driver),
    Http2(Http2),
}

/// What moves an HTTP/1.1 connection forward.
enum Driver {
    /// Polled by whoever holds the connection.
    Running(Pin<Box<http1::Connection<TokioIo<BoxIo>, Full<Bytes>>>>),
    Finished,
}

impl Driver {
    fn advance(&mut self, context: &mut Context<'_>) {
        if let Driver::Running(connection) = self {
            // An error reaches the caller through the exchange that it ends.
            if connection.as_mut().poll(context).is_ready() {
                *self = Driver::Finished;
            }
        }
    }

    /// Runs `work` while moving the connection forward.
    async fn drive<F: Future>(&mut self, work: F) -> F::Output {
        let mut work = pin!(work);
        poll_fn(|context| {
            self.advance(context);
            work.as_mut().poll(context)
        })
        .await
    }
}

impl Connection {
    /// Begins HTTP/1.1 on a connected socket.
    pub(super) async fn http1(io: BoxIo) -> Result<Self, Trouble> {
        let mut builder = http1::Builder::new();
        let (sender, connection) = builder.max_headers(100).handshake(TokioIo::new(io)).await.map_err(unanswered)?;
        Ok(Self::new(Sender::Http1(sender, Driver::Running(Box::pin(connection)))))
    }

    /// Begins HTTP/2 on a connected socket.
    pub(super) async fn http2(io: BoxIo, wire: Wire) -> Result<Self, Trouble> {
        Ok(Self::new(Sender::Http2(Http2::begin(io, wire).await?)))
    }

    fn new(sender: Sender) -> Self {
        Self { sender, idle_since: Instant::now() }
    }

    /// Another handle of the same connection, where it can carry several requests at once.
    pub(super) fn share(&self) -> Option<Self> {
        match &self.sender {
            Sender::Http1(..) => None,
            Sender::Http2(connection) => Some(Self::new(Sender::Http2(connection.clone()))),
        }
    }

    /// Whether `other` is a handle of the same connection.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (&self.sender, &other.sender) {
            (Sender::Http2(this), Sender::Http2(other)) => this.is_same(other),
            _ => false,
        }
    }

    /// Whether the connection speaks HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        matches!(self.sender, Sender::Http2(_))
    }

    /// Whether the next request can be sent now; notices what came in while the connection was idle.
    pub(super) async fn is_ready(&mut self) -> bool {
        match &mut self.sender {
            Sender::Http1(sender, driver) => {
                poll_fn(|context| {
                    driver.advance(context);
                    Poll::Ready(matches!(sender.poll_ready(context), Poll::Ready(Ok(()))))
                })
                .await
            }
            Sender::Http2(connection) => connection.is_open(),
        }
    }

    /// Sends `request` and reads its answer. Afterwards the connection may be [ready](Self::is_ready) again.
    pub(super) async fn exchange(
        &mut self,
        request: http::Request<Bytes>,
        limits: &Limits,
        tally: &Tally,
    ) -> Result<Response, Trouble> {
        let (sender, driver) = match &mut self.sender {
            Sender::Http1(sender, driver) => (sender, driver),
            Sender::Http2(connection) => return connection.exchange(request, limits, tally).await,
        };
        let answer = driver.drive(sender.send_request(request.map(Full::new))).await;
        let (head, body) = answer.map_err(unanswered)?.into_parts();
        let body = match head.status.as_u16() {
            200 => read(driver, body, Reading::new(limits.max_response_bytes, tally)).await,
            _ => read_some(driver, body, Reading::new(limits.max_response_bytes.min(MAX_ERROR_BYTES), tally)).await,
        };
        let reading = body.map_err(|problem| Trouble::Final(problem.with_status(head.status.as_u16())))?;
        Ok(Response { status: head.status, headers: head.headers, body: reading.finish() })
    }
}

async fn read<'a>(driver: &mut Driver, mut body: Incoming, mut reading: Reading<'a>) -> Result<Reading<'a>, Problem> {
    // The length that a header claims is looked at, and never allocated.
    reading.expect(body.size_hint().lower())?;
    while let Some(piece) = next_piece(driver, &mut body).await {
        reading.add(piece.map_err(|error| cut_short(&error))?)?;
    }
    Ok(reading)
}

/// As much of an error's text as there is, and may be.
async fn read_some<'a>(
    driver: &mut Driver,
    mut body: Incoming,
    mut reading: Reading<'a>,
) -> Result<Reading<'a>, Problem> {
    while let Some(Ok(piece)) = next_piece(driver, &mut body).await {
        if reading.add(piece).is_err() {
            break;
        }
    }
    Ok(reading)
}

async fn next_piece(driver: &mut Driver, body: &mut Incoming) -> Option<Result<Bytes, hyper::Error>> {
    loop {
        match driver.drive(body.frame()).await? {
            Ok(frame) => {
                if let Ok(piece) = frame.into_data() {
                    return Some(Ok(piece));
                }
            }
            Err(error) => return Some(Err(error)),
        }
    }
}

/// The problem of an answer that broke off.
pub(super) fn cut_short(error: &dyn std::error::Error) -> Problem {
    Problem::new(Code::CutShort, format!("the answer ended early: {}", cause(error)))
}

/// The problem of a connection that broke before an answer.
pub(super) fn lost(error: &dyn std::error::Error) -> Problem {
    Problem::new(Code::CutShort, format!("the connection was lost before an answer: {}", cause(error)))
}

fn unanswered(error: hyper::Error) -> Trouble {
    if error.is_parse() && !error.is_incomplete_message() {
        return Trouble::Final(Problem::new(Code::Answer, format!("the answer is no HTTP: {}", cause(&error))));
    }
    Trouble::Unanswered(lost(&error))
}

/// The innermost reason, which says the most.
pub(super) fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
