//! Sending with repeats: as often as it is safe, of use, and within the limits.

use std::time::Duration;

use super::hedging::Hedge;
use super::peer::Peer;
use super::pool::Pick;
use super::request::{Limits, Request, Response, Trouble};
use super::retry::{self, Backoff, is_retryable};
use super::tally::Tally;
use super::{advice, grpc};
use crate::failure::Problem;

/// Sends `request` until an answer comes that is not worth a retry, or the limits are reached.
///
/// A kept connection that dies before a byte of the answer is replaced once beyond the limit of retries, since servers end
/// idle ones at any time; and what a server refuses unread is sent again a few times beyond it. Both count as repeats, and
/// the budget has to allow them. No pause is begun that would end after the deadline. A request that is under way then is
/// for the caller to drop. With `hedge` each attempt may be two requests.
pub async fn send(
    peer: &Peer,
    request: &Request<'_>,
    limits: &Limits,
    tally: &Tally,
    hedge: Option<&Hedge<'_>>,
) -> Result<Response, Problem> {
    let (mut backoff, mut before, mut retries) = (Backoff::default(), None, 0);
    let (mut replaced, mut refused, mut pick) = (false, 0, Pick::Kept);
    loop {
        let place = match peer.admit(request, limits, tally).await {
            Ok(place) => place,
            // What a repeat is refused for says less than what it was to repeat.
            Err(problem) => return before.inspect(|_| tally.ended_before()).unwrap_or(Err(problem)),
        };
        let attempt = tally.attempted();
        let outcome = match hedge {
            None => tally.settled(request, peer.placed(request, limits, tally, pick, place).await, limits).await,
            // Apart from the future of an attempt that is one request, which would be the larger for it.
            Some(hedge) => Box::pin(peer.hedged(hedge, request, pick, place)).await,
        };
        let mut wait = Duration::ZERO;
        let in_time = |pause: &Duration| *pause < limits.left();
        if matches!(&outcome, Err(Trouble::Stale(_) | Trouble::Silent(_))) {
            pick = Pick::Fresh;
        }
        if matches!(&outcome, Err(Trouble::Stale(_))) && !replaced {
            replaced = true;
        } else if let Some(pause) = brief(&outcome, refused).filter(in_time) {
            (refused, wait) = (refused + 1, pause);
        } else {
            match pause(&outcome, &mut backoff).filter(in_time) {
                Some(pause) if retries < limits.retries => wait = pause,
                _ => {
                    tally.ended(attempt);
                    return outcome.map(|answer| advised(answer, peer, request, limits)).map_err(Problem::from);
                }
            }
            retries += 1;
        }
        tally.retried(attempt, &outcome);
        before = Some(outcome.map(|answer| advised(answer, peer, request, limits)).map_err(Problem::from));
        tokio::time::sleep(wait).await;
    }
}

/// How often a request that a server refuses unread is sent again beyond the limit of retries. Servers on gRPC's C core do
/// so within their own limit, too: an answer that is read whole still counts there for a moment.
const REFUSALS: u32 = 8;

/// How long to wait after a refusal, and so many before it: anywhere below a bound that begins with a millisecond and
/// doubles. `None` after other outcomes, and where there were enough.
fn brief(outcome: &Result<Response, Trouble>, refused: u32) -> Option<Duration> {
    let again = matches!(outcome, Err(Trouble::Refused(_))) && refused < REFUSALS;
    again.then(|| Duration::from_millis(1 << refused).mul_f64(fastrand::f64()))
}

/// How long to wait before the request is sent again; `None` where that is not safe, or of no use.
pub(super) fn pause(outcome: &Result<Response, Trouble>, backoff: &mut Backoff) -> Option<Duration> {
    match outcome {
        Ok(answer) if retry::is_unwanted(&answer.headers) => None,
        Ok(answer) if is_retryable(answer.status) => Some(backoff.after_answer(advice::asked(&answer.headers))),
        // A server of gRPC that says when means it, also where it says "at once".
        Ok(answer) if grpc::is_retryable(&answer.headers) => {
            Some(grpc::pushback(&answer.headers).unwrap_or_else(|| backoff.after_answer(None)))
        }
        Err(Trouble::Unanswered(_) | Trouble::Stale(_) | Trouble::Silent(_) | Trouble::Refused(_)) => {
            Some(backoff.without_answer())
        }
        _ => None,
    }
}

/// The answer with what it says of the next request, if it is no success.
pub(super) fn advised(answer: Response, peer: &Peer, request: &Request<'_>, limits: &Limits) -> Response {
    if answer.status.as_u16() == 200 && !grpc::is_retryable(&answer.headers) {
        return answer;
    }
    let left = limits.left();
    let advice =
        advice::of_wait(&answer, left) + &advice::of_redirect(&answer, peer.origin(), peer.wire(), &request.path);
    Response { advice, ..answer }
}
