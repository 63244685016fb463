//! The sleep of a thread that waits: until it is woken, or until one of the sockets that it waits for is ready.

use std::cell::{Cell, RefCell};
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Wake;
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, Timespec, poll};

use super::alarm::Alarm;
use super::line::{Direction, Line};
use crate::run::forks::generation;
use crate::run::running::{Entered, PAUSE};

/// Why a wait ended without a result.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// The deadline passed.
    Deadline,
    /// The host ended the run, or the process ends.
    Cancelled,
}

/// Sockets, and what each of them is watched for.
type Watched = Vec<(Arc<Line>, Direction)>;

thread_local! {
    /// The sockets that this thread has to wait for, collected while it polls a future; `None` on a thread that leaves
    /// its sockets to the runtime.
    static WATCHED: RefCell<Option<Watched>> = const { RefCell::new(None) };
    /// The number of the wait that the future belongs to.
    static NUMBER: Cell<u64> = const { Cell::new(0) };
    /// Reads and writes that the present poll may still make; `None` for any number.
    static LEFT: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Reads and writes that one poll may make. With a peer that is always ready, a poll without this bound would never
/// return, and nobody would notice that the deadline passed.
const MOST: u32 = 256;

/// Counts a read or a write; `false` if the poll has made all that it may, so that it has to return.
pub(super) fn may_move() -> bool {
    let left = LEFT.get();
    LEFT.set(left.map(|left| left.saturating_sub(1)));
    left != Some(0)
}

/// Does work that makes at most the reads and writes of one poll.
pub(super) fn bounded<T>(work: impl FnOnce() -> T) -> T {
    let _bounds = Bounds(LEFT.replace(Some(MOST)));
    work()
}

/// Puts the bound back that was there before.
struct Bounds(Option<u32>);

impl Drop for Bounds {
    fn drop(&mut self) {
        LEFT.set(self.0);
    }
}

/// Whether the poll has made all reads and writes that it may; on a thread of the runtime, by the runtime's count.
pub(super) fn is_spent() -> bool {
    LEFT.get() == Some(0) || !tokio::task::coop::has_budget_remaining()
}

/// Whether this thread watches sockets by itself.
pub(super) fn is_watching() -> bool {
    WATCHED.with_borrow(Option::is_some)
}

/// The number of this thread's wait. No other wait of the process has the same.
pub(super) fn number() -> u64 {
    NUMBER.get()
}

/// Gives this thread's wait a new number, and with it forgets which sockets are ready: those that were out of use
/// meanwhile were not watched.
pub(super) fn forget() {
    if is_watching() {
        NUMBER.set(next_number());
    }
}

fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Has the next sleep of this thread end when the socket is ready. Each poll has to ask for that anew.
pub(super) fn watch(line: &Arc<Line>, direction: Direction) {
    WATCHED.with_borrow_mut(|watched| watched.iter_mut().for_each(|watched| watched.push((line.clone(), direction))));
}

/// The longest sleep at a time: longer ones are more than some systems can count.
const LONGEST: Duration = Duration::from_secs(3600);

thread_local! {
    /// What this thread's next wait may use again.
    static SPARE: Cell<Option<Arc<Sleeper>>> = const { Cell::new(None) };
}

/// How long a wait may go on: until its deadline, or until the host ends it, if the host wants to be asked.
pub(super) struct Patience<'a> {
    deadline: Instant,
    host: Option<&'a Entered>,
    /// When the host is asked next.
    ask: Option<Instant>,
}

impl<'a> Patience<'a> {
    pub(super) fn new(deadline: Instant, host: Option<&'a Entered>) -> Self {
        Self { deadline, host: host.filter(|host| host.is_checked()), ask: None }
    }

    /// How long the thread may sleep before it has to ask again.
    fn left(&mut self) -> Result<Duration, Ended> {
        let now = Instant::now();
        let left = self.deadline.checked_duration_since(now).filter(|left| !left.is_zero()).ok_or(Ended::Deadline)?;
        let Some(host) = self.host else { return Ok(left) };
        let mut ask = *self.ask.get_or_insert(now + PAUSE);
        if ask <= now {
            if host.is_interrupted() {
                return Err(Ended::Cancelled);
            }
            ask = *self.ask.insert(now + PAUSE);
        }
        Ok(left.min(ask - now))
    }
}

/// A thread during one wait. Waking it ends its sleep.
pub(super) struct Sleeper {
    thread: Thread,
    process: u64,
    number: AtomicU64,
    woken: AtomicBool,
    /// Whether the thread sleeps on sockets, so that only its alarm wakes it.
    watching: AtomicBool,
    alarm: OnceLock<Option<Arc<Alarm>>>,
}

impl Sleeper {
    /// This thread at a new wait.
    pub(super) fn new() -> Arc<Self> {
        let sleeper = SPARE.take().filter(|spare| spare.process == generation()).unwrap_or_else(|| {
            Arc::new(Self {
                thread: thread::current(),
                process: generation(),
                number: AtomicU64::new(0),
                woken: AtomicBool::new(false),
                watching: AtomicBool::new(false),
                alarm: OnceLock::new(),
            })
        });
        sleeper.number.store(next_number(), Ordering::Relaxed);
        sleeper.woken.store(false, Ordering::Relaxed);
        sleeper
    }

    /// Ends the wait. Unless somebody could still wake it, the next one uses it again.
    pub(super) fn end(self: Arc<Self>) {
        if Arc::strong_count(&self) == 1 {
            SPARE.set(Some(self));
        }
    }

    /// Polls once; `watched` becomes the sockets that have to be waited for.
    pub(super) fn poll<T>(&self, watched: &mut Watched, work: impl FnOnce() -> T) -> T {
        watched.clear();
        let outer = (WATCHED.replace(Some(mem::take(watched))), NUMBER.replace(self.number.load(Ordering::Relaxed)));
        let polling = Polling { watched, outer };
        let outcome = bounded(work);
        drop(polling);
        outcome
    }

    /// Sleeps until woken or a socket is ready, as long as there is patience.
    pub(super) fn sleep(&self, patience: &mut Patience, watched: &Watched) -> Result<(), Ended> {
        loop {
            let most = patience.left()?;
            if self.woken.swap(false, Ordering::Acquire) || self.doze(most, watched) {
                return Ok(());
            }
        }
    }

    /// Sleeps for `most` at most; whether a socket is ready.
    fn doze(&self, most: Duration, watched: &Watched) -> bool {
        if watched.is_empty() {
            thread::park_timeout(most);
            return false;
        }
        let alarm = self.alarm.get_or_init(Alarm::of_thread).as_deref();
        // Without an alarm nobody can wake it, so it wakes by itself and looks whether somebody wanted to.
        let most = most.min(if alarm.is_some() { LONGEST } else { PAUSE });
        let sockets = watched.iter().map(|(line, direction)| PollFd::new(line.stream(), direction.flags()));
        let mut polled: Vec<_> = sockets.chain(alarm.map(Alarm::watched)).collect();
        self.watching.store(true, Ordering::SeqCst);
        if !self.woken.load(Ordering::SeqCst) {
            // The error is a signal that came; the host sees to it when it is asked.
            let _ = poll(&mut polled, Timespec::try_from(most).ok().as_ref());
        }
        self.watching.store(false, Ordering::SeqCst);
        self.heed(&polled, watched, alarm)
    }

    fn heed(&self, polled: &[PollFd], watched: &Watched, alarm: Option<&Alarm>) -> bool {
        let is_ready = |polled: &PollFd| !polled.revents().is_empty();
        if let Some(alarm) = alarm.filter(|_| polled.last().is_some_and(is_ready)) {
            alarm.silence();
        }
        let ready = watched.iter().zip(polled).filter(|(_, polled)| is_ready(polled));
        ready.map(|((line, direction), _)| line.awake(*direction)).count() > 0
    }
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.woken.swap(true, Ordering::SeqCst) {
            return;
        }
        if !self.watching.load(Ordering::SeqCst) {
            self.thread.unpark();
        } else if let Some(Some(alarm)) = self.alarm.get() {
            alarm.ring();
        }
    }
}

/// A poll of one wait, perhaps within that of another.
struct Polling<'a> {
    watched: &'a mut Watched,
    outer: (Option<Watched>, u64),
}

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        *self.watched = WATCHED.replace(self.outer.0.take()).unwrap_or_default();
        NUMBER.set(self.outer.1);
    }
}
