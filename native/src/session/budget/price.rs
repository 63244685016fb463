//! What a request costs, by the model that it asks for.

use std::collections::HashMap;

use serde::Deserialize;

use super::money::{self, Nanos, TokenPrice, nanos};
use super::usage::Tokens;

/// The price that stands for every model without one of its own.
const ANY: &str = "*";

/// A price as a scope's configuration writes it: of a request, or of what it is made up of.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum PriceConfig {
    Request(f64),
    Parts(Parts),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parts {
    request: Option<f64>,
    input_token: Option<f64>,
    output_token: Option<f64>,
}

/// The price of a request.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Price {
    /// Whatever it asks for.
    pub(super) request: Nanos,
    /// Of its tokens, where they are paid.
    pub(super) tokens: Option<TokenPrices>,
}

/// The prices of a token that is sent, and of one that comes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct TokenPrices {
    pub(super) input: TokenPrice,
    pub(super) output: TokenPrice,
}

impl TokenPrices {
    /// What so many cost.
    pub(super) fn of(self, tokens: Tokens) -> Nanos {
        money::total([(self.input, tokens.input), (self.output, tokens.output)])
    }
}

impl Price {
    fn new(config: &PriceConfig) -> Option<Self> {
        let parts = match config {
            PriceConfig::Request(request) => return nanos(*request).map(|request| Self { request, tokens: None }),
            PriceConfig::Parts(Parts { request: None, input_token: None, output_token: None }) => return None,
            PriceConfig::Parts(parts) => parts,
        };
        let token = |price: Option<f64>| TokenPrice::new(price.unwrap_or(0.0));
        let prices = TokenPrices { input: token(parts.input_token)?, output: token(parts.output_token)? };
        let has_tokens = parts.input_token.or(parts.output_token).is_some();
        Some(Self { request: nanos(parts.request.unwrap_or(0.0))?, tokens: has_tokens.then_some(prices) })
    }

    /// The dearer of two in everything.
    fn max(self, other: Self) -> Self {
        let both = |one: TokenPrices, two: TokenPrices| TokenPrices {
            input: one.input.max(two.input),
            output: one.output.max(two.output),
        };
        let tokens = self.tokens.zip(other.tokens).map(|(one, two)| both(one, two));
        Self { request: self.request.max(other.request), tokens: tokens.or(self.tokens).or(other.tokens) }
    }
}

/// Prices by the names of models.
#[derive(Debug)]
pub(super) struct Prices(HashMap<String, Price>);

impl Prices {
    /// These prices; `Err` says which is none.
    pub(super) fn new(prices: &HashMap<String, PriceConfig>) -> Result<Self, String> {
        let price = |(model, config): (&String, &PriceConfig)| match Price::new(config) {
            Some(price) => Ok((model.clone(), price)),
            None => Err(format!("the price of \"{model}\" is no amount of money")),
        };
        prices.iter().map(price).collect::<Result<_, _>>().map(Self)
    }

    /// The price of a request that names its model so. Where several names are in it, the dearest counts; a model without
    /// a price of its own has that of every model, and `None` is no price at all.
    pub(super) fn of(&self, models: &[String]) -> Option<Price> {
        let any = || self.0.get(ANY).copied();
        if models.is_empty() {
            return any();
        }
        let prices: Option<Vec<_>> = models.iter().map(|model| self.own(model).or_else(any)).collect();
        prices?.into_iter().reduce(Price::max)
    }

    /// The price under this name, in whatever case a server would take it.
    fn own(&self, model: &str) -> Option<Price> {
        let named = |(name, _): &(&String, &Price)| *name != ANY && name.eq_ignore_ascii_case(model.trim());
        self.0.iter().filter(named).map(|(_, price)| *price).reduce(Price::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prices(json: &str) -> Result<Prices, String> {
        Prices::new(&serde_json::from_str(json).map_err(|error| error.to_string())?)
    }

    #[test]
    fn a_price_is_the_models_or_everyones_and_the_dearest_of_several() {
        let priced = prices(r#"{"m": 2, "n": {"request": 5}, "*": 3}"#).unwrap();
        let units = |names: &[&str]| priced.of(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        for (names, price) in [(&["m"][..], 2), (&[" M"], 2), (&["x"], 3), (&["*"], 3), (&[], 3), (&["m", "n"], 5)] {
            assert_eq!(units(names), Some(Price { request: price * 1_000_000_000, tokens: None }), "{names:?}");
        }
        assert_eq!(prices(r#"{"m": 2}"#).unwrap().of(&["m".into(), "x".into()]), None);
        assert_eq!(prices(r#"{"m": 2}"#).unwrap().of(&[]), None);
    }

    #[test]
    fn the_dearest_of_several_is_so_in_each_part() {
        let priced =
            prices(r#"{"a": {"input_token": 1, "output_token": 2}, "b": {"input_token": 3}, "c": 7}"#).unwrap();
        let price = priced.of(&["a".into(), "b".into(), "c".into()]).unwrap();
        let tokens = Tokens { input: 1, output: 1 };
        assert_eq!((price.request, price.tokens.unwrap().of(tokens)), (7_000_000_000, 5_000_000_000));
    }

    #[test]
    fn a_price_is_a_number_that_is_not_negative_or_names_what_is_paid() {
        for json in [
            r#"{"m": -0.1}"#,
            r#"{"m": {}}"#,
            r#"{"m": {"request": -1}}"#,
            r#"{"m": {"input_token": -1}}"#,
            r#"{"m": {"output_token": 1e10}}"#,
            r#"{"m": {"token": 1}}"#,
            r#"{"m": "1"}"#,
        ] {
            assert!(prices(json).is_err(), "{json}");
        }
    }
}
