//! Which rows are audited: each by itself, at random.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A keyed hash of a counter, whose key the operating system draws: who sees which rows were drawn cannot tell the next.
static KEYED: LazyLock<RandomState> = LazyLock::new(RandomState::new);

static DRAWN: AtomicU64 = AtomicU64::new(0);

/// The positions of what is drawn of `rows`, each with probability `share`, among those that are accepted.
pub fn drawn(accepted: &[u8], share: f64) -> Vec<i64> {
    if share <= 0.0 {
        return Vec::new();
    }
    let rows = accepted.iter().zip(0i64..).filter(|(accepted, _)| **accepted != 0);
    let (mut positions, mut passed_over) = (Vec::new(), gap(share));
    for (_, position) in rows {
        if passed_over == 0 {
            positions.push(position);
            passed_over = gap(share);
        } else {
            passed_over -= 1;
        }
    }
    positions
}

/// How many rows are passed over before the next is drawn. To draw that number, which is geometric, is to draw each row
/// by itself, and needs chance for those alone that are drawn.
fn gap(share: f64) -> u64 {
    ((1.0 - uniform()).ln() / (-share).ln_1p()) as u64
}

/// A number from 0 to 1, the latter excluded. The process's number keeps a child of a fork, which inherits key and
/// counter, from drawing what its parent draws.
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
    fn each_row_is_drawn_by_itself() {
        // Of two rows next to each other both are drawn as often as chance has it, and so is the first of a call.
        let calls: Vec<_> = (0..40_000).map(|_| drawn(&[1; 2], 0.3)).collect();
        let count = |rows: &[i64]| calls.iter().filter(|drawn| *drawn == rows).count() as f64 / 40_000.0;
        for (rows, share) in [(&[0, 1][..], 0.09), (&[0], 0.21), (&[1], 0.21), (&[], 0.49)] {
            assert!((count(rows) - share).abs() < 0.013, "{rows:?}: {}", count(rows));
        }
    }

    #[test]
    fn no_row_is_drawn_of_a_share_of_nothing_and_every_one_of_the_whole() {
        assert_eq!(drawn(&[1; 1000], 0.0), [0; 0]);
        assert_eq!(drawn(&[1; 1000], 1.0).len(), 1000);
        assert_eq!(drawn(&[], 1.0), [0; 0]);
    }
}
