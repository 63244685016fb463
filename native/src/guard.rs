//! The one catch of panics, behind every function that foreign code calls.

use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::run::forks::NoFork;

/// Runs `body`; a panic becomes the value of `instead`.
///
/// State that a panic may leave half-written is either dropped with the call or behind a mutex whose
/// poison [`lock`] overlooks, and every such section leaves its data whole.
pub fn guard<T>(instead: impl FnOnce() -> T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        // A payload whose own destructor panics must not unwind either.
        std::mem::forget(panic);
        instead()
    })
}

/// Locks `mutex`, whether or not a thread panicked while holding it. The process does not fork meanwhile, since the
/// child would find it locked for ever.
pub fn lock<T>(mutex: &Mutex<T>) -> Locked<'_, T> {
    let no_fork = NoFork::new();
    Locked { guard: mutex.lock().unwrap_or_else(PoisonError::into_inner), _no_fork: no_fork }
}

/// A locked mutex. Dropped in this order.
pub struct Locked<'a, T> {
    guard: MutexGuard<'a, T>,
    _no_fork: NoFork,
}

impl<T> Deref for Locked<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for Locked<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_the_other_value() {
        assert_eq!(guard(|| 1, || 2), 2);
        assert_eq!(guard(|| 1, || panic!("on purpose")), 1);
    }
}
