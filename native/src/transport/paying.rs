//! What a request cost, by what became of it.

use super::{Limits, Request, Response, Tally, Trouble};
use crate::failure::{Code, Problem};
use crate::session::budget::{Came, Waiting};

impl Tally {
    /// Settles what was paid for an attempt, and gives its outcome on.
    pub(super) async fn settled(
        &self,
        request: &Request<'_>,
        outcome: Result<Response, Trouble>,
        limits: &Limits,
    ) -> Result<Response, Trouble> {
        if let Some(settling) = self.settle(request, &outcome, limits) {
            settling.await;
        }
        outcome
    }

    /// Settles what was paid for an attempt; where a ledger has to be had for it, that is a wait.
    fn settle(
        &self,
        request: &Request<'_>,
        outcome: &Result<Response, Trouble>,
        limits: &Limits,
    ) -> Option<Waiting<'_, ()>> {
        let settle = |came: Came| self.account.settle(&request.body, &came, limits.deadline);
        match outcome {
            Ok(answer) if self.account.is_by_tokens() => settle(Came::Answer(&answer.body.join(), is_success(answer))),
            Err(Trouble::Refused(_) | Trouble::Final(Problem { code: Code::Policy | Code::Trust, .. })) => {
                settle(Came::Nothing)
            }
            Err(Trouble::Unanswered(problem) | Trouble::Final(problem)) if problem.code == Code::Connect => {
                settle(Came::Nothing)
            }
            _ => settle(Came::Unknown),
        }
    }
}

fn is_success(answer: &Response) -> bool {
    answer.status.as_u16() == 200 && answer.header("grpc-status").is_none_or(|status| status == "0")
}
