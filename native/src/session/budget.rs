//! What a scope's requests may take in all: calls, bytes, money.

use std::collections::HashMap;
use std::sync::Mutex;

use serde::Deserialize;

use crate::failure::{Code, Problem};
use crate::guard::lock;

/// Money in billionths, so that sums are exact.
pub type Nanos = u64;

/// The most that a cost or a price may be, in units of money; far below where billionths overflow.
const MAX_MONEY: f64 = 1e9;

/// The price that stands for every model without one of its own.
const ANY: &str = "*";

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
    calls: Option<u64>,
    bytes: Option<u64>,
    cost: Option<Nanos>,
    prices: HashMap<String, Nanos>,
    spent: Mutex<Spent>,
}

#[derive(Debug, Default)]
struct Spent {
    calls: u64,
    bytes: u64,
    cost: Nanos,
}

impl Budget {
    /// A budget of which nothing is spent yet; `Err` says what is no amount of money.
    pub fn new(config: BudgetConfig) -> Result<Self, String> {
        let price = |(model, price): (String, f64)| match nanos(price) {
            Some(price) => Ok((model, price)),
            None => Err(format!("the price of \"{model}\" is no amount of money")),
        };
        let cost = config.cost.map(|cost| nanos(cost).ok_or_else(|| "its cost is no amount of money".to_owned()));
        Ok(Self {
            calls: config.calls,
            bytes: config.bytes,
            cost: cost.transpose()?,
            prices: config.price.into_iter().map(price).collect::<Result<_, _>>()?,
            spent: Mutex::default(),
        })
    }

    /// The price of a request that names its model so. Where several names are in it, the dearest counts; a model without
    /// a price of its own has that of every model, and `None` is no price at all.
    pub fn price(&self, models: &[String]) -> Option<Nanos> {
        let any = || self.prices.get(ANY).copied();
        if models.is_empty() {
            return any();
        }
        let prices: Option<Vec<_>> = models.iter().map(|model| self.own_price(model).or_else(any)).collect();
        prices?.into_iter().max()
    }

    /// The price under this name, in whatever case a server would take it.
    fn own_price(&self, model: &str) -> Option<Nanos> {
        let named = |(name, _): &(&String, &Nanos)| *name != ANY && name.eq_ignore_ascii_case(model.trim());
        self.prices.iter().filter(named).map(|(_, price)| *price).max()
    }

    /// Spends a request with a body of `bytes`; one that would go over the budget is refused and spends nothing.
    pub fn spend(&self, price: Option<Nanos>, bytes: u64) -> Result<(), Problem> {
        let Some(price) = price.or(self.cost.is_none().then_some(0)) else {
            let message = "the budget limits the cost and has no price for the model that the request asks for: add one \
                           under its name, or one for \"*\"";
            return Err(Problem::new(Code::NoPrice, message));
        };
        let mut spent = lock(&self.spent);
        let calls = within(spent.calls, 1, self.calls).ok_or_else(|| over("calls"))?;
        let bytes = within(spent.bytes, bytes, self.bytes).ok_or_else(|| over("bytes"))?;
        let cost = within(spent.cost, price, self.cost).ok_or_else(|| over("cost"))?;
        *spent = Spent { calls, bytes, cost };
        Ok(())
    }

    /// Spends bytes of an answer, which is read to its end once the request was let through.
    pub fn received(&self, bytes: u64) {
        let mut spent = lock(&self.spent);
        spent.bytes = spent.bytes.saturating_add(bytes);
    }
}

fn nanos(money: f64) -> Option<Nanos> {
    // In range and not negative: the cast is exact.
    (0.0..=MAX_MONEY).contains(&money).then(|| (money * 1e9).round() as Nanos)
}

/// What is spent with `more`, unless that is over `limit`.
fn within(spent: u64, more: u64, limit: Option<u64>) -> Option<u64> {
    let total = spent.saturating_add(more);
    limit.is_none_or(|limit| total <= limit).then_some(total)
}

fn over(what: &str) -> Problem {
    Problem::new(Code::Budget, format!("the request would go over the session's budget of {what}"))
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
    fn a_price_is_the_models_or_everyones_and_the_dearest_of_several() {
        let priced = budget(r#"{"price": {"m": 2, "n": 5, "*": 3}}"#);
        let units = |names: &[&str]| priced.price(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        for (names, price) in [(&["m"][..], 2), (&[" M"], 2), (&["x"], 3), (&["*"], 3), (&[], 3), (&["m", "n"], 5)] {
            assert_eq!(units(names), Some(price * 1_000_000_000), "{names:?}");
        }
        assert_eq!(budget(r#"{"price": {"m": 2}}"#).price(&["m".into(), "x".into()]), None);
        assert_eq!(budget(r#"{"price": {"m": 2}}"#).price(&[]), None);
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
