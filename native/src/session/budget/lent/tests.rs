use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::transport::runtime::block_on;

/// A host that allows these numbers of calls in turn, and then lends nothing more.
#[derive(Default)]
struct Host {
    lent: std::sync::OnceLock<Arc<Lent>>,
    allows: Mutex<VecDeque<u64>>,
    asked: AtomicUsize,
    silent: bool,
    says: &'static [u8],
}

impl Resolver for Host {
    fn resolve(&self, name: &str) -> Result<Vec<u8>, String> {
        assert!(name.starts_with(r#":lend {"bytes":null,"calls":"#), "{name}");
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.silent {
            return Err("it is away".into());
        }
        if !self.says.is_empty() {
            return Ok(self.says.to_vec());
        }
        let Some(calls) = lock(&self.allows).pop_front() else { return Ok(b"no".to_vec()) };
        self.lent.get().unwrap().allow(Spent { calls, ..Spent::default() });
        Ok(Vec::new())
    }
}

fn lent(host: Host) -> (Arc<Lent>, Arc<Host>) {
    let host = Arc::new(host);
    let limits = Limits { calls: Some(9), ..Limits::default() };
    let lent = Arc::new(Lent::new(limits, host.clone()));
    let _ = host.lent.set(lent.clone());
    (lent, host)
}

fn spend(lent: &Lent) -> Result<(), Problem> {
    let deadline = Instant::now() + Duration::from_secs(10);
    lent.try_spend(0, 1).or_else(|_| block_on(deadline, lent.borrow(0, 1, deadline)).unwrap().map(drop))
}

#[test]
fn nothing_is_spent_that_was_not_lent_and_the_host_is_asked_when_it_is_used_up() {
    let (budget, host) = lent(Host { allows: Mutex::new([2, 3].into()), ..Host::default() });
    for asked in [1, 1, 2] {
        assert!(spend(&budget).is_ok());
        assert_eq!(host.asked.load(Ordering::Relaxed), asked);
    }
    let refusal = spend(&budget).unwrap_err();
    assert!(refusal.code == Code::Budget && refusal.message.contains("all workers"), "{refusal:?}");
    assert_eq!(budget.standing().0.calls, 3);
}

#[test]
fn what_is_taken_back_cannot_be_spent_and_what_was_spent_stays() {
    let (budget, _) = lent(Host { allows: Mutex::new([5].into()), ..Host::default() });
    assert!(spend(&budget).is_ok());
    assert_eq!(budget.allow(Spent::default()).calls, 1);
    assert_eq!(spend(&budget).unwrap_err().code, Code::Budget);
}

#[test]
fn a_host_that_cannot_be_asked_is_no_leave_to_spend() {
    for host in [Host { silent: true, ..Host::default() }, Host { says: b"it is away", ..Host::default() }] {
        let problem = spend(&lent(host).0).unwrap_err();
        assert!(problem.code == Code::Lender && problem.message.contains("it is away"), "{problem:?}");
    }
}
