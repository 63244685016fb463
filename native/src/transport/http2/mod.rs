//! HTTP/2: one connection, shared by many callers and [driven](driver) by one of them for all.

mod driver;

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use h2::{Reason, RecvStream};

use self::driver::Driver;
use super::coding::Coding;
use super::io::{BoxIo, cause, cut_short, lost};
use super::reading::Reading;
use super::unpacking::unpack;
use super::{Limits, Response, Tally, Trouble, grpc};
use crate::endpoint::Wire;
use crate::failure::{Code, Problem};

/// Flow-control window of one answer: how many bytes a server may send ahead. Large enough for a fast connection with a
/// long round trip.
const STREAM_WINDOW: u32 = 16 << 20;

/// Flow-control window of all answers of a connection together.
const CONNECTION_WINDOW: u32 = 64 << 20;

/// Bytes that a frame may have.
const FRAME: u32 = 1 << 20;

/// Bytes that the headers of an answer may have.
const HEADERS: u32 = 64 << 10;

/// Requests that are sent before the server has said how many it takes at once. Those beyond its limit it would refuse,
/// or give up with an error: a burst on a new connection would fail that waits for nothing but one round trip.
const UNTOLD: usize = 1;

/// A handle of an open connection.
#[derive(Clone)]
pub(super) struct Http2 {
    sender: SendRequest<Bytes>,
    driver: Arc<Driver>,
    wire: Wire,
}

impl Http2 {
    /// Begins HTTP/2 on a connected socket, without asking first whether it is spoken there.
    pub(super) async fn begin(io: BoxIo, wire: Wire) -> Result<Self, Trouble> {
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            .initial_max_send_streams(UNTOLD)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME)
            .max_header_list_size(HEADERS);
        let (sender, connection) = builder.handshake(io).await.map_err(unanswered)?;
        Ok(Self { sender, driver: Arc::new(Driver::new(connection)), wire })
    }

    /// Whether a request can still be sent; notices what came in while nobody waited.
    pub(super) fn is_open(&mut self) -> bool {
        self.driver.look();
        let mut context = Context::from_waker(Waker::noop());
        !matches!(self.sender.poll_ready(&mut context), Poll::Ready(Err(_))) && self.driver.is_running()
    }

    /// Whether `other` is a handle of the same connection.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.driver, &other.driver)
    }

    /// Sends `request` and reads its answer.
    pub(super) async fn exchange(
        &self,
        request: http::Request<Bytes>,
        limits: &Limits,
        tally: &Tally,
    ) -> Result<Response, Trouble> {
        // A handle of its own: it holds the stream for a while, which is to be reset when the exchange is given up.
        self.driver.drive(perform(self.sender.clone(), self.wire, request, limits, tally)).await
    }
}

async fn perform(
    mut sender: SendRequest<Bytes>,
    wire: Wire,
    request: http::Request<Bytes>,
    limits: &Limits,
    tally: &Tally,
) -> Result<Response, Trouble> {
    let (head, body) = request.into_parts();
    let request = http::Request::from_parts(head, ());
    let (answer, mut stream) = sender.send_request(request, body.is_empty()).map_err(unanswered)?;
    if !body.is_empty() {
        // The answer tells why the body could not be sent.
        let _ = stream.send_data(body, true);
    }
    let (head, mut body) = answer.await.map_err(unanswered)?.into_parts();
    let mut response = Response { status: head.status, headers: head.headers, ..Response::default() };
    let outcome = read(&mut body, wire, &mut response, limits, tally).await;
    outcome.map_err(|problem| match wire {
        Wire::Http => Trouble::Final(problem.with_status(response.status.as_u16())),
        // Its status comes in the trailers, which did not come.
        Wire::Grpc => Trouble::Final(problem),
    })?;
    Ok(response)
}

/// Reads the body and the trailers of `response`.
async fn read(
    body: &mut RecvStream,
    wire: Wire,
    response: &mut Response,
    limits: &Limits,
    tally: &Tally,
) -> Result<(), Problem> {
    let good = response.status.as_u16() == 200;
    let message = good && wire == Wire::Grpc;
    // gRPC compresses messages, never the body that they are in.
    let coding = if message { None } else { Coding::take(&mut response.headers) };
    let mut reading = Reading::new(limits, good, coding, tally);
    let outcome = read_body(body, message, &mut reading).await.and_then(|()| reading.end());
    response.body = reading.finish();
    match outcome {
        // The text of an error is quoted as far as it came, and as far as the limit allows.
        Err(_) if !good => return Ok(()),
        outcome => outcome?,
    }
    let trailers = body.trailers().await.map_err(|error| cut_short(&error))?;
    if wire == Wire::Grpc {
        grpc::fold(&mut response.headers, trailers, &response.body);
        unpack(response, limits, tally).await?;
    }
    Ok(())
}

async fn read_body(body: &mut RecvStream, message: bool, reading: &mut Reading<'_>) -> Result<(), Problem> {
    while let Some(piece) = body.data().await {
        let piece = piece.map_err(|error| cut_short(&error))?;
        // A connection that is gone needs no room.
        let _ = body.flow_control().release_capacity(piece.len());
        reading.received(piece.len());
        reading.add(piece).await?;
        if message {
            grpc::check_length(reading)?;
        }
    }
    Ok(())
}

/// Reasons with which a server refuses a request that it has not read: both are what it does to one above its limit of
/// requests at once, the latter those that are built on gRPC's C core.
const UNREAD: [Reason; 2] = [Reason::REFUSED_STREAM, Reason::ENHANCE_YOUR_CALM];

/// Why no answer came. A request that the server refused unread, or that was lost with its connection, may be sent
/// again. One whose stream the server reset, or whose answer breaks the protocol, would only fail again.
fn unanswered(error: h2::Error) -> Trouble {
    let cut = |what| Problem::new(Code::CutShort, format!("the server {what}: {}", cause(&error)));
    match error.reason() {
        _ if error.is_library() => {
            Trouble::Final(Problem::new(Code::Answer, format!("the answer is no HTTP/2: {}", cause(&error))))
        }
        Some(reason) if error.is_reset() && UNREAD.contains(&reason) => {
            Trouble::Refused(cut("refused the request unread"))
        }
        Some(_) if error.is_reset() => Trouble::Final(cut("ended the request before an answer")),
        _ => Trouble::Unanswered(lost(&error)),
    }
}
