//! What a call has done so far.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::body::Body;
use super::watch::Watch;

/// What a call has done so far; it outlives the call that a deadline cuts off.
#[derive(Debug, Default)]
pub struct Tally {
    attempts: AtomicU32,
    retries: AtomicU32,
    bytes_out: AtomicU64,
    bytes_in: AtomicU64,
    held: AtomicU64,
    /// What goes along with the call's requests.
    pub watch: Watch,
}

impl Tally {
    /// The tally of a call that is watched.
    pub fn watched(watch: &Watch) -> Self {
        Self { watch: watch.begin(), ..Self::default() }
    }

    /// Takes over the attempts of a call that was made before.
    pub fn replay(&self, attempts: u32) {
        self.attempts.store(attempts, Ordering::Relaxed);
        self.retries.store(attempts.saturating_sub(1), Ordering::Relaxed);
    }

    /// Requests that were tried.
    pub fn attempts(&self) -> u32 {
        self.attempts.load(Ordering::Relaxed)
    }

    /// Requests that were tried again.
    pub fn retries(&self) -> u32 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Bytes of request bodies that were sent, or at least begun.
    pub fn bytes_out(&self) -> u64 {
        self.bytes_out.load(Ordering::Relaxed)
    }

    /// Bytes of response bodies that were read.
    pub fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Ordering::Relaxed)
    }

    /// Counts one more try.
    pub(super) fn attempted(&self) -> u32 {
        self.attempts.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Counts a request that is tried again.
    pub(super) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request's body.
    pub(super) fn sent(&self, body: &Body<'_>) {
        self.bytes_out.fetch_add(body.len() as u64, Ordering::Relaxed);
    }

    /// Counts bytes of bodies that are kept until the call has all its answers, and gives how many there are.
    pub(super) fn hold(&self, bytes: u64) -> u64 {
        self.held.fetch_add(bytes, Ordering::Relaxed) + bytes
    }

    /// Counts bytes of an answer's body.
    pub(super) fn received(&self, bytes: u64) {
        self.bytes_in.fetch_add(bytes, Ordering::Relaxed);
        self.watch.received(bytes);
    }
}
