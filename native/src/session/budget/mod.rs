//! What a scope's requests may take in all: calls, bytes, money.

mod limits;
mod money;
mod price;

use std::collections::HashMap;
use std::sync::Mutex;

use serde::Deserialize;

use crate::failure::{Code, Problem};
use crate::guard::lock;
use limits::{Limits, Spent};
use price::Prices;

pub use money::Nanos;

/// A budget as a scope's configuration writes it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BudgetConfig {
    calls: Option<u64>,
    bytes: Option<u64>,
    cost: Option<f64>,
    price: HashMap<String, f64>,
}

/// The limits, and what was spent of them. Every attempt counts, also one that reached nobody.
#[derive(Debug)]
pub struct Budget {
    limits: Limits,
    prices: Prices,
    spent: Mutex<Spent>,
}

impl Budget {
    /// A budget of which nothing is spent yet; `Err` says what is no amount of money.
    pub fn new(config: BudgetConfig) -> Result<Self, String> {
        let cost =
            config.cost.map(|cost| money::nanos(cost).ok_or_else(|| "its cost is no amount of money".to_owned()));
        let limits = Limits { calls: config.calls, bytes: config.bytes, cost: cost.transpose()? };
        Ok(Self { limits, prices: Prices::new(config.price)?, spent: Mutex::default() })
    }

    /// The price of a request that names its model so, if there is one.
    pub fn price(&self, models: &[String]) -> Option<Nanos> {
        self.prices.of(models)
    }

    /// Spends a request with a body of `bytes`; one that would go over the budget is refused and spends nothing.
    pub fn spend(&self, price: Option<Nanos>, bytes: u64) -> Result<(), Problem> {
        let Some(price) = price.or(self.limits.cost.is_none().then_some(0)) else {
            let message = "the budget limits the cost and has no price for the model that the request asks for: add one \
                           under its name, or one for \"*\"";
            return Err(Problem::new(Code::NoPrice, message));
        };
        let mut spent = lock(&self.spent);
        *spent = self.limits.with(*spent, price, bytes)?;
        Ok(())
    }

    /// Spends bytes of an answer, which is read to its end once the request was let through.
    pub fn received(&self, bytes: u64) {
        let mut spent = lock(&self.spent);
        spent.bytes = spent.bytes.saturating_add(bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn budget(json: &str) -> Budget {
        Budget::new(serde_json::from_str(json).unwrap()).unwrap()
    }

    #[test]
    fn each_limit_holds_by_itself() {
        for (json, code) in [
            (r#"{"calls": 1}"#, Code::Budget),
            (r#"{"bytes": 19}"#, Code::Budget),
            (r#"{"cost": 0.3, "price": {"m": 0.2}}"#, Code::Budget),
        ] {
            let budget = budget(json);
            let price = budget.price(&["m".to_owned()]);
            assert!(budget.spend(price, 10).is_ok(), "{json}");
            assert_eq!(budget.spend(price, 10).unwrap_err().code, code, "{json}");
        }
    }

    #[test]
    fn answers_count_and_what_is_refused_does_not() {
        let budget = budget(r#"{"bytes": 100, "calls": 3}"#);
        assert!(budget.spend(None, 101).is_err());
        assert!(budget.spend(None, 60).is_ok());
        assert!(budget.spend(None, 41).is_err());
        assert!(budget.spend(None, 30).is_ok());
        budget.received(u64::MAX);
        assert!(budget.spend(None, 0).is_err());
    }

    #[test]
    fn a_cost_needs_a_price() {
        assert_eq!(budget(r#"{"cost": 1}"#).spend(None, 0).unwrap_err().code, Code::NoPrice);
    }

    #[test]
    fn money_is_a_number_that_is_not_negative() {
        for json in [r#"{"cost": -1}"#, r#"{"cost": 1e10}"#, r#"{"price": {"m": -0.1}}"#] {
            assert!(Budget::new(serde_json::from_str(json).unwrap()).is_err(), "{json}");
        }
    }

    proptest! {
        #[test]
        fn exactly_as_many_requests_pass_as_the_money_buys(price in 1u32..1_000, count in 0u32..200) {
            let config = format!(r#"{{"cost": {}, "price": {{"*": {}}}}}"#,
                f64::from(price) * f64::from(count) / 1000.0, f64::from(price) / 1000.0);
            let budget = budget(&config);
            let passed = (0..count + 5).filter(|_| budget.spend(budget.price(&[]), 0).is_ok()).count();
            prop_assert_eq!(passed, count as usize);
        }
    }
}
