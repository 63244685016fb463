//! Admission of a request to an origin: it waits for a free place, then has to pass the breaker and the budget.

use std::time::Instant;

use tokio::sync::SemaphorePermit;

use super::pool::Pick;
use super::{Limits, Peer, Request, Response, Tally, Trouble, grpc};
use crate::failure::{Code, Problem};
use crate::session::breaker::{Breaker, Pass};

/// The place of a request among those under way; free again when it is dropped.
pub(super) struct Place<'a> {
    passed: Option<(&'a Breaker, Pass)>,
    /// Whether the origin works, as far as it was seen.
    worked: Option<bool>,
    /// When it has failed; `None` as long as it may not be sent.
    deadline: Option<Instant>,
    _permit: Option<SemaphorePermit<'a>>,
}

impl Place<'_> {
    /// Pays for the request, which may be sent then.
    pub(super) async fn pay(&mut self, request: &Request<'_>, limits: &Limits, tally: &Tally) -> Result<(), Problem> {
        if let Some(waiting) = tally.account.spend(&request.body, limits.deadline)? {
            waiting.await?;
        }
        self.deadline = Some(limits.deadline);
        Ok(())
    }

    /// Takes note of what became of the request.
    fn settled(&mut self, outcome: Result<Response, Trouble>) -> Result<Response, Trouble> {
        self.worked = worked(&outcome);
        outcome
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some((breaker, pass)) = self.passed {
            let now = Instant::now();
            // No answer by the deadline is a failure; a call that was given up before says nothing.
            let worked = self.worked.or_else(|| self.deadline.is_some_and(|deadline| now >= deadline).then_some(false));
            breaker.leave(pass, worked, now);
        }
    }
}

impl Peer {
    /// Waits for a free place, and refuses what breaker or budget do not let through.
    pub(super) async fn admit(
        &self,
        request: &Request<'_>,
        limits: &Limits,
        tally: &Tally,
    ) -> Result<Place<'_>, Problem> {
        self.check_size(request.body.len() as u64)?;
        let permit = match &self.permits {
            Some(permits) => permits.acquire().await.ok(),
            None => None,
        };
        let mut place = self.entered(permit)?;
        place.pay(request, limits, tally).await?;
        Ok(place)
    }

    /// A place that is not worth a wait, for a request that is not paid yet; `None` where none is free, or the breaker lets
    /// nothing through.
    pub(super) fn admit_now(&self, request: &Request<'_>) -> Option<Place<'_>> {
        self.check_size(request.body.len() as u64).ok()?;
        let permit = match &self.permits {
            Some(permits) => Some(permits.try_acquire().ok()?),
            None => None,
        };
        self.entered(permit).ok()
    }

    fn entered<'a>(&'a self, permit: Option<SemaphorePermit<'a>>) -> Result<Place<'a>, Problem> {
        let passed = match &self.breaker {
            Some(breaker) => Some((breaker, breaker.enter(Instant::now()).ok_or_else(|| self.open_circuit())?)),
            None => None,
        };
        Ok(Place { passed, worked: None, deadline: None, _permit: permit })
    }

    /// Sends a request that has its place, which is free again then.
    pub(super) async fn placed(
        &self,
        request: &Request<'_>,
        limits: &Limits,
        tally: &Tally,
        pick: Pick,
        mut place: Place<'_>,
    ) -> Result<Response, Trouble> {
        place.settled(self.exchange(request, limits, tally, pick).await)
    }

    fn open_circuit(&self) -> Problem {
        let message = format!("the circuit breaker of {} is open after failures in a row", self.origin());
        Problem::new(Code::Breaker, message)
    }
}

/// Whether an outcome says that the origin works; `None` where it says nothing of the origin.
pub(super) fn worked(outcome: &Result<Response, Trouble>) -> Option<bool> {
    match outcome {
        Ok(answer) if grpc::is_retryable(&answer.headers) => Some(false),
        Ok(answer) => Some(answer.status.as_u16() < 500 && !matches!(answer.status.as_u16(), 408 | 429)),
        Err(Trouble::Unanswered(_) | Trouble::Silent(_)) => Some(false),
        Err(Trouble::Stale(_) | Trouble::Refused(_)) => None,
        Err(Trouble::Final(problem)) => match problem.code {
            Code::Policy | Code::Trust => None,
            Code::TooLarge => Some(true),
            _ => Some(false),
        },
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn the_clients_own_mistakes_do_not_speak_against_an_origin() {
        let answered = |status| {
            let status = StatusCode::from_u16(status).unwrap();
            worked(&Ok(Response { status, ..Response::default() }))
        };
        let failed = |code| worked(&Err(Trouble::Final(Problem::new(code, ""))));
        assert!([200, 302, 400, 401, 404].into_iter().all(|status| answered(status) == Some(true)));
        assert!([408, 429, 500, 502, 503, 504].into_iter().all(|status| answered(status) == Some(false)));
        assert_eq!((failed(Code::Policy), failed(Code::TooLarge)), (None, Some(true)));
        assert_eq!((failed(Code::Connect), failed(Code::CutShort)), (Some(false), Some(false)));
    }
}
