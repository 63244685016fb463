//! A budget that the host lends bit by bit, as a broker of many sessions lets it.
//!
//! Nothing may be spent that was not lent before. A request for which too little is there waits while the host is asked for
//! more. The host takes back what was not spent by allowing less.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::timeout_at;

use super::ledger::{Era, Later};
use super::limits::{Limits, Spent};
use super::money::Nanos;
use crate::failure::{Code, Problem, quote};
use crate::guard::lock;
use crate::run::places::{Places, occupy};
use crate::session::credential::Resolver;

/// What the host is asked by: this, and as JSON what would have to be allowed in all, and how long the call can wait.
const QUESTION: &str = ":lend ";

/// What the host answers where nothing more is lent. An empty answer says that more is allowed by now, any other what failed.
const NO: &[u8] = b"no";

/// What is left until the deadline when a call gives up, so that it can say why.
const MARGIN: Duration = Duration::from_millis(50);

/// What was lent, and what was spent of it.
pub(super) struct Lent {
    held: Mutex<Held>,
    /// Who asks the host; what comes may be enough for those that wait behind it.
    turn: tokio::sync::Mutex<()>,
    lender: Arc<dyn Resolver>,
    own: Places,
    all: Places,
}

#[derive(Clone, Copy)]
struct Held {
    spent: Spent,
    allowed: Limits,
}

impl Lent {
    /// Lends nothing yet of what `limits` limit.
    pub(super) fn new(limits: Limits, lender: Arc<dyn Resolver>) -> Self {
        let allowed = limits.at(Spent::default());
        let held = Mutex::new(Held { spent: Spent::default(), allowed });
        Self { held, turn: tokio::sync::Mutex::default(), lender, own: Places::new(1), all: Places::new(1) }
    }

    /// Spends a request once enough is lent, for which the host is asked.
    pub(super) async fn borrow(&self, cost: Nanos, bytes: u64, deadline: Instant) -> Result<Era, Problem> {
        let end = deadline.checked_sub(MARGIN).unwrap_or(deadline);
        timeout_at(end.into(), self.borrowed(cost, bytes, end)).await.unwrap_or_else(|_| Err(late()))
    }

    /// Spends a request for which enough was lent.
    pub(super) fn try_spend(&self, cost: Nanos, bytes: u64) -> Result<(), Problem> {
        let mut held = lock(&self.held);
        held.spent = held.allowed.with(held.spent, cost, bytes)?;
        Ok(())
    }

    async fn borrowed(&self, cost: Nanos, bytes: u64, end: Instant) -> Result<Era, Problem> {
        let _turn = self.turn.lock().await;
        loop {
            let Err(mut refusal) = self.try_spend(cost, bytes) else { return Ok(Era::default()) };
            let (lender, question) = (self.lender.clone(), self.question(cost, bytes, end));
            match occupy(&self.own, &self.all, move || lender.resolve(&question)).await {
                Ok(Ok(answer)) if answer == NO => {
                    refusal.message += ", which is that of all workers together";
                    return Err(refusal);
                }
                Ok(Ok(answer)) if answer.is_empty() => {}
                Ok(Ok(text)) => return Err(unreachable(&String::from_utf8_lossy(&text))),
                Ok(Err(text)) => return Err(unreachable(&text)),
                Err(_) => return Err(unreachable("it panicked")),
            }
        }
    }

    fn question(&self, cost: Nanos, bytes: u64, end: Instant) -> String {
        let Held { spent, allowed } = *lock(&self.held);
        let wanted = allowed.at(Spent {
            calls: spent.calls.saturating_add(1),
            bytes: spent.bytes.saturating_add(bytes),
            cost: spent.cost.saturating_add(cost),
        });
        let Limits { calls, bytes, cost } = wanted;
        let within_ms = end.saturating_duration_since(Instant::now()).as_millis() as u64;
        let told = json!({"calls": calls, "bytes": bytes, "cost_billionths": cost, "within_ms": within_ms});
        format!("{QUESTION}{told}")
    }

    /// Counts what answers came to.
    pub(super) fn later(&self, later: Later) {
        let mut held = lock(&self.held);
        held.spent = later.added_to(held.spent);
    }

    /// Allows so much in all, and what was spent at least; gives that.
    pub(super) fn allow(&self, total: Spent) -> Spent {
        let mut held = lock(&self.held);
        held.allowed = held.allowed.at(total.max(held.spent));
        held.spent
    }

    /// What was spent, and the most that may be.
    pub(super) fn standing(&self) -> (Spent, Limits) {
        let Held { spent, allowed } = *lock(&self.held);
        (spent, allowed)
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lent").field(&self.standing()).finish()
    }
}

fn late() -> Problem {
    unreachable("it did not answer before the call's deadline")
}

fn unreachable(why: &str) -> Problem {
    Problem::new(Code::Lender, format!("nothing was sent, since the broker of the budget failed: {}", quote(why)))
}

#[cfg(test)]
mod tests;
