//! What a call has done so far.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use super::body::Body;
use super::request::{Response, Trouble};
use super::watch::Watch;
use crate::session::budget::Account;
use crate::session::credential::Secret;

/// What a call has done so far; it outlives the call that a deadline cuts off.
#[derive(Debug, Default)]
pub struct Tally {
    attempts: AtomicU32,
    /// Which of several servers the last of them went to.
    server: AtomicUsize,
    retries: AtomicU32,
    bytes_out: AtomicU64,
    bytes_in: AtomicU64,
    /// What they spend of the scope's budget.
    pub account: Account,
    /// The token that they carry, so that no message can show it.
    pub secret: OnceLock<Secret>,
    /// What else of them nobody may see: credentials in headers, keys in the query.
    pub others: OnceLock<Vec<Secret>>,
    held: AtomicU64,
    /// What goes along with the call's requests.
    pub watch: Watch,
}

impl Tally {
    /// The tally of a call that is watched.
    pub fn watched(watch: &Watch) -> Self {
        Self { watch: watch.begin(), account: Account::new(watch.budget.as_ref()), ..Self::default() }
    }

    /// Takes over the attempts of a call that was made before.
    pub fn replay(&self, attempts: u32) {
        self.attempts.store(attempts, Ordering::Relaxed);
        self.retries.store(attempts.saturating_sub(1), Ordering::Relaxed);
    }

    /// All that no message may show.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.secret.get().into_iter().chain(self.others.get().into_iter().flatten())
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

    /// Counts one more try, at one of several servers.
    pub(super) fn attempted_at(&self, server: usize) -> u32 {
        self.server.store(server, Ordering::Relaxed);
        self.attempted()
    }

    /// Which of several servers the last try went to.
    pub fn server(&self) -> usize {
        self.server.load(Ordering::Relaxed)
    }

    /// [`Tally::retried`] of an attempt at one of several servers.
    pub(super) fn retried_at(&self, attempt: u32, outcome: &Result<Response, Trouble>, endpoint: &str) {
        let watch = Watch { endpoint: endpoint.into(), ..self.watch.clone() };
        watch.repeated(attempt, outcome, self.secrets());
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request that is tried again after this outcome of the attempt.
    pub(super) fn retried(&self, attempt: u32, outcome: &Result<Response, Trouble>) {
        self.watch.repeated(attempt, outcome, self.secrets());
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

    /// Counts bytes of bodies that are kept no longer.
    pub(super) fn release(&self, bytes: u64) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Counts bytes of an answer's body.
    pub(super) fn received(&self, bytes: u64) {
        self.bytes_in.fetch_add(bytes, Ordering::Relaxed);
        self.account.received(bytes);
    }
}
