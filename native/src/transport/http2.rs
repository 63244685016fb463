//! HTTP/2: one connection, shared by many callers and driven by one of them for all.
//!
//! A caller that waits moves the connection forward, so that no task switch lies between it and the socket. Of
//! several callers the one that has waited longest is woken by the socket; what it reads for the others wakes them.
//! When it has its answer, the next one takes over. Nothing runs while nobody waits: what the server sent meanwhile
//! is noticed by the next caller.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, TryLockError};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use h2::{Reason, RecvStream};

use super::coding::Coding;
use super::io::{BoxIo, cause, cut_short, lost};
use super::reading::Reading;
use super::sleep::{bounded, is_spent};
use super::unpacking::unpack;
use super::{Limits, Response, Tally, Trouble, grpc};
use crate::endpoint::Wire;
use crate::failure::{Code, Problem};
use crate::guard::lock;

/// Flow-control window of one answer: how many bytes a server may send ahead. Large enough for a fast connection with a
/// long round trip.
const STREAM_WINDOW: u32 = 16 << 20;

/// Flow-control window of all answers of a connection together.
const CONNECTION_WINDOW: u32 = 64 << 20;

/// Bytes that a frame may have.
const FRAME: u32 = 1 << 20;

/// Bytes that the headers of an answer may have.
const HEADERS: u32 = 64 << 10;

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
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME)
            .max_header_list_size(HEADERS);
        let (sender, connection) = builder.handshake(io).await.map_err(unanswered)?;
        Ok(Self { sender, driver: Arc::new(Driver::new(connection)), wire })
    }

    /// Whether a request can still be sent; notices what came in while nobody waited.
    pub(super) fn is_open(&self) -> bool {
        self.driver.advance();
        let mut context = Context::from_waker(Waker::noop());
        let mut sender = self.sender.clone();
        !matches!(sender.poll_ready(&mut context), Poll::Ready(Err(_))) && self.driver.is_running()
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

/// Why no answer came. A request that the server refused unread, or that was lost with its connection, may be sent
/// again. One whose stream the server reset, or whose answer breaks the protocol, would only fail again.
fn unanswered(error: h2::Error) -> Trouble {
    if error.is_library() {
        return Trouble::Final(Problem::new(Code::Answer, format!("the answer is no HTTP/2: {}", cause(&error))));
    }
    if error.is_reset() && error.reason() != Some(Reason::REFUSED_STREAM) {
        return Trouble::Final(Problem::new(
            Code::CutShort,
            format!("the server ended the request before an answer: {}", cause(&error)),
        ));
    }
    Trouble::Unanswered(lost(&error))
}

type Connection = h2::client::Connection<BoxIo, Bytes>;

/// What moves the connection forward.
struct Driver {
    /// `None` once it has ended.
    connection: Mutex<Option<Connection>>,
    signal: Arc<Signal>,
}

impl Driver {
    fn new(connection: Connection) -> Self {
        let signal = Signal { due: AtomicBool::new(true), ..Signal::default() };
        Self { connection: Mutex::new(Some(connection)), signal: Arc::new(signal) }
    }

    fn is_running(&self) -> bool {
        // A connection that another caller is driving is running.
        self.with_connection(|connection| connection.is_some()).unwrap_or(true)
    }

    /// Calls `work` unless another caller has the connection.
    fn with_connection<T>(&self, work: impl FnOnce(&mut Option<Connection>) -> T) -> Option<T> {
        match self.connection.try_lock() {
            Ok(mut connection) => Some(work(&mut connection)),
            Err(TryLockError::Poisoned(connection)) => Some(work(&mut connection.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Does what the connection can do now; `false` if another caller is doing so, who then does this as well.
    fn advance(&self) -> bool {
        while self.signal.due.load(Ordering::SeqCst) && !is_spent() {
            if self.with_connection(|connection| self.poll(connection)).is_none() {
                return false;
            }
        }
        true
    }

    fn poll(&self, connection: &mut Option<Connection>) {
        let waker = Waker::from(self.signal.clone());
        let mut context = Context::from_waker(&waker);
        while !is_spent() && self.signal.due.swap(false, Ordering::SeqCst) {
            // An error reaches the callers through the exchanges that it ends.
            if connection.as_mut().is_some_and(|running| Pin::new(running).poll(&mut context).is_ready()) {
                *connection = None;
            }
        }
    }

    /// Runs `work` while moving the connection forward.
    async fn drive<F: Future>(&self, work: F) -> F::Output {
        let caller = Caller { driver: self, number: self.signal.next.fetch_add(1, Ordering::Relaxed) };
        // Dropped before the caller, whose own drop then sends the reset of the stream.
        let mut work = pin!(work);
        poll_fn(|context| caller.poll(context, work.as_mut())).await
    }
}

/// Wakes the callers of a connection, and knows whether there is anything to do.
#[derive(Default)]
struct Signal {
    /// Whether the connection has to be polled.
    due: AtomicBool,
    /// Callers that are at work, and look at `due` before they leave.
    busy: AtomicUsize,
    next: AtomicUsize,
    /// Callers that wait, in the order in which they came.
    waiting: Mutex<BTreeMap<usize, Waker>>,
}

impl Signal {
    fn wake_first(&self) {
        let first = lock(&self.waiting).first_key_value().map(|(_, waker)| waker.clone());
        if let Some(waker) = first {
            waker.wake();
        }
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.due.store(true, Ordering::SeqCst);
        if self.busy.load(Ordering::SeqCst) == 0 {
            self.wake_first();
        }
    }
}

/// A caller that waits for an answer.
struct Caller<'a> {
    driver: &'a Driver,
    number: usize,
}

impl Caller<'_> {
    fn poll<F: Future>(&self, context: &mut Context<'_>, mut work: Pin<&mut F>) -> Poll<F::Output> {
        let _turn = Turn::begin(&self.driver.signal);
        loop {
            let advanced = self.driver.advance();
            let outcome = work.as_mut().poll(context);
            if outcome.is_ready() {
                return outcome;
            }
            if !advanced || is_spent() || !self.driver.signal.due.load(Ordering::SeqCst) {
                self.wait(context.waker());
                return outcome;
            }
        }
    }

    fn wait(&self, waker: &Waker) {
        let mut waiting = lock(&self.driver.signal.waiting);
        match waiting.get_mut(&self.number) {
            Some(known) => known.clone_from(waker),
            None => drop(waiting.insert(self.number, waker.clone())),
        }
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        let _turn = Turn::begin(&self.driver.signal);
        lock(&self.driver.signal.waiting).remove(&self.number);
        bounded(|| self.driver.advance());
    }
}

/// The time in which a caller is at work. At its end a waiting caller is woken if there is still something to do.
struct Turn<'a>(&'a Signal);

impl<'a> Turn<'a> {
    fn begin(signal: &'a Signal) -> Self {
        signal.busy.fetch_add(1, Ordering::SeqCst);
        Self(signal)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::SeqCst);
        if self.0.due.load(Ordering::SeqCst) {
            self.0.wake_first();
        }
    }
}
