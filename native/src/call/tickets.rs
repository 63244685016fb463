//! Tickets: calls that were begun and are not yet awaited.
//!
//! A ticket is good once, in the scope that gave it. One that nobody awaits is dropped with the kernel that gave it, or
//! before: where the host tells of runs (see [`crate::run::running`]) at the end of the run, otherwise at the deadline.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, Weak};

use super::Call;
use super::begun::Begun;
use super::task::Task;
use crate::failure::{Code, Problem};
use crate::guard::lock;
use crate::run::running;

/// How many tickets are remembered that were dropped at their deadline. To await one of them says so.
const REMEMBERED: usize = 1024;

/// The open tickets of a scope.
#[derive(Default)]
pub struct Tickets {
    table: Mutex<Table>,
    /// Keyed by the process's own randomness, so that no ticket can be told from another.
    numbers: RandomState,
}

#[derive(Default)]
struct Table {
    given: u64,
    open: HashMap<i64, Open>,
    late: VecDeque<(i64, Weak<Call>)>,
}

struct Open {
    begun: Begun,
    /// What drops the ticket at its deadline, where no run does when it ends.
    _expiry: Option<Task<()>>,
}

/// The call of a ticket that was taken.
pub enum Taken {
    /// A call under way, or answered.
    Begun(Begun),
    /// A call that was dropped at its deadline.
    Late(Arc<Call>),
}

impl Tickets {
    /// Gives a ticket, a positive number, for a call; it belongs to the run of this thread, if there is one.
    pub fn add(self: &Arc<Self>, begun: Begun) -> i64 {
        let ticket = self.number();
        let run = running::current();
        let expiry = run.is_none().then(|| {
            let (tickets, deadline) = (Arc::downgrade(self), begun.deadline());
            Task::spawn(async move {
                tokio::time::sleep_until(deadline.into()).await;
                if let Some(tickets) = tickets.upgrade() {
                    tickets.expire(ticket);
                }
            })
        });
        lock(&self.table).open.insert(ticket, Open { begun, _expiry: expiry });
        if let Some(entered) = run {
            let tickets = Arc::downgrade(self);
            entered.run.at_end(move || {
                if let Some(tickets) = tickets.upgrade() {
                    tickets.abandon(ticket);
                }
            });
        }
        ticket
    }

    /// Takes the call of a ticket, which is good no more.
    pub fn take(&self, ticket: i64) -> Result<Taken, Problem> {
        let mut table = lock(&self.table);
        if let Some(open) = table.open.remove(&ticket) {
            return Ok(Taken::Begun(open.begun));
        }
        let late = table.late.iter().position(|(late, _)| *late == ticket).and_then(|index| table.late.remove(index));
        late.and_then(|(_, call)| call.upgrade()).map(Taken::Late).ok_or_else(unknown)
    }

    /// Drops the call of a ticket, if it is still open.
    pub fn abandon(&self, ticket: i64) {
        let open = lock(&self.table).open.remove(&ticket);
        if let Some(open) = open {
            open.begun.abandon(Code::Cancelled);
        }
    }

    /// Drops every open call of a node.
    pub fn abandon_all(&self, call: &Arc<Call>) {
        let mut table = lock(&self.table);
        let left: Vec<_> = table.open.extract_if(|_, open| Arc::ptr_eq(open.begun.call(), call)).collect();
        drop(table);
        left.into_iter().for_each(|(_, open)| open.begun.abandon(Code::Cancelled));
    }

    /// How many tickets are open.
    pub fn open(&self) -> usize {
        lock(&self.table).open.len()
    }

    fn expire(&self, ticket: i64) {
        let mut table = lock(&self.table);
        let Some(open) = table.open.remove(&ticket) else { return };
        if table.late.len() == REMEMBERED {
            table.late.pop_front();
        }
        table.late.push_back((ticket, Arc::downgrade(open.begun.call())));
        drop(table);
        open.begun.abandon(Code::Deadline);
    }

    fn number(&self) -> i64 {
        let mut table = lock(&self.table);
        loop {
            table.given += 1;
            let ticket = (self.numbers.hash_one(table.given) >> 1) as i64;
            if ticket > 0 && matches!(table.open.entry(ticket), Entry::Vacant(_)) {
                return ticket;
            }
        }
    }
}

fn unknown() -> Problem {
    let message =
        "the ticket is unknown: it was awaited or cancelled before, its run is over, or it is another session's";
    Problem::new(Code::Ticket, message)
}
