//! What a request cost, by what became of it.

use super::admission::Place;
use super::pool::Pick;
use super::{Limits, Peer, Request, Response, Tally, Trouble};
use crate::failure::{Code, Problem};
use crate::session::budget::{Came, Waiting};

impl Peer {
    /// Sends a request that has its place and was paid, and settles what it cost once the place is free again.
    pub(super) async fn paid(
        &self,
        request: &Request<'_>,
        limits: &Limits,
        tally: &Tally,
        pick: Pick,
        mut place: Place<'_>,
    ) -> Result<Response, Trouble> {
        let outcome = place.settled(self.exchange(request, limits, tally, pick).await);
        drop(place);
        if let Some(settling) = tally.settle(request, &outcome, limits) {
            settling.await;
        }
        outcome
    }
}

impl Tally {
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
