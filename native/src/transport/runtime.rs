//! The runtime that watches sockets and timers, and the wait of a calling thread.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use tokio::runtime::{Builder, Runtime};

/// Threads that watch sockets and timers. Requests themselves run on the threads that call.
const WORKERS: usize = 2;

/// The runtime, started by the first call.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(WORKERS).thread_name("onnxhybrid").enable_all();
        builder.build().expect("the operating system refuses threads")
    })
}

/// Runs `future` on this thread until it is done, or `None` at the deadline.
///
/// Unlike the runtime's own `block_on` this may be called from a thread of another tokio runtime, as a
/// host written in Rust may do, and it registers no timer for the deadline, which nearly every call meets.
pub fn block_on<F: Future>(deadline: Instant, future: F) -> Option<F::Output> {
    let _context = runtime().enter();
    let sleeper = Arc::new(Sleeper { thread: thread::current(), woken: AtomicBool::new(false) });
    let waker = Waker::from(sleeper.clone());
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        sleeper.sleep(deadline)?;
    }
}

struct Sleeper {
    thread: Thread,
    woken: AtomicBool,
}

impl Sleeper {
    /// Sleeps until woken; `None` at the deadline.
    fn sleep(&self, deadline: Instant) -> Option<()> {
        while !self.woken.swap(false, Ordering::Acquire) {
            let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
            thread::park_timeout(left);
        }
        Some(())
    }
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::Release) {
            self.thread.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
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
