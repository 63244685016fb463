//! What goes along with a call's requests: the budget that they spend, a trace, and a log of those that fail.

use std::fmt;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use super::{Response, Trouble};
use crate::failure::{Code, Failure, Problem};
use crate::session::budget::Budget;
use crate::session::credential::Secret;
use crate::session::events::Events;
use crate::session::masking::Masks;
use crate::trace::Mark;

static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The same for all calls of a node. By default there is no budget, no trace and no log.
#[derive(Clone, Default)]
pub struct Watch {
    /// The scope's budget.
    pub budget: Option<Arc<Budget>>,
    /// Where failed attempts are kept for the host's log.
    pub events: Option<Arc<Events>>,
    /// The tokens that it must not show.
    pub masks: Arc<Masks>,
    /// The node's name, for that log.
    pub node: Arc<str>,
    /// The node's endpoint, for that log.
    pub endpoint: Arc<str>,
    /// What the thread that calls wants to see of the call, if anything.
    pub mark: Option<Box<Mark>>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

impl Watch {
    /// The watch of one call, which the thread that calls begins.
    #[must_use]
    pub fn begin(&self) -> Self {
        let ask = |name: &str| self.events.as_deref()?.ask(name);
        Self { mark: crate::trace::begin(&self.node, ask), ..self.clone() }
    }

    /// The header of the trace.
    pub(super) fn traceparent(&self) -> Option<(&'static HeaderName, &HeaderValue)> {
        self.mark.as_deref()?.traceparent.as_ref().map(|traceparent| (&TRACEPARENT, traceparent))
    }

    /// Keeps the failure of an attempt that will be repeated. Of what a server said only the status is told.
    pub(super) fn repeated<'a>(
        &self,
        attempt: u32,
        outcome: &Result<Response, Trouble>,
        secrets: impl Iterator<Item = &'a Secret>,
    ) {
        let Some(events) = &self.events else { return };
        let mut problem = match outcome {
            Ok(answer) => {
                // A gRPC server says 200 and means its own status.
                let grpc = answer.header("grpc-status").and_then(|status| status.parse().ok());
                let status = grpc.unwrap_or(answer.status.as_u16());
                Problem::new(Code::Status, format!("the server answered {status}")).with_status(status)
            }
            Err(
                Trouble::Unanswered(problem)
                | Trouble::Stale(problem)
                | Trouble::Refused(problem)
                | Trouble::Silent(problem)
                | Trouble::Final(problem),
            ) => problem.clone(),
        };
        problem.message = self.masks.with(secrets).quote(&problem.message);
        let (node, endpoint) = (self.node.to_string(), self.endpoint.to_string());
        events.add(&Failure { problem, node, endpoint, attempts: attempt }, attempt);
    }
}
