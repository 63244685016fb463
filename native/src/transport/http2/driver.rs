//! What moves a connection forward: the callers themselves.
//!
//! A caller that waits moves the connection forward, so that no task switch lies between it and the socket. Of several
//! callers one leads: it sleeps on the socket for all, and what it reads for the others wakes them. When it has its
//! answer, it hands over to the one that came last, which is going to wait for the longest. A caller that has something
//! to send does so at once, whoever leads. Nothing runs while nobody waits: what the server sent meanwhile is noticed by
//! the next caller.
//!
//! A caller on a thread of the runtime, as of a call that was begun, cannot sleep on a socket. While there is one, the
//! runtime watches the socket, and wakes whoever leads.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, TryLockError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};

use bytes::Bytes;

use crate::guard::lock;
use crate::transport::io::BoxIo;
use crate::transport::sleep::{self, Watched, bounded, is_spent};

type Connection = h2::client::Connection<BoxIo, Bytes>;

/// What moves a connection forward.
pub(super) struct Driver {
    running: Mutex<Running>,
    desk: Arc<Desk>,
}

/// A connection, and the sockets that it waits for.
struct Running {
    /// `None` once it has ended.
    connection: Option<Connection>,
    /// The sockets that the leader knows it has to watch.
    watched: Watched,
    /// Those that the connection waited for when it was polled last.
    now: Watched,
}

impl Driver {
    pub(super) fn new(connection: Connection) -> Self {
        let running = Running { connection: Some(connection), watched: Watched::new(), now: Watched::new() };
        let desk = Desk { due: AtomicBool::new(true), ..Desk::default() };
        Self { running: Mutex::new(running), desk: Arc::new(desk) }
    }

    pub(super) fn is_running(&self) -> bool {
        // A connection that another caller is driving is running.
        self.with_running(|running| running.connection.is_some()).unwrap_or(true)
    }

    /// Notices what came in while nobody waited.
    pub(super) fn look(&self) {
        let _turn = Turn::begin(&self.desk);
        self.desk.open();
        self.advance(sleep::is_watching());
    }

    /// Calls `work` unless another caller has the connection.
    fn with_running<T>(&self, work: impl FnOnce(&mut Running) -> T) -> Option<T> {
        match self.running.try_lock() {
            Ok(mut running) => Some(work(&mut running)),
            Err(TryLockError::Poisoned(running)) => Some(work(&mut running.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Does what the connection can do now; `false` if another caller is doing so, who then does this as well. `here` says
    /// whether it is done on a thread of a caller, and not of the runtime.
    fn advance(&self, here: bool) -> bool {
        while self.desk.due.load(Ordering::SeqCst) && !is_spent() {
            if self.with_running(|running| self.poll(running, here)).is_none() {
                return false;
            }
        }
        true
    }

    fn poll(&self, running: &mut Running, here: bool) {
        let waker = Waker::from(self.desk.clone());
        let mut context = Context::from_waker(&waker);
        while !is_spent() && self.desk.due.swap(false, Ordering::SeqCst) {
            let Running { connection, watched, now } = running;
            // An error reaches the callers through the exchanges that it ends.
            let poll = || connection.as_mut().is_none_or(|running| Pin::new(running).poll(&mut context).is_ready());
            if self.desk.poll(now, here, poll) {
                *connection = None;
                now.clear();
            }
            if !sleep::are_same(now, watched) {
                std::mem::swap(now, watched);
                self.desk.publish(watched);
            }
        }
    }

    /// Runs `work` while moving the connection forward.
    pub(super) async fn drive<F: Future>(&self, work: F) -> F::Output {
        let number = self.desk.next.fetch_add(1, Ordering::Relaxed);
        let mut caller = Caller { driver: self, number, watches: false, elsewhere: false, left: false };
        // Dropped before the caller, whose own drop then sends the reset of the stream.
        let mut work = pin!(work);
        poll_fn(|context| caller.poll(context, work.as_mut())).await
    }
}

/// Where the callers of a connection leave word, and whoever has something to do for it is woken.
#[derive(Default)]
struct Desk {
    /// Whether the connection has to be polled.
    due: AtomicBool,
    /// Callers that are at work, and look at `due` before they leave.
    busy: AtomicUsize,
    next: AtomicUsize,
    /// Callers on threads that cannot watch sockets.
    elsewhere: AtomicUsize,
    /// The number of the wait that knows which sockets are ready: that of all callers since nobody waited.
    wait: AtomicU64,
    callers: Mutex<Callers>,
}

#[derive(Default)]
struct Callers {
    /// Those that wait, in the order in which they came.
    waiting: BTreeMap<usize, Waker>,
    /// The one of them that watches the sockets, or was woken to do so, and its thread.
    leader: Option<(usize, Option<ThreadId>)>,
    /// What it has to watch.
    watched: Watched,
}

impl Desk {
    /// Forgets which sockets are ready, unless somebody watches them.
    fn open(&self) {
        if lock(&self.callers).waiting.is_empty() {
            self.wait.store(sleep::next_number(), Ordering::SeqCst);
            self.due.store(true, Ordering::SeqCst);
        }
    }

    /// Polls the connection once; `watched` becomes the sockets that somebody has to watch.
    fn poll<T>(&self, watched: &mut Watched, here: bool, poll: impl FnOnce() -> T) -> T {
        if !here || self.elsewhere.load(Ordering::SeqCst) > 0 {
            watched.clear();
            return sleep::left_to_runtime(poll);
        }
        sleep::apart(watched, self.wait.load(Ordering::SeqCst), poll)
    }

    /// Says what has to be watched from now on.
    fn publish(&self, watched: &Watched) {
        let mut callers = lock(&self.callers);
        callers.watched.clone_from(watched);
        let leader = callers.leader.filter(|(_, on)| *on != Some(thread::current().id()));
        let waker = leader.and_then(|(leader, _)| callers.waiting.get(&leader).cloned());
        drop(callers);
        waker.inspect(Waker::wake_by_ref);
    }

    /// Has the connection polled by whoever leads, or is best placed to.
    fn wake_leader(&self) {
        let callers = lock(&self.callers);
        let leader = callers.leader.and_then(|(leader, _)| callers.waiting.get(&leader));
        let waker = leader.or_else(|| callers.waiting.values().next_back()).cloned();
        drop(callers);
        waker.inspect(Waker::wake_by_ref);
    }
}

impl Wake for Desk {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.due.store(true, Ordering::SeqCst);
        if self.busy.load(Ordering::SeqCst) == 0 {
            self.wake_leader();
        }
    }
}

/// A caller that waits for an answer.
struct Caller<'a> {
    driver: &'a Driver,
    number: usize,
    /// Whether its last sleep was on the connection's sockets.
    watches: bool,
    /// Whether it is on a thread that cannot.
    elsewhere: bool,
    left: bool,
}

impl Caller<'_> {
    fn poll<F: Future>(&mut self, context: &mut Context<'_>, mut work: Pin<&mut F>) -> Poll<F::Output> {
        let desk = &*self.driver.desk;
        let _turn = Turn::begin(desk);
        if self.watches {
            desk.due.store(true, Ordering::SeqCst); // a socket may be ready
        }
        self.arrive();
        loop {
            let advanced = self.driver.advance(!self.elsewhere);
            let outcome = work.as_mut().poll(context);
            if outcome.is_ready() {
                self.leave();
                return outcome;
            }
            if !advanced || is_spent() || !desk.due.load(Ordering::SeqCst) {
                self.wait(context.waker());
                return outcome;
            }
        }
    }

    /// Says once whether its thread can watch sockets.
    fn arrive(&mut self) {
        if !self.elsewhere && !sleep::is_watching() {
            self.elsewhere = true;
            self.driver.desk.elsewhere.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Leaves its waker, and watches the sockets if nobody else does. On the thread of the one that leads it does so,
    /// too: that one sleeps together with it, or, where a run began within another, cannot before this one is over.
    fn wait(&mut self, waker: &Waker) {
        let mut callers = lock(&self.driver.desk.callers);
        match callers.waiting.get_mut(&self.number) {
            Some(known) => known.clone_from(waker),
            None => drop(callers.waiting.insert(self.number, waker.clone())),
        }
        let here = thread::current().id();
        if callers.leader.is_none_or(|(leader, on)| leader == self.number || on == Some(here)) {
            callers.leader = Some((self.number, Some(here)));
            sleep::watch_all(&callers.watched);
        }
        self.watches = callers.leader.is_some_and(|(leader, _)| leader == self.number);
    }

    /// Goes, and hands over if it leads.
    fn leave(&mut self) {
        if std::mem::replace(&mut self.left, true) {
            return;
        }
        let mut callers = lock(&self.driver.desk.callers);
        callers.waiting.remove(&self.number);
        self.driver.desk.elsewhere.fetch_sub(usize::from(self.elsewhere), Ordering::SeqCst);
        let leads = callers.leader.is_some_and(|(leader, _)| leader == self.number);
        let next = callers.waiting.last_key_value().filter(|_| leads).map(|(next, waker)| (*next, waker.clone()));
        if leads {
            callers.leader = next.as_ref().map(|(next, _)| (*next, None));
        }
        drop(callers);
        // Also where it is dropped because its time is over, and its thread watches nothing any more.
        bounded(|| self.driver.advance(!self.elsewhere));
        next.inspect(|(_, waker)| waker.wake_by_ref());
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        let _turn = Turn::begin(&self.driver.desk);
        self.leave();
    }
}

/// The time in which a caller is at work. At the end of the last one's whoever leads is woken if there is still something
/// to do: until then it is done by those that are at work.
struct Turn<'a>(&'a Desk);

impl<'a> Turn<'a> {
    fn begin(desk: &'a Desk) -> Self {
        desk.busy.fetch_add(1, Ordering::SeqCst);
        Self(desk)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let is_last = self.0.busy.fetch_sub(1, Ordering::SeqCst) == 1;
        if is_last && self.0.due.load(Ordering::SeqCst) {
            self.0.wake_leader();
        }
    }
}
