//! How one of several servers stands: whether it is left alone after failures, and how much it has to do.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::guard::lock;

/// The first pause of a server that failed, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(75));

/// How one server stands, as all nodes of a session see it.
#[derive(Debug, Default)]
pub struct Standing {
    state: Mutex<State>,
    under_way: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    /// Failures in a row, those of requests that were sent before the first of them aside.
    failures: u32,
    /// Until when it is left alone, once it has failed.
    until: Option<Instant>,
    /// Whether a request is under way to see whether it works again.
    probing: bool,
}

/// How a request came to a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Turn {
    /// As one of many.
    Ordinary,
    /// To see whether it works again.
    Probe,
}

impl Standing {
    /// Requests that are under way.
    pub fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// When it may be asked again; `None` where it is not left alone.
    pub fn until(&self) -> Option<Instant> {
        lock(&self.state).until
    }

    /// Whether it would take a request now.
    pub fn is_open(&self, now: Instant) -> bool {
        lock(&self.state).is_open(now)
    }

    /// Takes a request, unless the server is left alone; every `Some` is followed by one [`Standing::leave`].
    pub fn enter(&self, now: Instant) -> Option<Turn> {
        let mut state = lock(&self.state);
        state.is_open(now).then(|| self.taken(&mut state))
    }

    /// Takes a request all the same, where there is no other server.
    pub fn force(&self) -> Turn {
        self.taken(&mut lock(&self.state))
    }

    fn taken(&self, state: &mut State) -> Turn {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        if state.until.is_none() || state.probing {
            return Turn::Ordinary;
        }
        state.probing = true;
        Turn::Probe
    }

    /// Says whether the server worked (`None` where that was not seen), and for how long it wants no request.
    pub fn leave(&self, turn: Turn, worked: Option<bool>, asked: Option<Duration>, now: Instant) {
        let under_way = self.under_way.fetch_sub(1, Ordering::Relaxed);
        debug_assert!(under_way > 0, "a request left a server that it did not come to");
        let mut state = lock(&self.state);
        if turn == Turn::Probe {
            state.probing = false;
        } else if state.until.is_some() {
            return; // it was sent before the server failed
        }
        match worked {
            Some(true) => *state = State::default(),
            Some(false) => {
                state.failures += 1;
                state.until = Some(now + pause(state.failures).max(asked.unwrap_or_default()).min(PAUSE.1));
            }
            None => {}
        }
    }
}

impl State {
    fn is_open(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now >= until && !self.probing)
    }
}

/// Grows with failures in a row; it varies, so that those who lost one server do not come back together.
fn pause(failures: u32) -> Duration {
    let bound = PAUSE.0.saturating_mul(1 << (failures - 1).min(16)).min(PAUSE.1);
    bound.mul_f64(1.0 - fastrand::f64() / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn request(standing: &Standing, worked: Option<bool>, now: Instant) -> Option<Turn> {
        standing.enter(now).inspect(|turn| standing.leave(*turn, worked, None, now))
    }

    #[test]
    fn pauses_grow_up_to_75_seconds() {
        let (standing, mut now) = (Standing::default(), Instant::now());
        for bound in [1, 2, 4, 8, 16, 32, 64, 75, 75] {
            assert!(request(&standing, Some(false), now).is_some());
            let pause = standing.until().unwrap() - now;
            assert!(pause <= bound * SECOND && pause >= bound * SECOND * 3 / 4, "{pause:?} of {bound}");
            assert_eq!(request(&standing, Some(true), now + pause - SECOND / 1000), None);
            now += pause;
        }
        assert_eq!(request(&standing, Some(true), now), Some(Turn::Probe));
        assert_eq!((standing.until(), request(&standing, Some(true), now)), (None, Some(Turn::Ordinary)));
    }

    #[test]
    fn one_request_at_a_time_sees_whether_it_works_again() {
        let (standing, now) = (Standing::default(), Instant::now());
        request(&standing, Some(false), now);
        let later = now + SECOND;
        assert_eq!((standing.enter(later), standing.enter(later)), (Some(Turn::Probe), None));
        standing.leave(Turn::Probe, None, None, later);
        assert_eq!(standing.enter(later), Some(Turn::Probe));
    }

    #[test]
    fn requests_from_before_it_failed_change_nothing() {
        let (standing, now) = (Standing::default(), Instant::now());
        let turns: Vec<_> = (0..4).filter_map(|_| standing.enter(now)).collect();
        assert_eq!(standing.under_way(), 4);
        for (turn, worked) in turns.into_iter().zip([false, false, true, false]) {
            standing.leave(turn, Some(worked), None, now);
        }
        assert_eq!((standing.under_way(), standing.is_open(now), standing.is_open(now + SECOND)), (0, false, true));
    }

    #[test]
    fn a_server_that_asks_for_time_gets_it_within_bounds() {
        let now = Instant::now();
        for (asked, given) in [(30, 30), (3600, 75)] {
            let standing = Standing::default();
            standing.leave(standing.force(), Some(false), Some(asked * SECOND), now);
            assert_eq!(standing.until(), Some(now + given * SECOND));
        }
    }
}
