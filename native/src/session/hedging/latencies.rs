//! What the last requests of a node took.

use std::time::Duration;

/// Answers beyond the quantile that are looked back on, so that it says something of the server as it is now.
const BEYOND: f64 = 20.0;

/// Answers that are looked back on, at least and at most.
const ROOM: (usize, usize) = (200, 2000);

/// Answers without which there is no history, however few the quantile needs.
const LEAST: usize = 20;

/// So many new answers change a quantile too little to look for it again.
const FEW: usize = 16;

/// The times of the last answers, and what follows from them.
#[derive(Debug)]
pub(super) struct Latencies {
    quantile: f64,
    /// Microseconds, in any order.
    recent: Vec<u32>,
    /// Where the next one goes, in place of the oldest.
    next: usize,
    room: usize,
    /// Answers without which nothing follows: enough for one to lie beyond the quantile.
    least: usize,
    delay: Option<Duration>,
    /// Answers since that was found.
    unseen: usize,
}

impl Latencies {
    /// None yet, to find `quantile` in.
    pub(super) fn new(quantile: f64) -> Self {
        let rare = 1.0 / (1.0 - quantile);
        let room = ((BEYOND * rare).ceil() as usize).clamp(ROOM.0, ROOM.1);
        let least = (rare.ceil() as usize).clamp(LEAST, room);
        Self { quantile, recent: Vec::new(), next: 0, room, least, delay: None, unseen: 0 }
    }

    /// Adds one, and forgets the oldest where there are enough.
    pub(super) fn add(&mut self, latency: Duration) {
        let micros = u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
        match self.recent.get_mut(self.next) {
            Some(oldest) => *oldest = micros,
            None => self.recent.push(micros),
        }
        self.next = (self.next + 1) % self.room;
        self.unseen += 1;
        if self.recent.len() >= self.least && (self.delay.is_none() || self.unseen >= FEW) {
            (self.delay, self.unseen) = (Some(self.find()), 0);
        }
    }

    /// How long to wait for an answer before a second request is worth it.
    ///
    /// That is the quantile, and at least twice the median: a second request takes a median itself, so that beside a
    /// first one that is hardly late it would win nothing. Where all answers take much the same time, this leaves out
    /// those that are only the last of many alike.
    pub(super) fn delay(&self) -> Option<Duration> {
        self.delay
    }

    fn find(&self) -> Duration {
        let mut sorted = self.recent.clone();
        let mut at = |quantile: f64| {
            let rank = (quantile * sorted.len() as f64).ceil() as usize;
            let index = rank.clamp(1, sorted.len()) - 1;
            u64::from(*sorted.select_nth_unstable(index).1)
        };
        Duration::from_micros(at(self.quantile).max(2 * at(0.5)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(quantile: f64, millis: impl IntoIterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::new(quantile);
        millis.into_iter().for_each(|millis| latencies.add(Duration::from_millis(millis)));
        latencies
    }

    fn delay(quantile: f64, millis: impl IntoIterator<Item = u64>) -> Option<u128> {
        of(quantile, millis).delay().map(|delay| delay.as_millis())
    }

    #[test]
    fn there_is_no_delay_before_there_is_history() {
        for (quantile, least) in [(0.5, 20), (0.95, 20), (0.99, 100), (0.999, 1000), (0.999_999, 2000)] {
            assert_eq!(delay(quantile, vec![1; least - 1]), None, "{quantile}");
            assert!(delay(quantile, vec![1; least]).is_some(), "{quantile}");
        }
    }

    #[test]
    fn where_answers_differ_the_delay_is_their_quantile() {
        assert_eq!(delay(0.95, (0..1600).map(|number| number % 100)), Some(98));
        assert_eq!(delay(0.9, (1..=16).cycle().take(320).map(|number| number * number)), Some(225));
    }

    #[test]
    fn where_they_are_alike_it_is_twice_the_median() {
        assert_eq!(delay(0.95, vec![10; 400]), Some(20));
        assert_eq!(delay(0.95, [vec![10; 300], vec![12; 100]].concat()), Some(20));
    }

    #[test]
    fn a_server_that_changes_is_followed() {
        for (before, after) in [(5, 50), (50, 5)] {
            assert_eq!(delay(0.95, [vec![before; 2000], vec![after; 400]].concat()), Some(2 * u128::from(after)));
        }
        // A few slow answers among many are no change.
        assert_eq!(delay(0.95, [vec![5; 400], vec![500; 8], vec![5; 200]].concat()), Some(10));
    }

    proptest! {
        #[test]
        fn the_delay_is_that_of_a_sort_of_the_last_answers(
            millis in proptest::collection::vec(1u64..1000, 20..1500), quantile in 0.01f64..0.999,
        ) {
            let latencies = of(quantile, millis.iter().copied());
            prop_assume!(latencies.delay().is_some());
            let seen = &millis[..millis.len() - latencies.unseen];
            let mut sorted = seen[seen.len().saturating_sub(latencies.room)..].to_vec();
            sorted.sort_unstable();
            let share = |value: u64| sorted.partition_point(|other| *other <= value) as f64 / sorted.len() as f64;
            let quantile = sorted.iter().find(|value| share(**value) >= quantile).unwrap();
            let median = sorted.iter().find(|value| share(**value) >= 0.5).unwrap();
            let expected = Duration::from_millis(*quantile.max(&(2 * median)));
            prop_assert_eq!(latencies.delay(), Some(expected));
        }
    }
}
