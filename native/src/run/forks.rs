//! Forks: what a child process may touch of what it inherits, and what is made anew in it.
//!
//! A child has the memory of all threads and only one of them. Sockets and timers belong to threads of the parent
//! and to an epoll instance that both processes share, so a child leaves them alone, and never frees them either:
//! that would take them from the parent. See [`PerProcess`]. Everything else is data behind [`crate::guard::lock`],
//! of which none is held when a child begins.

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Once, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// How many forks lie between the process that loaded the library and this one.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Read by whoever holds a lock, written by a fork.
static GATE: RwLock<()> = RwLock::new(());

thread_local! {
    /// How many locks this thread holds. Only the first passes the gate: where a fork waits for it, a second would wait
    /// for the fork, and the fork for the first.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static FORKING: RefCell<Option<RwLockWriteGuard<'static, ()>>> = const { RefCell::new(None) };
}

/// Which process this is, in a line of forks.
pub fn generation() -> u64 {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(watch);
    GENERATION.load(Ordering::Acquire)
}

/// Keeps forks out while it lives.
pub struct NoFork(#[allow(dead_code)] Option<RwLockReadGuard<'static, ()>>);

impl NoFork {
    /// Waits for a fork that is under way, if there is one.
    pub fn new() -> Self {
        let outermost = DEPTH.replace(DEPTH.get() + 1) == 0;
        Self(outermost.then(|| GATE.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Default for NoFork {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for NoFork {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

#[cfg(unix)]
fn watch() {
    crate::ort::atfork::watch(before_fork, after_fork, begin_child);
}

#[cfg(not(unix))]
fn watch() {}

#[cfg(unix)]
extern "C" fn before_fork() {
    let gate = GATE.write().unwrap_or_else(PoisonError::into_inner);
    FORKING.with(|forking| *forking.borrow_mut() = Some(gate));
}

#[cfg(unix)]
extern "C" fn after_fork() {
    FORKING.with(|forking| drop(forking.borrow_mut().take()));
}

#[cfg(unix)]
extern "C" fn begin_child() {
    GENERATION.fetch_add(1, Ordering::AcqRel);
    after_fork();
}

/// A value of which each process makes its own. That of a parent is neither used nor freed in a child.
pub struct PerProcess<T> {
    make: Box<dyn Fn() -> T + Send + Sync>,
    first: Made<T>,
}

struct Made<T> {
    generation: u64,
    /// Always there, until it is dropped.
    value: Option<T>,
    /// That of a child of the process that made this one.
    next: OnceLock<Box<Made<T>>>,
}

impl<T> PerProcess<T> {
    /// A value that `make` makes, now and again in each child.
    pub fn new(make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self { first: Made::new(generation(), make()), make: Box::new(make) }
    }
}

impl<T: Default + 'static> Default for PerProcess<T> {
    fn default() -> Self {
        Self::new(T::default)
    }
}

impl<T> Deref for PerProcess<T> {
    type Target = T;

    fn deref(&self) -> &T {
        let (now, mut made) = (generation(), &self.first);
        while made.generation != now {
            made = made.next.get_or_init(|| Box::new(Made::new(now, (self.make)())));
        }
        made.value.as_ref().expect("a value lives as long as its owner")
    }
}

impl<T> Made<T> {
    fn new(generation: u64, value: T) -> Self {
        Self { generation, value: Some(value), next: OnceLock::new() }
    }
}

impl<T> Drop for Made<T> {
    fn drop(&mut self) {
        if self.generation != generation() {
            std::mem::forget(self.value.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn within_one_process_a_value_is_made_once() {
        let value = PerProcess::new(|| Mutex::new(0));
        *value.lock().unwrap() += 1;
        assert_eq!(*value.lock().unwrap(), 1);
    }

    #[test]
    fn locks_within_locks_pass_the_gate_once() {
        let outer = NoFork::new();
        let inner = NoFork::new();
        assert!(outer.0.is_some() && inner.0.is_none());
        drop((inner, outer));
        assert!(NoFork::new().0.is_some());
    }
}
