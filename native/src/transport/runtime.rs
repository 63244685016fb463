//! The runtime that watches sockets and timers, and the wait of a calling thread.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, LazyLock, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::runtime::{Builder, Runtime};

use super::sleep::{Patience, Sleeper};
use crate::run::forks::PerProcess;
use crate::run::running::{self, Active, EXIT, Entered};

pub use super::sleep::Ended;

/// Threads that watch sockets and timers. Requests themselves run on the threads that call.
const WORKERS: usize = 2;

/// Threads for work that blocks. Each kind of it has a bound of its own for each session, so that this one is out of
/// reach: with a bound that sessions share, one of them could take it all.
const BLOCKING: usize = 1 << 15;

/// The runtime, started by the first call of each process.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: LazyLock<PerProcess<OnceLock<Runtime>>> = LazyLock::new(PerProcess::default);
    RUNTIME.get_or_init(|| {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(WORKERS).max_blocking_threads(BLOCKING).thread_name("onnxhybrid").enable_all();
        builder.build().expect("the operating system refuses threads")
    })
}

/// Runs `future` on this thread until it is done, or `None` at the deadline and where the host ends the run.
pub fn block_on<F: Future>(deadline: Instant, future: F) -> Option<F::Output> {
    wait(deadline, future).ok()
}

/// Runs `future` on this thread until it is done, the deadline passes, or the host ends the run.
///
/// Unlike the runtime's own `block_on` this may be called from a thread of another tokio runtime, as a
/// host written in Rust may do, and it registers no timer for the deadline, which nearly every call meets.
pub fn wait<F: Future>(deadline: Instant, future: F) -> Result<F::Output, Ended> {
    let (_context, _active, entered) = (runtime().enter(), Active::new(), running::current());
    let sleeper = Sleeper::new();
    let outcome = wait_as(&sleeper, deadline, entered.as_ref(), future);
    sleeper.end();
    outcome
}

fn wait_as<F: Future>(
    sleeper: &Arc<Sleeper>,
    deadline: Instant,
    entered: Option<&Entered>,
    future: F,
) -> Result<F::Output, Ended> {
    let (waker, mut watched) = (Waker::from(sleeper.clone()), Vec::new());
    let cancelled = entered.map(|entered| &entered.run.cancelled);
    let wakes = entered.and_then(Entered::wakes);
    let _listening = (EXIT.listen(&waker), wakes.map(|signal| signal.listen(&waker)));
    let (mut future, mut patience) = (pin!(future), Patience::new(deadline, entered));
    loop {
        if EXIT.is_raised() || cancelled.is_some_and(|cancelled| cancelled.is_raised()) {
            return Err(Ended::Cancelled);
        }
        let poll = || future.as_mut().poll(&mut Context::from_waker(&waker));
        if let Poll::Ready(output) = sleeper.poll(&mut watched, poll) {
            return Ok(output);
        }
        sleeper.sleep(&mut patience, &watched)?;
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    #[test]
    fn a_future_that_is_never_done_ends_at_the_deadline() {
        assert_eq!(block_on(soon(), std::future::pending::<()>()), None);
    }

    #[test]
    fn a_run_that_is_cancelled_ends_its_wait() {
        let id = running::create();
        let waiting = thread::spawn(move || {
            running::enter(id, None, 0);
            let ended = wait(Instant::now() + Duration::from_secs(60), std::future::pending::<()>());
            running::leave(0);
            ended
        });
        running::cancel(id);
        assert_eq!(waiting.join().unwrap(), Err(Ended::Cancelled));
    }

    extern "C" fn end() -> i32 {
        1
    }

    #[test]
    fn a_host_that_is_asked_can_end_the_wait() {
        running::enter(0, Some(end), 0);
        let ended = wait(Instant::now() + Duration::from_secs(60), std::future::pending::<()>());
        running::leave(0);
        assert_eq!(ended, Err(Ended::Cancelled));
    }

    #[test]
    fn work_that_never_rests_ends_at_the_deadline_and_where_the_host_wants() {
        let restless = || {
            std::future::poll_fn(|context| {
                context.waker().wake_by_ref();
                Poll::<()>::Pending
            })
        };
        assert_eq!(wait(soon(), restless()), Err(Ended::Deadline));
        running::enter(0, Some(end), 0);
        let ended = wait(Instant::now() + Duration::from_secs(60), restless());
        running::leave(0);
        assert_eq!(ended, Err(Ended::Cancelled));
    }

    #[test]
    fn timers_wake_the_caller() {
        let deadline = Instant::now() + Duration::from_secs(10);
        assert_eq!(block_on(deadline, async { tokio::time::sleep(Duration::from_millis(1)).await }), Some(()));
    }

    #[test]
    fn a_call_from_within_another_runtime_works() {
        let other = Builder::new_current_thread().build().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        other.block_on(async { assert_eq!(block_on(deadline, async { 7 }), Some(7)) });
    }
}
