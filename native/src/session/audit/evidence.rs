//! What audited rows say of the share of rows that differ: a lower bound that holds at all times at once.
//!
//! It comes from betting (Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting, 2023).
//! Whoever holds that the share is at most m sells bets at that price; a gambler who stakes the part λ of a fortune on
//! each row owns `∏ (1 + λ(x − m))` after rows x of 0 and 1. If m is right that fortune grows in no game, so that it
//! ever reaches 1/α with probability α at most (Ville). Every m at which it does is refuted, and the bound is the least
//! that is not. The fortune is that of many gamblers, each with a λ of its own: a sum that the counts alone determine.

/// The bound is wrong in this share of endless streams at most.
const ALPHA: f64 = 0.05;

/// Gamblers stake the powers of √2 from 2^-8 to 2^8. To refute m where the share is 2m, about 1 is best, whatever m is:
/// the gamblers near it own most.
const LARGEST: i32 = 16;

/// How many there are.
const GAMBLERS: usize = 2 * LARGEST as usize + 1;

/// Halvings of an interval in search of the bound; more change no digit of a double.
const HALVINGS: u32 = 50;

/// The rows that were compared, and what follows from them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evidence {
    audited: u64,
    differed: u64,
    low: f64,
}

impl Evidence {
    /// Adds rows of which some differed. Rows that are added together count as one step in time.
    pub fn add(&mut self, audited: u64, differed: u64) {
        self.audited += audited;
        self.differed += differed.min(audited);
        // Rows that are the same make no fortune.
        if differed > 0 && self.refutes(self.low) {
            let (mut refuted, mut open) = (self.low, 1.0);
            for _ in 0..HALVINGS {
                let middle = f64::midpoint(refuted, open);
                if self.refutes(middle) {
                    refuted = middle;
                } else {
                    open = middle;
                }
            }
            self.low = refuted;
        }
    }

    /// Rows that were compared.
    pub fn audited(&self) -> u64 {
        self.audited
    }

    /// Those of them that differed.
    pub fn differed(&self) -> u64 {
        self.differed
    }

    /// The share of rows that differ is above this, but for a chance of 5 % over the whole stream. It never falls.
    pub fn low(&self) -> f64 {
        self.low
    }

    /// Whether a share of at most `share` is refuted now.
    fn refutes(&self, share: f64) -> bool {
        self.log_fortune(share) >= -ALPHA.ln()
    }

    /// The logarithm of the fortune against `share`; the higher the share is, the lower it is.
    fn log_fortune(&self, share: f64) -> f64 {
        let (differed, same) = (self.differed as f64, (self.audited - self.differed) as f64);
        let mut owned = [(0.0, 0.0); GAMBLERS];
        for (owned, gambler) in owned.iter_mut().zip(-LARGEST..) {
            let (won, lost) = logs(stake(gambler), share);
            *owned = (wealth(gambler), differed * won + if same > 0.0 { same * lost } else { 0.0 });
        }
        let richest = owned.iter().fold(f64::NEG_INFINITY, |most, (_, fortune)| most.max(*fortune));
        if richest == f64::NEG_INFINITY {
            return richest;
        }
        let all: f64 = owned.iter().map(|(part, _)| part).sum();
        richest + (owned.iter().map(|(part, fortune)| part * (fortune - richest).exp()).sum::<f64>() / all).ln()
    }
}

/// What a gambler stakes.
fn stake(gambler: i32) -> f64 {
    2f64.powi(gambler.div_euclid(2)) * if gambler.rem_euclid(2) == 0 { 1.0 } else { std::f64::consts::SQRT_2 }
}

/// What a gambler begins with, before it is divided by what all have.
fn wealth(gambler: i32) -> f64 {
    f64::from(4 + gambler.abs()).powi(-2)
}

/// The logarithms of what a row that differs, and one that does not, makes of a stake. Nobody stakes more than all.
fn logs(stake: f64, share: f64) -> (f64, f64) {
    if stake * share < 1.0 {
        ((stake * (1.0 - share)).ln_1p(), (-stake * share).ln_1p())
    } else {
        (-share.ln(), f64::NEG_INFINITY)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stream(share: f64, rows: u32, random: &mut fastrand::Rng) -> Evidence {
        let mut evidence = Evidence::default();
        (0..rows).for_each(|_| evidence.add(1, u64::from(random.f64() < share)));
        evidence
    }

    #[test]
    fn nothing_is_known_of_no_row() {
        assert_eq!(Evidence::default().low(), 0.0);
    }

    #[test]
    fn the_bound_is_above_the_truth_in_few_streams_at_any_time() {
        let mut random = fastrand::Rng::with_seed(15);
        for (share, rows) in [(0.01, 600), (0.1, 300), (0.5, 100)] {
            let wrong = (0..1000).filter(|_| stream(share, rows, &mut random).low() > share).count();
            assert!(wrong <= 50, "{wrong} of 1000 streams at {share}");
        }
    }

    #[test]
    fn the_bound_comes_near_the_truth() {
        let low = stream(0.1, 50_000, &mut fastrand::Rng::with_seed(7)).low();
        assert!((0.09..0.1).contains(&low), "{low}");
    }

    proptest! {
        #[test]
        fn the_fortune_falls_with_the_share_and_starts_at_one(
            audited in 0u64..5000, part in 0.0f64..=1.0, one in 0.0f64..=1.0, other in 0.0f64..=1.0
        ) {
            let differed = (audited as f64 * part) as u64;
            let evidence = Evidence { audited, differed, low: 0.0 };
            let (less, more) = (one.min(other), one.max(other));
            prop_assert!(evidence.log_fortune(less) >= evidence.log_fortune(more) - 1e-9);
            prop_assert!(Evidence::default().log_fortune(one).abs() < 1e-12);
        }

        #[test]
        fn a_bet_is_fair_at_its_price(exponent in -16i32..=16, share in 0.0001f64..0.9999) {
            let (won, lost) = logs(stake(exponent), share);
            prop_assert!((share * won.exp() + (1.0 - share) * lost.exp() - 1.0).abs() < 1e-9);
        }

        #[test]
        fn the_bound_never_falls_and_is_below_the_share_seen(rows in proptest::collection::vec(any::<bool>(), 1..200)) {
            let (mut evidence, mut before) = (Evidence::default(), 0.0);
            for differs in rows {
                evidence.add(1, u64::from(differs));
                prop_assert!(evidence.low() >= before);
                before = evidence.low();
            }
            prop_assert!((0.0..=1.0).contains(&before));
        }
    }
}
