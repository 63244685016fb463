//! Sending with repeats: as often as it is safe, of use, and within the limits.

use std::time::{Duration, Instant, SystemTime};

use super::grpc;
use super::peer::Peer;
use super::request::{Limits, Request, Response, Trouble};
use super::retry::{self, Backoff, is_retryable};
use super::tally::Tally;
use crate::failure::Problem;

/// Sends `request` until an answer comes that is not worth a retry, or the limits are reached.
///
/// A kept connection that dies before a byte of the answer is replaced once beyond the limit of retries, since servers end
/// idle ones at any time; and what a server refuses unread is sent again a few times beyond it. Both count as repeats, and
/// the budget has to allow them. No pause is begun that would end after the deadline. A request that is under way then is
/// for the caller to drop.
pub async fn send(peer: &Peer, request: &Request<'_>, limits: &Limits, tally: &Tally) -> Result<Response, Problem> {
    let (mut backoff, mut before, mut retries, mut replaced, mut refused) = (Backoff::default(), None, 0, false, 0);
    loop {
        let mut place = match peer.admit(request, limits, tally).await {
            Ok(place) => place,
            // What a repeat is refused for says less than what it was to repeat.
            Err(problem) => return before.unwrap_or(Err(problem)),
        };
        let attempt = tally.attempted();
        let outcome = peer.exchange(request, limits, tally, replaced).await;
        place.settle(&outcome);
        drop(place);
        let mut wait = Duration::ZERO;
        let in_time = |pause: &Duration| Instant::now() + *pause < limits.deadline;
        if matches!(&outcome, Err(Trouble::Stale(_))) && !replaced {
            replaced = true;
        } else if let Some(pause) = brief(&outcome, refused).filter(in_time) {
            (refused, wait) = (refused + 1, pause);
        } else {
            match pause(&outcome, &mut backoff).filter(in_time) {
                Some(pause) if retries < limits.retries => wait = pause,
                _ => return outcome.map_err(Problem::from),
            }
            retries += 1;
        }
        tally.retried(attempt, &outcome);
        before = Some(outcome.map_err(Problem::from));
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
fn pause(outcome: &Result<Response, Trouble>, backoff: &mut Backoff) -> Option<Duration> {
    match outcome {
        Ok(answer) if is_retryable(answer.status) => {
            Some(backoff.pause(retry::retry_after(&answer.headers, SystemTime::now())))
        }
        Ok(answer) if grpc::is_retryable(&answer.headers) => Some(backoff.pause(grpc::pushback(&answer.headers))),
        Err(Trouble::Unanswered(_) | Trouble::Stale(_) | Trouble::Refused(_)) => Some(backoff.pause(None)),
        _ => None,
    }
}
