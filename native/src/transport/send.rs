//! Sending with repeats: as often as it is safe, of use, and within the limits.

use std::time::{Instant, SystemTime};

use super::grpc;
use super::peer::Peer;
use super::request::{Limits, Request, Response, Trouble};
use super::retry::{self, Backoff, is_retryable};
use super::tally::Tally;
use crate::failure::Problem;

/// Sends `request` until an answer comes that is not worth a retry, or the limits are reached.
///
/// It begins no pause that would end after the deadline. A request that is under way then is for the caller to drop.
pub async fn send(peer: &Peer, request: &Request<'_>, limits: &Limits, tally: &Tally) -> Result<Response, Problem> {
    let (mut backoff, mut before, mut retries) = (Backoff::default(), None, 0);
    loop {
        let mut place = match peer.admit(request, limits, tally).await {
            Ok(place) => place,
            // What a repeat is refused for says less than what it was to repeat.
            Err(problem) => return before.unwrap_or(Err(problem)),
        };
        let attempt = tally.attempted();
        let outcome = peer.exchange(request, limits, tally).await;
        place.settle(&outcome);
        drop(place);
        let pause = match &outcome {
            Ok(answer) if is_retryable(answer.status) => {
                backoff.pause(retry::retry_after(&answer.headers, SystemTime::now()))
            }
            Ok(answer) if grpc::is_retryable(&answer.headers) => backoff.pause(grpc::pushback(&answer.headers)),
            Err(Trouble::Unanswered(_)) => backoff.pause(None),
            _ => return outcome.map_err(Problem::from),
        };
        if retries >= limits.retries || Instant::now() + pause >= limits.deadline {
            return outcome.map_err(Problem::from);
        }
        tally.retried(attempt, &outcome);
        before = Some(outcome.map_err(Problem::from));
        tokio::time::sleep(pause).await;
        retries += 1;
    }
}
