//! Which rows are audited: each by itself, at random.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A keyed hash of a counter, whose key the operating system draws: who sees which rows were drawn cannot tell the next.
static KEYED: LazyLock<RandomState> = LazyLock::new(RandomState::new);

static DRAWN: AtomicU64 = AtomicU64::new(0);

/// The positions of what is drawn of `rows`, each with probability `share`, among those that are accepted.
pub fn drawn(accepted: &[u8], share: f64) -> Vec<i64> {
    let rows = accepted.iter().zip(0i64..).filter(|(accepted, _)| **accepted != 0);
    rows.filter(|_| uniform() < share).map(|(_, position)| position).collect()
}

/// A number from 0 to 1, which is below any share with that probability. The process's number keeps a child of a fork,
/// which inherits key and counter, from drawing what its parent draws.
fn uniform() -> f64 {
    let bits = KEYED.hash_one((std::process::id(), DRAWN.fetch_add(1, Ordering::Relaxed)));
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_accepted_rows_is_drawn_and_no_other() {
        let accepted: Vec<u8> = (0..100_000).map(|row| u8::from(row % 2 == 0)).collect();
        let rows = drawn(&accepted, 0.1);
        assert!((4_600..=5_400).contains(&rows.len()), "{}", rows.len());
        assert!(rows.iter().all(|row| row % 2 == 0) && rows.is_sorted());
        assert_ne!(rows, drawn(&accepted, 0.1));
    }

    #[test]
    fn no_row_is_drawn_of_a_share_of_nothing_and_every_one_of_the_whole() {
        assert_eq!(drawn(&[1; 1000], 0.0), [0; 0]);
        assert_eq!(drawn(&[1; 1000], 1.0).len(), 1000);
        assert_eq!(drawn(&[], 1.0), [0; 0]);
    }
}
