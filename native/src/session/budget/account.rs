//! What one call spends of its scope's budget.
//!
//! A request is paid before it is sent, with the tokens that it allows the service to give. What was used is known from the
//! answer, and settles that.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::Budget;
use super::ledger::{Era, Later};
use super::money::Nanos;
use super::price::Price;
use super::purse::Waiting;
use super::usage::{self, Tokens};
use crate::failure::Problem;
use crate::transport::Body;

/// How long an answer waits until what it cost is written down; later the next request writes it.
const SETTLING: Duration = Duration::from_secs(1);

/// What became of a request that was paid.
pub enum Came<'a> {
    /// An answer, and whether it is a success.
    Answer(&'a [u8], bool),
    /// Nobody was reached.
    Nothing,
    /// Nobody knows what the service did.
    Unknown,
}

/// What one call spends; nothing where there is no budget.
#[derive(Debug, Default)]
pub struct Account {
    budget: Option<Arc<Budget>>,
    /// The price of each of its requests, once it is known which model they ask for.
    price: OnceLock<Price>,
    /// In which ledger its first request was paid: what is set aside in that one is given back there alone.
    era: OnceLock<Era>,
    spent: AtomicU64,
    input_tokens: AtomicU64,
    output_tokens: AtomicU64,
}

impl Account {
    /// The account of a call in a scope with this budget.
    pub fn new(budget: Option<&Arc<Budget>>) -> Self {
        let budget = budget.cloned();
        let (spent, input_tokens, output_tokens) = Default::default();
        Self { budget, price: OnceLock::new(), era: OnceLock::new(), spent, input_tokens, output_tokens }
    }

    /// Sets the price of each request: that of the model that they ask for by one of these names.
    pub fn ask_for(&self, models: &[String]) {
        if let Some(price) = self.budget.as_ref().and_then(|budget| budget.price(models)) {
            let _ = self.price.set(price);
        }
    }

    /// Pays a request, or refuses it: at once, or where there is a ledger once that was had.
    pub fn spend(&self, body: &Body, deadline: Instant) -> Result<Option<Waiting<'_, Result<(), Problem>>>, Problem> {
        let Some(budget) = &self.budget else { return Ok(None) };
        let price = budget.required(self.price.get().copied())?;
        let (cost, bytes) = (price.request.saturating_add(aside(price, body)), body.len() as u64);
        let waiting = budget.purse.spend(budget.limits, cost, bytes, deadline)?;
        let Some(waiting) = waiting else {
            add(&self.spent, cost);
            return Ok(None);
        };
        Ok(Some(Box::pin(async move {
            let era = waiting.await?;
            let _ = self.era.set(era);
            add(&self.spent, cost);
            Ok(())
        })))
    }

    /// Counts bytes of an answer.
    pub fn received(&self, bytes: u64) {
        if let Some(budget) = &self.budget {
            budget.purse.later(Later { bytes, ..Later::default() }, self.era());
        }
    }

    /// Settles what was paid for a request by what became of it; where there is a ledger that takes a wait.
    pub fn settle(&self, body: &Body, came: &Came, deadline: Instant) -> Option<Waiting<'_, ()>> {
        let budget = self.budget.as_ref()?;
        let price = self.price.get().copied().unwrap_or_default();
        if let Some((tokens, cost)) = used(price, body, came) {
            let aside = aside(price, body);
            add(&self.input_tokens, tokens.input);
            add(&self.output_tokens, tokens.output);
            add(&self.spent, cost);
            self.spent.fetch_sub(aside, Ordering::Relaxed);
            budget.purse.later(Later { bytes: 0, cost, aside }, self.era());
        }
        budget.purse.settle(deadline.min(Instant::now() + SETTLING))
    }

    fn era(&self) -> Era {
        self.era.get().copied().unwrap_or_default()
    }

    /// Whether what its requests cost is told by their answers.
    pub fn is_by_tokens(&self) -> bool {
        self.price.get().is_some_and(|price| price.tokens.is_some())
    }

    /// Money that was spent.
    pub fn spent(&self) -> Nanos {
        self.spent.load(Ordering::Relaxed)
    }

    /// Tokens that were sent and that came, as services told, where their price is paid.
    pub fn tokens(&self) -> (u64, u64) {
        (self.input_tokens.load(Ordering::Relaxed), self.output_tokens.load(Ordering::Relaxed))
    }
}

/// A call that ended in the middle of an answer has something to write down.
impl Drop for Account {
    fn drop(&mut self) {
        if let Some(budget) = &self.budget {
            budget.purse.leave();
        }
    }
}

/// What is set aside for the tokens that a request allows the service to give.
fn aside(price: Price, body: &Body) -> Nanos {
    let Some(tokens) = price.tokens else { return 0 };
    let is_object = body.pieces().next().is_some_and(|piece| piece.trim_ascii_start().starts_with(b"{"));
    let output = is_object.then(|| usage::allowed(&body.join())).flatten().unwrap_or(0);
    tokens.of(Tokens { input: 0, output })
}

/// The tokens that were used, and what they cost; `None` where nobody knows, and where tokens are not paid.
fn used(price: Price, body: &Body, came: &Came) -> Option<(Tokens, Nanos)> {
    let prices = price.tokens?;
    let tokens = match came {
        // No token of a text is shorter than a byte.
        Came::Answer(answer, true) => {
            usage::told(answer).unwrap_or(Tokens { input: body.len() as u64, output: answer.len() as u64 })
        }
        Came::Answer(answer, false) => usage::told(answer).unwrap_or_default(),
        Came::Nothing => Tokens::default(),
        Came::Unknown => return None,
    };
    Some((tokens, prices.of(tokens)))
}

fn add(sum: &AtomicU64, more: u64) {
    let _ = sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |sum| Some(sum.saturating_add(more)));
}

#[cfg(test)]
mod tests;
