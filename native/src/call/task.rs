//! Work on the runtime.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::task::JoinHandle;

use crate::run::forks;
use crate::transport::runtime::runtime;

/// Work on the runtime, which ends with this value.
pub(super) struct Task<T>(JoinHandle<T>, u64);

impl<T: Send + 'static> Task<T> {
    /// Starts `work`.
    pub(super) fn spawn(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(runtime().spawn(work), forks::generation())
    }
}

impl<T> Task<T> {
    /// Whether it is done.
    pub(super) fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    /// Its outcome, if it is done, once; none if it panicked.
    pub(super) fn outcome(&mut self) -> Option<T> {
        match Pin::new(&mut self.0).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => outcome.ok(),
            Poll::Pending => None,
        }
    }

    /// Its outcome, to be waited for.
    pub(super) fn done(&mut self) -> &mut JoinHandle<T> {
        &mut self.0
    }
}

/// What `work` gives that takes its time; where that is on a thread of the runtime, others go on meanwhile.
pub(super) fn apart<T>(on_runtime: bool, work: impl FnOnce() -> T) -> T {
    if on_runtime { tokio::task::block_in_place(work) } else { work() }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        // That of a parent process is out of a child's reach.
        if self.1 == forks::generation() {
            self.0.abort();
        }
    }
}
