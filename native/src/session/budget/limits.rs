//! The limits of a budget, and what was spent of them.

use super::money::Nanos;
use crate::failure::{Code, Problem};

/// The most of each; `None` for any amount.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    pub(super) calls: Option<u64>,
    pub(super) bytes: Option<u64>,
    pub(super) cost: Option<Nanos>,
}

/// What was spent.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Spent {
    pub(super) calls: u64,
    pub(super) bytes: u64,
    pub(super) cost: Nanos,
}

impl Limits {
    /// What is spent with one more request; one that would go over a limit is refused.
    pub(super) fn with(&self, spent: Spent, cost: Nanos, bytes: u64) -> Result<Spent, Problem> {
        Ok(Spent {
            calls: within(spent.calls, 1, self.calls).ok_or_else(|| over("calls"))?,
            bytes: within(spent.bytes, bytes, self.bytes).ok_or_else(|| over("bytes"))?,
            cost: within(spent.cost, cost, self.cost).ok_or_else(|| over("cost"))?,
        })
    }
}

/// What is spent with `more`, unless that is over `limit`.
fn within(spent: u64, more: u64, limit: Option<u64>) -> Option<u64> {
    let total = spent.saturating_add(more);
    limit.is_none_or(|limit| total <= limit).then_some(total)
}

fn over(what: &str) -> Problem {
    Problem::new(Code::Budget, format!("the request would go over the session's budget of {what}"))
}
