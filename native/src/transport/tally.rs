//! What a call has done so far.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use super::body::Body;
use super::request::{Response, Trouble};
use super::watch::Watch;
use crate::session::budget::Account;
use crate::session::credential::Secret;

/// The end of a request with the failure of an attempt that was told already.
const TOLD: u32 = u32::MAX;

/// What a call has done so far; it outlives the call that a deadline cuts off.
#[derive(Debug, Default)]
pub struct Tally {
    attempts: AtomicU32,
    /// The last attempt whose failure was told when it was to be repeated.
    told: AtomicU32,
    /// The attempt that a request ended with which is no success, [`TOLD`] if it was told; 0 if none did.
    ended: AtomicU32,
    /// Which of several servers the last of them went to.
    server: AtomicUsize,
    retries: AtomicU32,
    hedges: AtomicU32,
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

    /// Requests that were sent second, beside one that took long.
    pub fn hedges(&self) -> u32 {
        self.hedges.load(Ordering::Relaxed)
    }

    /// Bytes of request bodies that were sent, or at least begun.
    pub fn bytes_out(&self) -> u64 {
        self.bytes_out.load(Ordering::Relaxed)
    }

    /// Bytes of response bodies that were read.
    pub fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Ordering::Relaxed)
    }

    /// The attempt that a failure of the call befell, which is not told yet: 0 if none was under way. `None` if the failure
    /// is that of an attempt that was told.
    pub fn untold(&self) -> Option<u32> {
        let attempts = self.attempts();
        match self.ended.load(Ordering::Relaxed) {
            TOLD => None,
            0 if attempts > self.told.load(Ordering::Relaxed) => Some(attempts),
            ended => Some(ended),
        }
    }

    /// A request ended with what this attempt brought.
    pub(super) fn ended(&self, attempt: u32) {
        self.ended.store(attempt, Ordering::Relaxed);
    }

    /// A request ended with what an attempt brought that was to be repeated, but may not be.
    pub(super) fn ended_before(&self) {
        self.ended.store(TOLD, Ordering::Relaxed);
    }

    /// A request ended with success.
    pub fn succeeded(&self) {
        self.ended.store(0, Ordering::Relaxed);
    }

    /// Counts one more try.
    pub(super) fn attempted(&self) -> u32 {
        self.ended.store(0, Ordering::Relaxed);
        self.attempts.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Counts one more try, at one of several servers.
    pub(super) fn attempted_at(&self, server: usize) -> u32 {
        self.server.store(server, Ordering::Relaxed);
        self.attempted()
    }

    /// Counts one more try, beside another.
    pub(super) fn hedged(&self) {
        self.hedges.fetch_add(1, Ordering::Relaxed);
        self.attempted();
    }

    /// Says which of several servers the outcome of tries side by side is from.
    pub(super) fn decided_at(&self, server: usize) {
        self.server.store(server, Ordering::Relaxed);
    }

    /// Which of several servers the last try went to.
    pub fn server(&self) -> usize {
        self.server.load(Ordering::Relaxed)
    }

    /// [`Tally::retried`] of an attempt at one of several servers.
    pub(super) fn retried_at(&self, attempt: u32, outcome: &Result<Response, Trouble>, endpoint: &str) {
        let watch = Watch { endpoint: endpoint.into(), ..self.watch.clone() };
        watch.repeated(attempt, outcome, self.secrets());
        self.told.fetch_max(attempt, Ordering::Relaxed);
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request that is tried again after this outcome of the attempt.
    pub(super) fn retried(&self, attempt: u32, outcome: &Result<Response, Trouble>) {
        self.watch.repeated(attempt, outcome, self.secrets());
        self.told.fetch_max(attempt, Ordering::Relaxed);
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
