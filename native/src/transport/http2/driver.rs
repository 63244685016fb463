//! What moves a connection forward: the callers themselves.
//!
//! A caller that waits moves the connection forward, so that no task of the runtime lies between it and the socket. Of
//! several callers the one that has waited longest is woken by the socket, which the runtime watches; what it reads for
//! the others wakes them. When it has its answer, the next one takes over. Nothing runs while nobody waits: what the server
//! sent meanwhile is noticed by the next caller.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, TryLockError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};

use bytes::Bytes;

use crate::guard::lock;
use crate::transport::io::BoxIo;
use crate::transport::sleep::{bounded, is_spent};

type Connection = h2::client::Connection<BoxIo, Bytes>;

/// What moves the connection forward.
pub(super) struct Driver {
    /// `None` once it has ended.
    connection: Mutex<Option<Connection>>,
    signal: Arc<Signal>,
}

impl Driver {
    pub(super) fn new(connection: Connection) -> Self {
        let signal = Signal { due: AtomicBool::new(true), ..Signal::default() };
        Self { connection: Mutex::new(Some(connection)), signal: Arc::new(signal) }
    }

    pub(super) fn is_running(&self) -> bool {
        // A connection that another caller is driving is running.
        self.with_connection(|connection| connection.is_some()).unwrap_or(true)
    }

    /// Notices what came in while nobody waited.
    pub(super) fn look(&self) {
        self.advance();
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
    pub(super) async fn drive<F: Future>(&self, work: F) -> F::Output {
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
    waiting: Mutex<BTreeMap<usize, Waiting>>,
}

impl Signal {
    /// Wakes the caller that has waited for the longest, of those that can go on.
    fn wake_first(&self) {
        let waiting = lock(&self.waiting);
        let free = waiting.values().find(|waiting| !waiting.is_covered);
        let first = free.or_else(|| waiting.values().next_back()).map(|waiting| waiting.waker.clone());
        drop(waiting);
        if let Some(waker) = first {
            waker.wake();
        }
    }
}

/// A caller that waits.
struct Waiting {
    waker: Waker,
    thread: ThreadId,
    /// Whether its thread waits for a later call within it, so that it cannot go on before that one is over.
    is_covered: bool,
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
        if let Some(known) = waiting.get_mut(&self.number) {
            known.waker.clone_from(waker);
            return;
        }
        let thread = thread::current().id();
        waiting.values_mut().filter(|other| other.thread == thread).for_each(|other| other.is_covered = true);
        waiting.insert(self.number, Waiting { waker: waker.clone(), thread, is_covered: false });
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
