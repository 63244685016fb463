//! What a host changes of a budget by itself: a broker spends for others, and a worker is allowed more or less.

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use super::Budget;
use super::limits::Spent;
use super::purse::Purse;
use crate::failure::{Code, Problem};
use crate::guard::lock;
use crate::transport::runtime::block_on;

/// How long a change waits for a ledger that somebody holds.
const PATIENCE: Duration = Duration::from_secs(5);

/// A change; one of its entries, or none to ask what was spent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Change {
    /// Spends this, unless it is over a limit.
    Spend(Amount),
    /// Counts this as spent whatever the limits are; what is negative is given back.
    Count(Difference),
    /// Of a budget that is lent: so much may be spent in all.
    Allow(Amount),
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Amount {
    calls: u64,
    bytes: u64,
    cost_billionths: u64,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Difference {
    calls: i64,
    bytes: i64,
    cost_billionths: i64,
}

impl Difference {
    fn added_to(&self, spent: Spent) -> Spent {
        Spent {
            calls: spent.calls.saturating_add_signed(self.calls),
            bytes: spent.bytes.saturating_add_signed(self.bytes),
            cost: spent.cost.saturating_add_signed(self.cost_billionths),
        }
    }
}

impl Budget {
    /// Changes it as a JSON text says, and gives what was spent then; null changes nothing.
    pub fn change(&self, text: &str) -> Result<Value, Problem> {
        let change: Option<Change> = serde_json::from_str(text)
            .map_err(|_| Problem::new(Code::Scope, "it is no change of a budget: {\"spend\": {\"calls\": 1}}"))?;
        let Spent { calls, bytes, cost } = match change {
            None => self.purse.spent(),
            Some(Change::Spend(Amount { calls, bytes, cost_billionths })) => {
                self.apply(&|spent| self.limits.with_all(spent, Spent { calls, bytes, cost: cost_billionths }))?
            }
            Some(Change::Count(difference)) => self.apply(&|spent| Ok(difference.added_to(spent)))?,
            Some(Change::Allow(Amount { calls, bytes, cost_billionths })) => match &self.purse {
                Purse::Lent(lent) => lent.allow(Spent { calls, bytes, cost: cost_billionths }),
                _ => return Err(Problem::new(Code::Scope, "the budget is not one that is lent")),
            },
        };
        Ok(json!({"calls": calls, "bytes": bytes, "cost_billionths": cost}))
    }

    fn apply(&self, change: &(dyn Fn(Spent) -> Result<Spent, Problem> + Sync)) -> Result<Spent, Problem> {
        let deadline = Instant::now() + PATIENCE;
        let ended = || Problem::new(Code::LedgerLocked, "the ledger is locked, and whoever holds it did not let go");
        match &self.purse {
            Purse::Own(spent) => {
                let mut spent = lock(spent);
                *spent = change(*spent)?;
                Ok(*spent)
            }
            Purse::Shared(ledger) => {
                let changed = std::sync::Mutex::new(Spent::default());
                let noting = |spent| {
                    let spent = change(spent)?;
                    *lock(&changed) = spent;
                    Ok(spent)
                };
                block_on(deadline, ledger.change(deadline, &noting)).ok_or_else(ended)??;
                let spent = *lock(&changed);
                Ok(spent)
            }
            Purse::Lent(_) => Err(Problem::new(Code::Scope, "a budget that is lent is spent by requests alone")),
        }
    }
}

#[cfg(test)]
mod tests;
