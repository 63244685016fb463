//! What the reading of an answer may take: time, and memory.
//!
//! A body of few bytes can hold very many values, and a number of one byte can become one of eight. So whoever reads an
//! answer says at each value that it goes on, and what it is going to hold; [`within`] says on that thread how far.

use std::cell::Cell;
use std::fmt;
use std::time::Instant;

use crate::run::running::{EXIT, PAUSE, current};

/// What the reading went beyond.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Beyond {
    /// Its deadline.
    Deadline,
    /// The run, which its host ended.
    Run,
    /// The memory that it may hold.
    Memory,
}

/// For readers whose errors are texts. What a caller of [`within`] is told is not this.
impl fmt::Display for Beyond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer takes too long or too much memory to be read")
    }
}

/// Values between two looks at the clock.
const STRIDE: u32 = 1024;

thread_local! {
    /// Values until the next look at the clock.
    static LEFT: Cell<u32> = const { Cell::new(STRIDE) };
    /// Bytes that may still be held.
    static ROOM: Cell<u64> = const { Cell::new(u64::MAX) };
    static BOUNDS: Cell<Option<Bounds>> = const { Cell::new(None) };
}

#[derive(Clone, Copy)]
struct Bounds {
    deadline: Instant,
    /// When the host is asked next.
    ask: Instant,
    beyond: Option<Beyond>,
}

/// Does `work`, which reads an answer, until `deadline` and holding `room` bytes at most; `Err` if it went beyond.
pub fn within<T>(deadline: Instant, room: u64, work: impl FnOnce() -> T) -> Result<T, Beyond> {
    let bounds = Bounds { deadline, ask: Instant::now() + PAUSE, beyond: None };
    let outer = Outer(LEFT.replace(STRIDE), ROOM.replace(room), BOUNDS.replace(Some(bounds)));
    let outcome = work();
    let beyond = BOUNDS.get().and_then(|bounds| bounds.beyond);
    drop(outer);
    beyond.map_or(Ok(outcome), Err)
}

/// The bounds within which others are set.
struct Outer(u32, u64, Option<Bounds>);

impl Drop for Outer {
    fn drop(&mut self) {
        LEFT.set(self.0);
        ROOM.set(self.1);
        BOUNDS.set(self.2);
    }
}

/// Says that one more value is read; `Err` if there is no time for it.
#[inline]
pub fn step() -> Result<(), Beyond> {
    match LEFT.get() {
        0 => look(),
        left => {
            LEFT.set(left - 1);
            Ok(())
        }
    }
}

/// Says that one more value is read that takes `bytes` in memory; `Err` if there is no time or no room for it.
#[inline]
pub fn hold(bytes: usize) -> Result<(), Beyond> {
    match ROOM.get().checked_sub(bytes as u64) {
        Some(room) => ROOM.set(room),
        None => return Err(end(Beyond::Memory)),
    }
    step()
}

/// Bytes that may still be held.
pub fn room() -> usize {
    usize::try_from(ROOM.get()).unwrap_or(usize::MAX)
}

#[cold]
fn look() -> Result<(), Beyond> {
    if let Some(bounds) = BOUNDS.get()
        && let Some(beyond) = bounds.beyond.or_else(|| bounds.passed(Instant::now()))
    {
        return Err(end(beyond));
    }
    LEFT.set(STRIDE);
    Ok(())
}

/// Ends the reading: each step from now on fails.
fn end(beyond: Beyond) -> Beyond {
    LEFT.set(0);
    let bounds = BOUNDS.get();
    BOUNDS.set(bounds.map(|bounds| Bounds { beyond: bounds.beyond.or(Some(beyond)), ..bounds }));
    beyond
}

impl Bounds {
    fn passed(self, now: Instant) -> Option<Beyond> {
        if now >= self.deadline {
            return Some(Beyond::Deadline);
        }
        let Some(entered) = current() else { return EXIT.is_raised().then_some(Beyond::Run) };
        let mut ended = EXIT.is_raised() || entered.run.cancelled.is_raised();
        if now >= self.ask {
            BOUNDS.set(Some(Self { ask: now + PAUSE, ..self }));
            ended |= entered.is_interrupted();
        }
        ended.then_some(Beyond::Run)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::run::running;

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    fn endless() -> Beyond {
        loop {
            if let Err(beyond) = step() {
                return beyond;
            }
        }
    }

    #[test]
    fn reading_ends_at_its_deadline() {
        assert_eq!(within(Instant::now() + Duration::from_millis(5), 9, endless), Err(Beyond::Deadline));
    }

    #[test]
    fn reading_ends_with_its_run() {
        let id = running::create();
        running::enter(id, None, 0);
        running::cancel(id);
        let outcome = within(later(), 9, endless);
        running::leave(0);
        assert_eq!(outcome, Err(Beyond::Run));
    }

    extern "C" fn yes() -> i32 {
        1
    }

    #[test]
    fn reading_ends_where_the_host_wants() {
        running::enter(0, Some(yes), 0);
        let outcome = within(later(), 9, endless);
        running::leave(0);
        assert_eq!(outcome, Err(Beyond::Run));
    }

    #[test]
    fn what_is_held_has_a_limit_that_stays_reached() {
        let outcome = within(later(), 9, || (hold(8), hold(1), hold(1), hold(0).is_err()));
        assert_eq!(outcome, Err(Beyond::Memory));
        assert_eq!(within(later(), 9, || (hold(8), hold(1))), Ok((Ok(()), Ok(()))));
    }

    #[test]
    fn bounds_within_others_leave_those_as_they_were() {
        let inner = || within(later(), 1, || hold(2));
        assert_eq!(within(later(), 9, || (inner(), hold(9))), Ok((Err(Beyond::Memory), Ok(()))));
        assert_eq!(hold(9), Ok(()));
    }
}
