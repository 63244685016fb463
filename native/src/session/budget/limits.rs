//! The limits of a budget, and what was spent of them.

use serde_json::{Map, Value, json};

use super::money::{Nanos, units};
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

impl Spent {
    /// The larger of each.
    pub(super) fn max(self, other: Self) -> Self {
        Self { calls: self.calls.max(other.calls), bytes: self.bytes.max(other.bytes), cost: self.cost.max(other.cost) }
    }
}

impl Limits {
    /// What is spent with one more request; one that would go over a limit is refused.
    pub(super) fn with(&self, spent: Spent, cost: Nanos, bytes: u64) -> Result<Spent, Problem> {
        self.with_all(spent, Spent { calls: 1, bytes, cost })
    }

    /// What is spent with all of `more`; what would go over a limit is refused.
    pub(super) fn with_all(&self, spent: Spent, more: Spent) -> Result<Spent, Problem> {
        Ok(Spent {
            calls: within(spent.calls, more.calls, self.calls).ok_or_else(|| over("calls"))?,
            bytes: within(spent.bytes, more.bytes, self.bytes).ok_or_else(|| over("bytes"))?,
            cost: within(spent.cost, more.cost, self.cost).ok_or_else(|| over("cost"))?,
        })
    }

    /// The same limits, each at this amount.
    pub(super) fn at(&self, amount: Spent) -> Self {
        Self {
            calls: self.calls.map(|_| amount.calls),
            bytes: self.bytes.map(|_| amount.bytes),
            cost: self.cost.map(|_| amount.cost),
        }
    }

    /// What was spent, and what is left where there is a limit.
    pub(super) fn to_json(self, spent: Spent) -> Value {
        let left = |limit: Option<u64>, spent: u64| limit.map(|limit| limit.saturating_sub(spent));
        let cost = left(self.cost, spent.cost).map(|cost| json!(units(cost)));
        let counts = [("calls", self.calls, spent.calls), ("bytes", self.bytes, spent.bytes)];
        let counts = counts.map(|(name, limit, spent)| (name, left(limit, spent).map(Value::from)));
        let left = counts.into_iter().chain([("cost", cost)]);
        let left: Map<_, _> = left.filter_map(|(name, left)| Some((name.to_owned(), left?))).collect();
        json!({"calls": spent.calls, "bytes": spent.bytes, "cost": units(spent.cost), "left": left})
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
