//! The circuit breaker of one origin: after some failures in a row nothing is sent for a while, then one probe.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::guard::lock;

/// A breaker's settings, as a scope's configuration writes them.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerConfig {
    /// Failures in a row that open the breaker.
    pub failures: u32,
    /// Seconds from then until a probe is let through.
    pub pause: f64,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self { failures: 5, pause: 30.0 }
    }
}

/// The longest pause, in seconds: a day.
const MAX_PAUSE: f64 = 86_400.0;

impl BreakerConfig {
    /// `Err` says which setting is out of range.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.failures == 0 {
            return Err("the breaker's failures are 0");
        }
        if !(0.0..=MAX_PAUSE).contains(&self.pause) {
            return Err("the breaker's pause is no number of seconds up to a day");
        }
        Ok(())
    }
}

/// A breaker and its state.
#[derive(Debug)]
pub struct Breaker {
    failures: u32,
    pause: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    /// Requests pass; so many failed in a row.
    Closed(u32),
    /// Requests are refused until then.
    Open(Instant),
    /// One request is under way to see whether the origin works again.
    Probing,
}

/// How a request came through.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pass {
    /// As one of many.
    Ordinary,
    /// Alone, as the probe.
    Probe,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(config: BreakerConfig) -> Self {
        let pause = Duration::from_secs_f64(config.pause.clamp(0.0, MAX_PAUSE));
        Self { failures: config.failures, pause, state: Mutex::new(State::Closed(0)) }
    }

    /// Lets a request through, or refuses it; every `Ok` is followed by one [`Breaker::leave`].
    pub fn enter(&self, now: Instant) -> Option<Pass> {
        let mut state = lock(&self.state);
        match *state {
            State::Closed(_) => Some(Pass::Ordinary),
            State::Open(until) if now >= until => {
                *state = State::Probing;
                Some(Pass::Probe)
            }
            State::Open(_) | State::Probing => None,
        }
    }

    /// Says whether the origin worked; `None` where that was not seen.
    ///
    /// An ordinary request that ends when the breaker is no longer closed changes nothing: it was sent before.
    pub fn leave(&self, pass: Pass, worked: Option<bool>, now: Instant) {
        let mut state = lock(&self.state);
        *state = match (pass, worked, &*state) {
            (Pass::Probe, Some(true), _) | (Pass::Ordinary, Some(true), State::Closed(_)) => State::Closed(0),
            (Pass::Probe, Some(false), _) => State::Open(now + self.pause),
            (Pass::Probe, None, _) => State::Open(now),
            (Pass::Ordinary, Some(false), State::Closed(failures)) => match failures + 1 {
                failures if failures >= self.failures => State::Open(now + self.pause),
                failures => State::Closed(failures),
            },
            _ => return,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker() -> (Breaker, Instant) {
        (Breaker::new(BreakerConfig { failures: 2, pause: 10.0 }), Instant::now())
    }

    fn request(breaker: &Breaker, worked: bool, now: Instant) -> Option<Pass> {
        let pass = breaker.enter(now);
        pass.inspect(|pass| breaker.leave(*pass, Some(worked), now))
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_starts_the_count_anew() {
        let (breaker, now) = breaker();
        for worked in [false, true, false, false] {
            assert_eq!(request(&breaker, worked, now), Some(Pass::Ordinary));
        }
        assert_eq!(request(&breaker, true, now + 9 * SECOND), None);
    }

    #[test]
    fn after_the_pause_one_probe_decides() {
        let (breaker, now) = breaker();
        for _ in 0..2 {
            request(&breaker, false, now);
        }
        assert_eq!(breaker.enter(now + 10 * SECOND), Some(Pass::Probe));
        assert_eq!(breaker.enter(now + 11 * SECOND), None);
        breaker.leave(Pass::Probe, Some(false), now + 12 * SECOND);
        assert_eq!(breaker.enter(now + 21 * SECOND), None);
        assert_eq!(request(&breaker, true, now + 22 * SECOND), Some(Pass::Probe));
        assert_eq!(request(&breaker, true, now + 22 * SECOND), Some(Pass::Ordinary));
    }

    #[test]
    fn a_probe_that_saw_nothing_makes_way_for_the_next() {
        let (breaker, now) = breaker();
        for _ in 0..2 {
            request(&breaker, false, now);
        }
        let later = now + 10 * SECOND;
        assert_eq!(breaker.enter(later), Some(Pass::Probe));
        breaker.leave(Pass::Probe, None, later);
        assert_eq!(breaker.enter(later), Some(Pass::Probe));
    }

    #[test]
    fn requests_from_before_it_opened_change_nothing() {
        let (breaker, now) = breaker();
        let passes: Vec<_> = (0..4).filter_map(|_| breaker.enter(now)).collect();
        for (pass, worked) in passes.into_iter().zip([false, false, true, false]) {
            breaker.leave(pass, Some(worked), now);
        }
        assert_eq!(breaker.enter(now + 9 * SECOND), None);
        assert_eq!(breaker.enter(now + 10 * SECOND), Some(Pass::Probe));
    }

    #[test]
    fn settings_that_cannot_be_are_refused() {
        for (failures, pause) in [(0, 1.0), (1, -1.0), (1, f64::NAN), (1, 1e9)] {
            assert!(BreakerConfig { failures, pause }.check().is_err());
        }
    }
}
