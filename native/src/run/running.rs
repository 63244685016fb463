//! Runs, as a host tells of them, so that their waits can be ended from outside.
//!
//! ONNX Runtime shows a kernel neither the run that it belongs to nor the run's options. A sequential session computes
//! its kernels on the thread that runs it, so the host, or ONNX Runtime where the library is an execution provider, says
//! on that very thread when a run begins and ends. A kernel on a thread of which nothing was said, as in a session with
//! parallel execution, belongs to no run: its waits end with their answer, at their deadline, or with the process.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use http::HeaderValue;

use crate::guard::lock;
use crate::run::forks::PerProcess;

/// Asks the host whether the run on this thread is to end: not 0 if so. Called every [`PAUSE`] of a wait.
///
/// Who gives it vouches that it may be called on this thread until the run is left, and that is for as long as the
/// process lives where nothing is sure to leave it.
pub type Check = extern "C" fn() -> i32;

/// How long a wait goes on between two questions to the host.
pub const PAUSE: Duration = Duration::from_millis(50);

/// Something that ends waits, once and for all.
#[derive(Default)]
pub struct Signal {
    raised: AtomicBool,
    waiting: Mutex<Vec<(u64, Waker)>>,
}

impl Signal {
    /// Whether it was raised.
    pub fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Acquire)
    }

    /// Raises it, and wakes whoever listens.
    pub fn raise(&self) {
        self.raised.store(true, Ordering::Release);
        let waiting = std::mem::take(&mut *lock(&self.waiting));
        waiting.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Wakes `waker` when it is raised, as long as the result lives. Look at [`Self::is_raised`] afterwards.
    pub fn listen(&self, waker: &Waker) -> Listening<'_> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let key = NEXT.fetch_add(1, Ordering::Relaxed);
        lock(&self.waiting).push((key, waker.clone()));
        Listening { signal: self, key }
    }
}

/// See [`Signal::listen`].
pub struct Listening<'a> {
    signal: &'a Signal,
    key: u64,
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        let mut waiting = lock(&self.signal.waiting);
        let at = waiting.iter().rposition(|(key, _)| *key == self.key);
        let waker = at.map(|at| waiting.swap_remove(at));
        drop(waiting);
        drop(waker);
    }
}

/// One run of a session.
#[derive(Default)]
pub struct Run {
    id: u64,
    /// Ends its waits.
    pub cancelled: Signal,
    /// What is done when it ends.
    at_end: Mutex<Vec<Box<dyn FnOnce() + Send>>>,
}

impl Run {
    /// Has `work` done when the run ends.
    pub fn at_end(&self, work: impl FnOnce() + Send + 'static) {
        lock(&self.at_end).push(Box::new(work));
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let left = std::mem::take(self.at_end.get_mut().unwrap_or_else(PoisonError::into_inner));
        left.into_iter().for_each(|work| work());
    }
}

/// By when the calls of a run are to be over.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    /// The moment.
    pub at: Instant,
    /// How long after the beginning of the run that is.
    pub within: Duration,
}

/// What is wanted of the calls of one run.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// By when they are to be over.
    pub deadline: Option<Deadline>,
    /// The trace that they carry.
    pub traceparent: Option<HeaderValue>,
}

/// A run on the thread that it runs on.
#[derive(Clone)]
pub struct Entered {
    /// The run.
    pub run: Arc<Run>,
    /// Who is asked: the host that entered the run, and ONNX Runtime that said when it began.
    checks: [Option<Check>; 2],
    token: u64,
    wanted: Wanted,
}

impl Entered {
    /// What wakes a wait that is to end. A run that ONNX Runtime told of has none: it is asked anyway, and ends a moment
    /// later, which costs a call less than to be woken.
    pub fn wakes(&self) -> Option<&Signal> {
        self.checks[1].is_none().then_some(&self.run.cancelled)
    }

    /// Whether somebody wants to be asked.
    pub fn is_checked(&self) -> bool {
        self.checks.iter().any(Option::is_some)
    }

    /// Whether the run was cancelled, or one of those who want to be asked says that it is to end.
    pub fn is_interrupted(&self) -> bool {
        !EXIT.is_raised() && (self.run.cancelled.is_raised() || self.checks.iter().flatten().any(|check| check() != 0))
    }
}

thread_local! {
    /// The runs of this thread; one may begin within another, in a signal handler for example.
    static ENTERED: RefCell<Vec<Entered>> = const { RefCell::new(Vec::new()) };
}

static RUNS: LazyLock<Mutex<HashMap<u64, Arc<Run>>>> = LazyLock::new(Mutex::default);

/// Raised when the process ends.
pub static EXIT: LazyLock<Signal> = LazyLock::new(Signal::default);

/// How long threads have to return to the host once their waits are over.
const RETURN: Duration = Duration::from_millis(100);

/// Runs that were entered and not yet left, and kernels that wait.
static ACTIVE: LazyLock<PerProcess<AtomicUsize>> = LazyLock::new(PerProcess::default);

/// Counts as active while it lives.
pub struct Active(());

impl Active {
    /// One more.
    #[allow(clippy::new_without_default)] // a default that counts would surprise
    pub fn new() -> Self {
        ACTIVE.fetch_add(1, Ordering::AcqRel);
        Self(())
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        // A child of a fork begins at nothing, whatever its thread was doing.
        let _ = ACTIVE.fetch_update(Ordering::AcqRel, Ordering::Acquire, |active| active.checked_sub(1));
    }
}

/// The run of this thread, if the host told of one.
pub fn current() -> Option<Entered> {
    ENTERED.with(|entered| entered.borrow().last().cloned())
}

/// The deadline of the run of this thread, if it has one.
pub fn deadline() -> Option<Deadline> {
    ENTERED.with(|entered| entered.borrow().last().and_then(|entered| entered.wanted.deadline))
}

/// The trace of the run of this thread, if it has one.
pub fn traceparent() -> Option<HeaderValue> {
    ENTERED.with(|entered| entered.borrow().last().and_then(|entered| entered.wanted.traceparent.clone()))
}

/// A run to be entered later, under its new id.
pub fn create() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    lock(&RUNS).insert(id, Arc::new(Run { id, cancelled: Signal::default(), at_end: Mutex::default() }));
    id
}

/// Says that this thread now runs the run `id`; where that is unknown, a new run without an id. It is left as `token`,
/// which no other run has that this thread is in.
pub fn enter(id: u64, check: Option<Check>, token: u64) {
    let named = (id != 0).then(|| lock(&RUNS).get(&id).cloned()).flatten();
    push(Entered { run: named.unwrap_or_default(), checks: [check, None], token, wanted: Wanted::default() });
}

/// Says that ONNX Runtime begins a run on this thread, to be left as `token`, and gives it. `check` tells whether the
/// options of the run say that it is to end. Where a host has just entered a run of its own, it is that one.
pub fn begin(check: Check, token: u64, wanted: Wanted) -> Arc<Run> {
    let around = current().filter(|around| around.checks[1].is_none());
    let (run, host) = around.map_or_else(Default::default, |around| (around.run, around.checks[0]));
    push(Entered { run: run.clone(), checks: [host, Some(check)], token, wanted });
    run
}

fn push(run: Entered) {
    std::mem::forget(Active::new());
    ENTERED.with(|entered| entered.borrow_mut().push(run));
}

/// Says that the run that this thread entered as `token` is over, with those that it entered since and did not leave;
/// what they began is dropped. Nothing if it entered none, or left it before.
pub fn leave(token: u64) {
    let at = ENTERED.with_borrow(|entered| entered.iter().rposition(|entered| entered.token == token));
    let Some(at) = at else { return };
    let last = || ENTERED.with_borrow_mut(|entered| (entered.len() > at).then(|| entered.pop()).flatten());
    while let Some(left) = last() {
        if left.run.id != 0 && left.checks[1].is_none() {
            release(left.run.id);
        }
        drop((left, Active(())));
    }
}

/// Forgets the id of a run.
pub fn release(id: u64) {
    let released = lock(&RUNS).remove(&id);
    drop(released);
}

/// Ends the waits of a run, those to come included; nothing if it is over.
pub fn cancel(id: u64) {
    let run = lock(&RUNS).get(&id).cloned();
    if let Some(run) = run {
        run.cancelled.raise();
    }
}

/// Ends all waits of this process for good, and gives the runs at most `patience` to return to their host.
pub fn exit(patience: Duration) {
    let waiting = ACTIVE.load(Ordering::Acquire) > 0;
    EXIT.raise();
    let until = Instant::now() + patience;
    while ACTIVE.load(Ordering::Acquire) > 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
    if waiting {
        // A wait that is over has yet to go back through ONNX Runtime, of which the library sees nothing.
        std::thread::sleep(RETURN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    extern "C" fn yes() -> i32 {
        1
    }

    #[test]
    fn a_thread_is_in_the_run_that_it_entered_last() {
        let (outer, inner) = (create(), create());
        assert!(current().is_none());
        enter(outer, None, 1);
        enter(inner, Some(yes), 2);
        assert!(current().is_some_and(|entered| entered.run.id == inner && entered.is_interrupted()));
        leave(2);
        assert!(current().is_some_and(|entered| entered.run.id == outer && !entered.is_interrupted()));
        assert!(std::thread::spawn(|| current().is_none()).join().unwrap());
        leave(2);
        assert!(current().is_some());
        leave(1);
        leave(1);
        assert!(current().is_none());
    }

    #[test]
    fn a_run_that_was_not_left_is_left_with_the_one_around_it() {
        let ended = Arc::new(AtomicBool::new(false));
        enter(0, None, 1);
        enter(0, None, 2);
        let seen = ended.clone();
        current().unwrap().run.at_end(move || seen.store(true, Ordering::Relaxed));
        leave(1);
        assert!(current().is_none() && ended.load(Ordering::Relaxed));
    }

    #[test]
    fn a_run_that_is_cancelled_before_it_is_entered_stays_cancelled() {
        let id = create();
        cancel(id);
        enter(id, None, 0);
        assert!(current().is_some_and(|entered| entered.run.cancelled.is_raised()));
        leave(0);
        cancel(id);
    }
}
