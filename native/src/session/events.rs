//! Failed attempts, kept until the host fetches them for its log.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::failure::{Failure, one_line};
use crate::guard::lock;
use crate::ort::foreign::export;
use crate::session::credential::Resolver;
use crate::trace;

/// Events that wait at most; beyond them the oldest are forgotten.
const KEPT: usize = 256;

export! {
    /// How many events wait in all scopes together, for a host to see without a call whether there is anything to fetch.
    static onnxhybrid_events_waiting: AtomicU64 = AtomicU64::new(0);
}

/// The events of one scope.
#[derive(Default)]
pub struct Events {
    waiting: Mutex<Waiting>,
    host: Option<Arc<dyn Resolver>>,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<Value>,
    forgotten: u64,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}

impl Events {
    /// None as yet; `host` is who is asked for the traces of calls.
    pub fn of(host: Option<Arc<dyn Resolver>>) -> Self {
        Self { waiting: Mutex::default(), host }
    }

    /// The host's answer, if it has one.
    pub fn ask(&self, name: &str) -> Option<Vec<u8>> {
        self.host.as_ref()?.resolve(name).ok()
    }

    /// Adds the failure of this attempt, with 0 that of a call of which no attempt was under way; its text must be fit to be
    /// shown.
    pub fn add(&self, failure: &Failure, attempt: u32) {
        let event = json!({
            "node": one_line(&failure.node),
            "endpoint": one_line(&failure.endpoint),
            "code": failure.problem.code.as_str(),
            "status": failure.problem.status.unwrap_or(0),
            "attempt": attempt,
            "message": one_line(&failure.problem.message),
        });
        let mut waiting = lock(&self.waiting);
        if waiting.events.len() == KEPT {
            waiting.events.pop_front();
            waiting.forgotten += 1;
        } else {
            onnxhybrid_events_waiting.fetch_add(1, Ordering::Relaxed);
        }
        waiting.events.push_back(event);
    }

    /// What waits, which is then gone: `{"events": […], "forgotten": n, "calls": […], "forgotten_calls": n}`, the calls being
    /// reports of this very thread; `None` if nothing does.
    pub fn take(&self) -> Option<Value> {
        let waiting = std::mem::take(&mut *lock(&self.waiting));
        waiting.uncount();
        let (calls, forgotten_calls) = trace::take();
        (!waiting.events.is_empty() || !calls.is_empty()).then(|| {
            json!({
                "events": waiting.events, "forgotten": waiting.forgotten,
                "calls": calls, "forgotten_calls": forgotten_calls,
            })
        })
    }
}

impl Waiting {
    fn uncount(&self) {
        onnxhybrid_events_waiting.fetch_sub(self.events.len() as u64, Ordering::Relaxed);
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        lock(&self.waiting).uncount();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Code, Problem};

    #[test]
    fn events_are_taken_once_in_order_and_their_number_is_bounded() {
        let events = Events::default();
        assert_eq!(events.take(), None);
        for attempts in 0..300 {
            let problem = Problem::new(Code::Status, "the server\nanswered 503").with_status(503);
            events.add(&Failure { node: "n".into(), ..Failure::without_node(problem) }, attempts);
        }
        let taken = events.take().unwrap();
        assert_eq!((taken["forgotten"].as_u64(), taken["events"].as_array().unwrap().len()), (Some(44), KEPT));
        assert_eq!(taken["events"][0]["attempt"], 44);
        assert_eq!(taken["events"][0]["message"], "the server\\nanswered 503");
        assert_eq!(events.take(), None);
    }
}
