//! Where a budget keeps what was spent: in memory for one session, in a ledger for many, or with who lends it.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Instant;

use super::ledger::{Era, Later, Ledger};
use super::lent::Lent;
use super::limits::{Limits, Spent};
use super::money::Nanos;
use crate::failure::Problem;
use crate::guard::lock;

/// A wait for a ledger that others hold.
pub type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What was spent.
#[derive(Debug)]
pub(super) enum Purse {
    Own(Mutex<Spent>),
    Shared(Ledger),
    Lent(Lent),
}

impl Purse {
    /// That of one session.
    pub(super) fn own() -> Self {
        Self::Own(Mutex::default())
    }

    /// The ledger at `path`.
    pub(super) fn shared(path: &Path) -> Result<Self, Problem> {
        Ledger::open(path).map(Self::Shared)
    }

    /// Spends a request, or refuses it: at once, or where there is a ledger once that was had.
    pub(super) fn spend(
        &self,
        limits: Limits,
        cost: Nanos,
        bytes: u64,
        deadline: Instant,
    ) -> Result<Option<Waiting<'_, Result<Era, Problem>>>, Problem> {
        let ledger = match self {
            Self::Own(spent) => {
                let mut spent = lock(spent);
                *spent = limits.with(*spent, cost, bytes)?;
                return Ok(None);
            }
            Self::Shared(ledger) => ledger,
            Self::Lent(lent) => {
                let is_paid = lent.try_spend(cost, bytes).is_ok();
                return Ok((!is_paid).then(|| Box::pin(lent.borrow(cost, bytes, deadline)) as Waiting<'_, _>));
            }
        };
        let change = move |spent| {
            limits.with(spent, cost, bytes).map_err(|mut refusal| {
                refusal.message += &format!(", which is that of all who share the ledger {}", ledger.path().display());
                refusal
            })
        };
        Ok(Some(Box::pin(async move { ledger.change(deadline, &change).await })))
    }

    /// Spends what answers came to, which were let through before, where there is a ledger in that `era`.
    pub(super) fn later(&self, later: Later, era: Era) {
        match self {
            Self::Own(spent) => {
                let mut spent = lock(spent);
                *spent = later.added_to(*spent);
            }
            Self::Shared(ledger) => ledger.later(later, era),
            Self::Lent(lent) => lent.later(later),
        }
    }

    /// Writes down what answers came to, before `deadline`; where it cannot be done, the next request does it.
    pub(super) fn settle(&self, deadline: Instant) -> Option<Waiting<'_, ()>> {
        match self {
            Self::Own(_) | Self::Lent(_) => None,
            Self::Shared(ledger) => Some(Box::pin(async move { drop(ledger.change(deadline, &Ok).await) })),
        }
    }

    /// The same without a wait.
    pub(super) fn leave(&self) {
        if let Self::Shared(ledger) = self {
            ledger.settle();
        }
    }

    /// What was spent so far.
    pub(super) fn spent(&self) -> Spent {
        match self {
            Self::Own(spent) => *lock(spent),
            Self::Shared(ledger) => ledger.spent(),
            Self::Lent(lent) => lent.standing().0,
        }
    }
}
