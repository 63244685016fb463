//! Money, in whole units small enough that sums are exact.

/// Money in billionths, so that sums are exact.
pub type Nanos = u64;

/// The most that a cost or a price may be, in units of money; far below where billionths overflow.
const MAX_MONEY: f64 = 1e9;

/// So much money in billionths; `None` where it is no amount.
pub(super) fn nanos(money: f64) -> Option<Nanos> {
    // In range and not negative: the cast is exact.
    (0.0..=MAX_MONEY).contains(&money).then(|| (money * 1e9).round() as Nanos)
}
