//! What a scope's requests may take in all: calls, bytes, money.

mod account;
mod change;
mod ledger;
mod lent;
mod limits;
mod money;
mod price;
mod purse;
mod usage;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use crate::failure::{Code, Problem};
use crate::session::credential::Resolver;
use lent::Lent;
use limits::Limits;
use price::{Price, PriceConfig, Prices};
use purse::Purse;

pub use account::{Account, Came};
pub use money::{Nanos, units};
pub use purse::Waiting;

/// A budget as a scope's configuration writes it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BudgetConfig {
    calls: Option<u64>,
    bytes: Option<u64>,
    cost: Option<f64>,
    price: HashMap<String, PriceConfig>,
    /// The file that keeps what is spent, for all sessions that name it.
    ledger: Option<PathBuf>,
    /// Whether the host lends it bit by bit.
    lent: bool,
}

/// The limits, and what was spent of them. Every attempt counts, also one that reached nobody.
#[derive(Debug)]
pub struct Budget {
    limits: Limits,
    prices: Prices,
    ledger: Option<PathBuf>,
    lent: bool,
    purse: Purse,
}

impl Budget {
    /// A budget of which nothing is spent yet, and which uses no ledger before it is opened; `Err` says what is no amount of
    /// money.
    pub fn new(config: BudgetConfig) -> Result<Self, String> {
        let cost =
            config.cost.map(|cost| money::nanos(cost).ok_or_else(|| "its cost is no amount of money".to_owned()));
        let limits = Limits { calls: config.calls, bytes: config.bytes, cost: cost.transpose()? };
        Ok(Self {
            limits,
            prices: Prices::new(&config.price)?,
            ledger: config.ledger,
            lent: config.lent,
            purse: Purse::own(),
        })
    }

    /// The same with its ledger, if it has one, which is made if it is not there; or with the host, if that lends it.
    pub fn open(self, host: Option<&Arc<dyn Resolver>>) -> Result<Self, Problem> {
        if self.lent {
            let missing = || Problem::new(Code::Scope, "a budget that is lent needs a host that lends it");
            let lent = Lent::new(self.limits, host.ok_or_else(missing)?.clone());
            return Ok(Self { purse: Purse::Lent(lent), ..self });
        }
        let Some(path) = &self.ledger else { return Ok(self) };
        Ok(Self { purse: Purse::shared(path)?, ..self })
    }

    /// What was spent, and what is left where there is a limit; where there is a ledger, by all who share it.
    pub fn to_json(&self) -> Value {
        match &self.purse {
            Purse::Lent(lent) => {
                let (spent, allowed) = lent.standing();
                allowed.to_json(spent)
            }
            purse => self.limits.to_json(purse.spent()),
        }
    }

    /// The price of a request that names its model so, if there is one.
    fn price(&self, models: &[String]) -> Option<Price> {
        self.prices.of(models)
    }

    /// The price of a request; where there is none it is free, unless the cost is limited.
    fn required(&self, price: Option<Price>) -> Result<Price, Problem> {
        price.or(self.limits.cost.is_none().then(Price::default)).ok_or_else(|| {
            let message = "the budget limits the cost and has no price for the model that the request asks for: add one \
                           under its name, or one for \"*\"";
            Problem::new(Code::NoPrice, message)
        })
    }
}
