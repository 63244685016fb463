//! Audits: a remote is asked for rows that were answered without it, and its answers are compared with those.
//!
//! The run that draws a row does not wait. It copies what is sent and what was answered, and goes on; the call is made
//! on a thread of the runtime, as any other call of the session is: under its policy, its budget and its limits. What
//! comes of it is counted and told to nobody else, a failure included. A call that is under way when its session ends is
//! dropped. Nothing is recorded, and nothing audited where a record is replayed: which rows are drawn is chance.

mod comparing;
mod drawing;
mod held;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::Call;
use crate::failure::{Code, Problem};
use crate::guard::{guard, lock};
use crate::node::Auth;
use crate::run::forks::PerProcess;
use crate::run::running;
use crate::session::audit::{Alarm, Audited};
use crate::tensor::{InputTensor, OutputTensor};
use crate::transport::runtime::runtime;

use comparing::{Counted, compare};
pub use drawing::drawn;
use held::Held;

/// Calls of one node that are under way at a time. Each holds what it sends; beyond them, rows are not audited.
const MOST: usize = 16;

/// What a node's answers are compared with.
pub struct Compared {
    /// For each answer, which output of the call it is compared with; `None` for one that is not.
    pub outputs: Vec<Option<usize>>,
    /// Whether each row of the answers counts for itself.
    pub by_row: bool,
}

/// A node whose calls audit what was answered without them.
pub struct Auditor {
    call: Call,
    compared: Compared,
    audited: Arc<Audited>,
    open: PerProcess<Mutex<Open>>,
}

/// The calls that are not counted yet, in the order in which they began. They are counted in that order, since the bound
/// is true of rows as they were drawn, and not of those first that a server answers first.
#[derive(Default)]
struct Open {
    begun: u64,
    calls: BTreeMap<u64, Pending>,
}

enum Pending {
    UnderWay { run: u64 },
    Over(Outcome),
}

/// What came of the audit of some rows.
#[derive(Clone, Copy)]
enum Outcome {
    Compared(Counted),
    Failed {
        rows: u64,
    },
    /// Its session ended.
    Dropped,
}

/// What is sent, and what was answered without it.
struct Drawn {
    inputs: Vec<Held>,
    answers: Vec<Held>,
    rows: u64,
}

impl Auditor {
    /// An auditor whose findings go to `audited`.
    pub fn new(call: Call, compared: Compared, audited: Arc<Audited>) -> Self {
        Self { call, compared, audited, open: PerProcess::default() }
    }

    /// The call that is made.
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// Begins an audit: `inputs` are what the call takes, `answers` what was answered without it.
    pub fn begin(self: &Arc<Self>, inputs: &[InputTensor], answers: &[InputTensor]) {
        let rows = if self.compared.by_row { answers.first().map_or(0, InputTensor::rows) } else { 1 } as u64;
        let Some((number, run)) = lock(&self.open).admit() else { return self.audited.dropped(rows) };
        let (inputs, answers) = (inputs.iter().map(Held::of).collect(), answers.iter().map(Held::of).collect());
        let drawn = Drawn { inputs, answers, rows };
        let auditor = self.clone();
        // A system that gives no thread fails the audit, and not the run.
        let begun = guard(
            || false,
            move || {
                runtime().spawn_blocking(move || auditor.settle(number, auditor.outcome(run, &drawn)));
                true
            },
        );
        if !begun {
            running::release(run);
            self.settle(number, Outcome::Failed { rows });
        }
    }

    /// Counts rows that could not be read.
    pub fn fail(&self, rows: u64) {
        self.audited.failed(rows);
    }

    /// Ends the calls that are under way; they count as nothing.
    pub fn end(&self) {
        let open = lock(&self.open);
        let runs: Vec<_> = open.calls.values().filter_map(Pending::run).collect();
        drop(open);
        runs.into_iter().for_each(running::cancel);
    }

    /// Makes the call on this thread, as the run `run`.
    fn outcome(&self, run: u64, drawn: &Drawn) -> Outcome {
        running::enter(run, None, 0);
        let outcome = guard(|| Outcome::Failed { rows: drawn.rows }, || self.asked(drawn));
        running::leave(0);
        outcome
    }

    fn asked(&self, drawn: &Drawn) -> Outcome {
        let mut inputs: Vec<_> = drawn.inputs.iter().map(Held::lent).collect();
        let answers: Vec<_> = drawn.answers.iter().map(Held::lent).collect();
        let token = (self.call.node().auth == Auth::Input && !inputs.is_empty()).then(|| inputs.remove(0));
        match self.call.run_unrecorded(token.as_ref(), &inputs) {
            Ok(outputs) => match compare(&self.pairs(&answers, &outputs), self.compared.by_row) {
                Some(counted) => Outcome::Compared(counted),
                None => Outcome::Failed { rows: drawn.rows },
            },
            Err(failure) if failure.problem.code == Code::Cancelled => Outcome::Dropped,
            Err(_) => Outcome::Failed { rows: drawn.rows },
        }
    }

    fn pairs<'a>(
        &self,
        answers: &'a [InputTensor<'a>],
        outputs: &'a [OutputTensor],
    ) -> Vec<(&'a InputTensor<'a>, &'a OutputTensor)> {
        let pair = |(answer, output): (_, &Option<usize>)| Some((answer, outputs.get((*output)?)?));
        answers.iter().zip(&self.compared.outputs).filter_map(pair).collect()
    }

    /// Counts a call that is over, once those that began before it are.
    fn settle(&self, number: u64, outcome: Outcome) {
        let mut open = lock(&self.open);
        open.calls.insert(number, Pending::Over(outcome));
        let alarms: Vec<_> = std::iter::from_fn(|| open.next_over()).filter_map(|over| self.count(over)).collect();
        drop(open);
        for alarm in &alarms {
            if let Some(events) = self.call.scope.events() {
                events.add(&self.call.failure(alarmed(alarm), 0), 0);
            }
        }
    }

    fn count(&self, outcome: Outcome) -> Option<Alarm> {
        match outcome {
            Outcome::Compared((rows, differed)) => return self.audited.compared(rows, differed),
            Outcome::Failed { rows } => self.audited.failed(rows),
            Outcome::Dropped => {}
        }
        None
    }
}

impl Open {
    /// The number and the run of a call that may begin; `None` where too many are under way.
    fn admit(&mut self) -> Option<(u64, u64)> {
        if self.calls.values().filter_map(Pending::run).count() >= MOST {
            return None;
        }
        let (number, run) = (self.begun, running::create());
        self.begun += 1;
        self.calls.insert(number, Pending::UnderWay { run });
        Some((number, run))
    }

    /// The outcome of the oldest call, if it is over.
    fn next_over(&mut self) -> Option<Outcome> {
        let oldest = self.calls.first_entry()?;
        let Pending::Over(outcome) = *oldest.get() else { return None };
        oldest.remove();
        Some(outcome)
    }
}

impl Pending {
    fn run(&self) -> Option<u64> {
        if let Self::UnderWay { run } = self { Some(*run) } else { None }
    }
}

fn alarmed(alarm: &Alarm) -> Problem {
    let Alarm { audited, differed, low, promised } = alarm;
    let message = format!(
        "{differed} of {audited} audited rows differ, so that more than {:.2} % do, and the certificate promises at most \
         {:.2} %: calibrate anew with data of today",
        low * 100.0,
        promised * 100.0
    );
    Problem::new(Code::Alarm, message)
}
