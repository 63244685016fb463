//! A second request to one of several servers, beside one that takes long: it goes to the next of them.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{Several, Visit};
use crate::transport::admission::Place;
use crate::transport::hedging::{Hedge, Which};
use crate::transport::pool::Pick;
use crate::transport::{Request, Response, Trouble};

type Outcome = Result<Response, Trouble>;

impl Several {
    /// Makes a visit, of which the request has its place, and perhaps another beside it.
    ///
    /// `request` was made for the first of the servers, `made` for the one that is visited.
    pub(super) async fn hedged(
        &self,
        hedge: &Hedge<'_>,
        request: &Request<'_>,
        made: &Request<'_>,
        place: Place<'_>,
        visit: &mut Visit<'_>,
        asked: &mut [bool],
    ) -> Outcome {
        let (index, pick) = (visit.index, visit.pick);
        let mut other = index;
        let first = async {
            let peer = &self.servers[index].peer;
            let outcome = visit.settled(peer.placed(made, hedge.limits, hedge.tally, pick, place).await);
            hedge.tally.settled(made, outcome, hedge.limits).await
        };
        let second = || {
            let visit = self.visit_beside(index, asked, hedge.limits.deadline)?;
            other = visit.index;
            let sent = self.beside(hedge, request, visit)?;
            asked[other] = true;
            Some(sent)
        };
        let (outcome, which) = hedge.race(first, second).await;
        hedge.tally.decided_at(if which == Which::First { index } else { other });
        outcome
    }

    /// A visit beside the one to the server at `index`: of the next that is not left alone, else of the same, on another
    /// connection.
    fn visit_beside(&self, index: usize, asked: &[bool], deadline: Instant) -> Option<Visit<'_>> {
        let again = || Some((index, self.servers[index].standing.enter(Instant::now())?));
        let (other, turn) = self.enter(asked).or_else(again)?;
        let pick = if other == index { Pick::Beside } else { Pick::Kept };
        Some(Visit {
            standing: &self.servers[other].standing,
            index: other,
            turn,
            pick,
            worked: None,
            rest: None,
            deadline,
        })
    }

    /// The request of such a visit, if it may be sent now.
    fn beside<'a>(
        &'a self,
        hedge: &'a Hedge<'_>,
        request: &'a Request<'_>,
        mut visit: Visit<'a>,
    ) -> Option<impl Future<Output = Outcome>> {
        let server = &self.servers[visit.index];
        let made = self.made_for(server, request).ok()?;
        let mut place = server.peer.admit_now(&made)?;
        Some(async move {
            hedge.pay(&made, &mut place).await?;
            server.sent.fetch_add(1, Ordering::Relaxed);
            let sent = server.peer.placed(&made, hedge.limits, hedge.tally, visit.pick, place);
            let outcome = visit.settled(sent.await);
            hedge.tally.settled(&made, outcome, hedge.limits).await
        })
    }
}
