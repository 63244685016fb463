//! A file that keeps what was spent, for any number of sessions, processes and languages.
//!
//! A request is written down before it is sent, so that a process that is killed loses nothing. The file is held for a few
//! microseconds at a time; who finds it held tries again, and holds no lock of this library while it waits.

mod file;
mod record;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use super::limits::Spent;
use super::money::Nanos;
use crate::failure::{Code, Problem};
use crate::guard::lock;
use crate::run::forks::PerProcess;
use file::{Held, Identity, Unheld};

/// How long a session that opens waits for a ledger that somebody holds.
const OPENING: Duration = Duration::from_secs(5);

/// How long it waits for one that somebody is making.
const MAKING: Duration = Duration::from_millis(500);

/// Tries that give others a turn before the first that sleeps.
const SPINS: u32 = 16;

/// What is left until the deadline when a call gives up, at most, so that it can say why.
const MARGIN: Duration = Duration::from_millis(250);

/// The longest pause between tries.
const PAUSE: Duration = Duration::from_millis(10);

/// A ledger, as one session sees it.
pub(super) struct Ledger {
    path: PathBuf,
    /// A child of this process has nothing of its parent's to write down.
    state: PerProcess<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// What is known since the requests were written down, and is not written yet.
    later: Later,
    /// What stood there last.
    seen: Spent,
    /// In which file, and how often that had been written.
    place: Option<(Identity, u64)>,
    era: Era,
}

/// How many ledgers were put in the place of the first.
pub(super) type Era = u64;

impl State {
    /// Takes note of which file is held. What was set aside in the one before it is not in this one, to be given back.
    fn meet(&mut self, held: &Held) {
        let (identity, number) = held.place();
        if self.place.is_some_and(|(known, written)| known != identity || number < written) {
            self.era += 1;
            self.later.aside = 0;
        }
        self.place = Some((identity, number));
    }
}

/// What answers came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Later {
    pub(super) bytes: u64,
    /// The cost of what was used.
    pub(super) cost: Nanos,
    /// What had been set aside for it.
    pub(super) aside: Nanos,
}

impl Later {
    /// What was spent, with this.
    pub(super) fn added_to(self, spent: Spent) -> Spent {
        let bytes = spent.bytes.saturating_add(self.bytes);
        Spent { bytes, cost: spent.cost.saturating_add(self.cost).saturating_sub(self.aside), ..spent }
    }

    fn add(&mut self, more: Self) {
        self.bytes = self.bytes.saturating_add(more.bytes);
        self.cost = self.cost.saturating_add(more.cost);
        self.aside = self.aside.saturating_add(more.aside);
    }
}

/// What a request makes of what was spent, or why it is refused.
pub(super) type Change<'a> = &'a (dyn Fn(Spent) -> Result<Spent, Problem> + Sync);

impl Ledger {
    /// The ledger at `path`, which is made if it is not there.
    pub(super) fn open(path: &Path) -> Result<Self, Problem> {
        let path = std::path::absolute(path).map_err(|error| unusable(path, &format!("is no path: {error}")))?;
        let ledger = Self { path, state: PerProcess::default() };
        let (path, begun) = (&ledger.path, Instant::now());
        loop {
            let unheld = match file::hold(path) {
                Ok(held) => {
                    let mut state = lock(&ledger.state);
                    state.meet(&held);
                    state.seen = held.spent();
                    drop(state);
                    return Ok(ledger);
                }
                Err(unheld) => unheld,
            };
            match unheld {
                Unheld::Missing => file::create(path).map_err(|unheld| opening(path, &unheld))?,
                Unheld::Locked if begun.elapsed() < OPENING => thread::sleep(pause(PAUSE)),
                Unheld::Empty if begun.elapsed() < MAKING => thread::sleep(pause(PAUSE)),
                unheld => return Err(opening(path, &unheld)),
            }
        }
    }

    /// Writes down what `change` makes of what was spent, before `deadline`; gives the era of the ledger in which it stands.
    pub(super) async fn change(&self, deadline: Instant, change: Change<'_>) -> Result<Era, Problem> {
        let mut longest = Duration::from_millis(1);
        let end = deadline - MARGIN.min(deadline.saturating_duration_since(Instant::now()) / 8);
        let mut tries = 0;
        loop {
            match self.try_change(change)? {
                Some((_, era)) => return Ok(era),
                None if tries < SPINS => thread::yield_now(),
                None => {
                    let pause = pause(longest);
                    if end.saturating_duration_since(Instant::now()) <= pause {
                        return Err(locked(&self.path));
                    }
                    tokio::time::sleep(pause).await;
                    longest = PAUSE.min(longest * 2);
                }
            }
            tries += 1;
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps what answers came to, until the next time that the file is held. What was set aside for them in the ledger of
    /// another era is not given back: it is not in this one.
    pub(super) fn later(&self, later: Later, era: Era) {
        let mut state = lock(&self.state);
        let aside = if era == state.era { later.aside } else { 0 };
        state.later.add(Later { aside, ..later });
    }

    /// Writes down what answers came to, if there is anything and the file is not held at the moment.
    pub(super) fn settle(&self) {
        if lock(&self.state).later != Later::default() {
            let _ = self.now();
        }
    }

    /// What was spent; what stood there last where the file cannot be read.
    pub(super) fn spent(&self) -> Spent {
        self.now().unwrap_or_else(|| lock(&self.state).seen)
    }

    /// What was spent, with what answers came to, unless others hold the file for long.
    fn now(&self) -> Option<Spent> {
        for _ in 0..SPINS {
            match self.try_change(&Ok) {
                Ok(Some((spent, _))) => return Some(spent),
                Ok(None) => thread::yield_now(),
                Err(_) => return None,
            }
        }
        None
    }

    /// One try; `None` where somebody else holds the file. No process is forked meanwhile, whose child would hold it, too.
    fn try_change(&self, change: Change) -> Result<Option<(Spent, Era)>, Problem> {
        let mut state = lock(&self.state);
        let mut held = match file::hold(&self.path) {
            Ok(held) => held,
            Err(Unheld::Locked) => return Ok(None),
            Err(unheld) => return Err(running(&self.path, &unheld)),
        };
        state.meet(&held);
        let known = state.later.added_to(held.spent());
        let outcome = change(known);
        let spent = *outcome.as_ref().unwrap_or(&known);
        if spent != held.spent() {
            held.keep(spent).map_err(|unheld| running(&self.path, &unheld))?;
        }
        *state = State { later: Later::default(), seen: spent, place: Some(held.place()), era: state.era };
        outcome.map(|spent| Some((spent, state.era)))
    }
}

/// What is left to write down is written by the last to leave.
impl Drop for Ledger {
    fn drop(&mut self) {
        self.settle();
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ledger").field(&self.path).finish()
    }
}

fn pause(longest: Duration) -> Duration {
    longest.mul_f64(fastrand::f64())
}

fn opening(path: &Path, unheld: &Unheld) -> Problem {
    match unheld {
        Unheld::Locked => locked(path),
        Unheld::Missing => unusable(path, "cannot be made: its folder is missing"),
        Unheld::Empty => unusable(path, "is empty, and no ledger; delete it, and one is made"),
        Unheld::Unfit(what) => unusable(path, what),
    }
}

fn running(path: &Path, unheld: &Unheld) -> Problem {
    let what = match unheld {
        Unheld::Missing => "is gone; a session that is opened now makes a new one",
        Unheld::Empty => "is empty",
        Unheld::Locked => return locked(path),
        Unheld::Unfit(what) => what,
    };
    Problem::new(Code::Ledger, format!("nothing was sent, since the ledger {} {what}", path.display()))
}

fn unusable(path: &Path, what: &str) -> Problem {
    Problem::new(Code::LedgerFile, format!("the ledger {} {what}", path.display()))
}

fn locked(path: &Path) -> Problem {
    let message = format!("the ledger {} is locked, and whoever holds it did not let go", path.display());
    Problem::new(Code::LedgerLocked, message)
}

#[cfg(test)]
mod tests;
