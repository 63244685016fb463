//! What a request costs, by the model that it asks for.

use std::collections::HashMap;

use super::money::{Nanos, nanos};

/// The price that stands for every model without one of its own.
const ANY: &str = "*";

/// Prices by the names of models.
#[derive(Debug)]
pub(super) struct Prices(HashMap<String, Nanos>);

impl Prices {
    /// These prices; `Err` says which is no amount of money.
    pub(super) fn new(prices: HashMap<String, f64>) -> Result<Self, String> {
        let price = |(model, price): (String, f64)| match nanos(price) {
            Some(price) => Ok((model, price)),
            None => Err(format!("the price of \"{model}\" is no amount of money")),
        };
        prices.into_iter().map(price).collect::<Result<_, _>>().map(Self)
    }

    /// The price of a request that names its model so. Where several names are in it, the dearest counts; a model without
    /// a price of its own has that of every model, and `None` is no price at all.
    pub(super) fn of(&self, models: &[String]) -> Option<Nanos> {
        let any = || self.0.get(ANY).copied();
        if models.is_empty() {
            return any();
        }
        let prices: Option<Vec<_>> = models.iter().map(|model| self.own(model).or_else(any)).collect();
        prices?.into_iter().max()
    }

    /// The price under this name, in whatever case a server would take it.
    fn own(&self, model: &str) -> Option<Nanos> {
        let named = |(name, _): &(&String, &Nanos)| *name != ANY && name.eq_ignore_ascii_case(model.trim());
        self.0.iter().filter(named).map(|(_, price)| *price).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prices(json: &str) -> Result<Prices, String> {
        Prices::new(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_price_is_the_models_or_everyones_and_the_dearest_of_several() {
        let priced = prices(r#"{"m": 2, "n": 5, "*": 3}"#).unwrap();
        let units = |names: &[&str]| priced.of(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        for (names, price) in [(&["m"][..], 2), (&[" M"], 2), (&["x"], 3), (&["*"], 3), (&[], 3), (&["m", "n"], 5)] {
            assert_eq!(units(names), Some(price * 1_000_000_000), "{names:?}");
        }
        assert_eq!(prices(r#"{"m": 2}"#).unwrap().of(&["m".into(), "x".into()]), None);
        assert_eq!(prices(r#"{"m": 2}"#).unwrap().of(&[]), None);
    }

    #[test]
    fn a_price_is_no_negative_number() {
        assert!(prices(r#"{"m": -0.1}"#).is_err());
    }
}
