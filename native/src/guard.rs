//! The one catch of panics, behind every function that foreign code calls.

use std::panic::{AssertUnwindSafe, catch_unwind};

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

/// Locks `mutex`, whether or not a thread panicked while holding it.
pub fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
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
