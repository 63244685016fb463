//! Money, in whole units small enough that sums are exact.

/// Money in billionths, so that sums are exact.
pub type Nanos = u64;

/// The most that a cost or a price may be, in units of money; far below where billionths overflow.
const MAX_MONEY: f64 = 1e9;

/// So much money in billionths; `None` where it is no amount. What is not free stays so, however little it is.
pub(super) fn nanos(money: f64) -> Option<Nanos> {
    // In range and not negative: the cast is exact.
    (0.0..=MAX_MONEY).contains(&money).then(|| ((money * 1e9).round() as Nanos).max(u64::from(money > 0.0)))
}

/// The price of one token, in millionths of billionths: a million of them may cost a cent.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct TokenPrice(u128);

/// How many of its units are a billionth.
const FINE: u128 = 1_000_000;

impl TokenPrice {
    /// So much money for a token; `None` where it is no amount.
    pub(super) fn new(money: f64) -> Option<Self> {
        let fine = || ((money * 1e15).round() as u128).max(u128::from(money > 0.0));
        (0.0..=MAX_MONEY).contains(&money).then(|| Self(fine()))
    }

    /// What so many tokens cost, not rounded yet.
    fn fine(self, tokens: u64) -> u128 {
        self.0.saturating_mul(tokens.into())
    }
}

/// What tokens cost in all, rounded up to a billionth.
pub(super) fn total<const N: usize>(tokens: [(TokenPrice, u64); N]) -> Nanos {
    let fine = tokens.into_iter().fold(0u128, |sum, (price, count)| sum.saturating_add(price.fine(count)));
    Nanos::try_from(fine.div_ceil(FINE)).unwrap_or(Nanos::MAX)
}

/// Billionths as units of money, for people.
pub fn units(money: Nanos) -> f64 {
    money as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_money_is_not_free() {
        assert_eq!((nanos(0.0), nanos(1e-12), nanos(2.5)), (Some(0), Some(1), Some(2_500_000_000)));
        assert_eq!(total([(TokenPrice::new(1e-20).unwrap(), 1)]), 1);
        assert_eq!(total([(TokenPrice::new(0.0).unwrap(), u64::MAX)]), 0);
    }

    #[test]
    fn tokens_of_two_prices_are_rounded_once() {
        let (input, output) = (TokenPrice::new(2.5e-6).unwrap(), TokenPrice::new(1e-5).unwrap());
        assert_eq!(total([(input, 1000), (output, 100)]), 3_500_000);
        let cheap = TokenPrice::new(2e-11).unwrap();
        assert_eq!(total([(cheap, 25), (cheap, 25)]), 1);
    }

    #[test]
    fn no_number_of_tokens_and_no_price_overflows() {
        let dear = TokenPrice::new(MAX_MONEY).unwrap();
        assert_eq!(total([(dear, u64::MAX), (dear, u64::MAX)]), Nanos::MAX);
        assert!(
            TokenPrice::new(f64::NAN).is_none() && TokenPrice::new(-1.0).is_none() && nanos(f64::INFINITY).is_none()
        );
    }
}
