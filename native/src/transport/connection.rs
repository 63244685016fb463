//! One connection, and one exchange on it.
//!
//! An HTTP/1.1 connection is driven by the thread that waits for its answer: no task switch lies between the
//! caller and the socket, and nothing runs while the connection is idle. An HTTP/2 connection is shared by
//! many callers and therefore driven by the runtime.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Limits, Response, Tally, Trouble};
use crate::failure::{Code, Problem};
use crate::tensor::Chunks;

/// A socket, encrypted or not.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A socket of either kind.
pub(super) type BoxIo = Box<dyn Io>;

/// Bytes that the body of an error answer may have before the rest is left unread.
const MAX_ERROR_BYTES: u64 = 64 << 10;

/// An open connection.
pub(super) struct Connection {
    sender: Sender,
    driver: Driver,
    /// Since when it waits for a request.
    pub(super) idle_since: Instant,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

enum Driver {
    /// Polled by whoever holds the connection.
    Here(Pin<Box<http1::Connection<TokioIo<BoxIo>, Full<Bytes>>>>),
    /// Polled by the runtime.
    Elsewhere,
    Finished,
}

impl Driver {
    fn advance(&mut self, context: &mut Context<'_>) {
        if let Driver::Here(connection) = self {
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
        Ok(Self {
            sender: Sender::Http1(sender),
            driver: Driver::Here(Box::pin(connection)),
            idle_since: Instant::now(),
        })
    }

    /// Begins HTTP/2 on a connected socket.
    pub(super) async fn http2(io: BoxIo) -> Result<Self, Trouble> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.adaptive_window(true);
        let (sender, connection) = builder.handshake(TokioIo::new(io)).await.map_err(unanswered)?;
        tokio::spawn(connection);
        Ok(Self { sender: Sender::Http2(sender), driver: Driver::Elsewhere, idle_since: Instant::now() })
    }

    /// Another handle of the same connection, where it can carry several requests at once and still does.
    pub(super) fn share(&self) -> Option<Self> {
        match &self.sender {
            Sender::Http1(_) => None,
            Sender::Http2(sender) if sender.is_closed() => None,
            Sender::Http2(sender) => Some(Self {
                sender: Sender::Http2(sender.clone()),
                driver: Driver::Elsewhere,
                idle_since: Instant::now(),
            }),
        }
    }

    /// Whether the connection speaks HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        matches!(self.sender, Sender::Http2(_))
    }

    /// Whether the next request can be sent now; notices what came in while the connection was idle.
    pub(super) async fn is_ready(&mut self) -> bool {
        poll_fn(|context| {
            self.driver.advance(context);
            let ready = match &mut self.sender {
                Sender::Http1(sender) => sender.poll_ready(context),
                Sender::Http2(sender) => sender.poll_ready(context),
            };
            Poll::Ready(matches!(ready, Poll::Ready(Ok(()))))
        })
        .await
    }

    /// Sends `request` and reads its answer. Afterwards the connection may be [ready](Self::is_ready) again.
    pub(super) async fn exchange(
        &mut self,
        request: http::Request<Full<Bytes>>,
        limits: &Limits,
        tally: &Tally,
    ) -> Result<Response, Trouble> {
        let answer = match &mut self.sender {
            Sender::Http1(sender) => self.driver.drive(sender.send_request(request)).await,
            Sender::Http2(sender) => sender.send_request(request).await,
        };
        let (head, body) = answer.map_err(unanswered)?.into_parts();
        let body = match head.status.as_u16() {
            200 => self.read(body, limits.max_response_bytes, tally).await,
            _ => Ok(self.read_some(body, limits.max_response_bytes.min(MAX_ERROR_BYTES), tally).await),
        };
        let body = body.map_err(|problem| Trouble::Final(problem.with_status(head.status.as_u16())))?;
        Ok(Response { status: head.status, headers: head.headers, body })
    }

    async fn read(&mut self, mut body: Incoming, limit: u64, tally: &Tally) -> Result<Chunks, Problem> {
        let mut chunks = Chunks::default();
        // The length that a header claims is looked at, and never allocated.
        let mut length = body.size_hint().lower();
        if length <= limit {
            length = 0;
            while let Some(piece) = self.next_piece(&mut body).await {
                let piece = piece.map_err(|error| {
                    Problem::new(Code::CutShort, format!("the answer ended early: {}", cause(&error)))
                })?;
                tally.received(&piece);
                length += piece.len() as u64;
                if length > limit {
                    break;
                }
                chunks.push(piece);
            }
        }
        if length > limit {
            return Err(Problem::new(
                Code::TooLarge,
                format!("the answer is larger than the {limit} bytes that the policy allows"),
            ));
        }
        Ok(chunks)
    }

    /// As much of an error's text as there is, up to `limit` bytes.
    async fn read_some(&mut self, mut body: Incoming, limit: u64, tally: &Tally) -> Chunks {
        let (mut chunks, mut length) = (Chunks::default(), 0);
        while let Some(Ok(piece)) = self.next_piece(&mut body).await {
            tally.received(&piece);
            length += piece.len() as u64;
            chunks.push(piece);
            if length >= limit {
                break;
            }
        }
        chunks
    }

    async fn next_piece(&mut self, body: &mut Incoming) -> Option<Result<Bytes, hyper::Error>> {
        loop {
            match self.driver.drive(body.frame()).await? {
                Ok(frame) => {
                    if let Ok(piece) = frame.into_data() {
                        return Some(Ok(piece));
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

fn unanswered(error: hyper::Error) -> Trouble {
    if error.is_parse() && !error.is_incomplete_message() {
        return Trouble::Final(Problem::new(Code::Answer, format!("the answer is no HTTP: {}", cause(&error))));
    }
    Trouble::Unanswered(Problem::new(
        Code::CutShort,
        format!("the connection was lost before an answer: {}", cause(&error)),
    ))
}

/// The innermost reason, which says the most.
fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
