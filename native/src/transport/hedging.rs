//! A second request beside one that takes long: the first answer that counts wins, and the other request is given up.
//!
//! What is given up is dropped, and with it goes its connection (HTTP/1.1) or its stream, which is reset (HTTP/2). It is
//! never repeated, nor is a second request that fails: repeats are those of the first one, once both have failed.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Instant;

use super::admission::Place;
use super::peer::Peer;
use super::pool::Pick;
use super::request::{Limits, Request, Response, Trouble};
use super::tally::Tally;
use crate::session::hedging::Hedging;

type Outcome = Result<Response, Trouble>;

/// Whether an answer is a success, and whether one of two is one that a call can use, which takes the time to read it.
pub type Counts<'a> = &'a (dyn Fn(&Response) -> bool + Sync);

/// How one request is hedged, its repeats included.
pub struct Hedge<'a> {
    hedging: &'a Hedging,
    counts: Counts<'a>,
    wins: Counts<'a>,
    is_counted: AtomicBool,
    pub(super) limits: &'a Limits,
    pub(super) tally: &'a Tally,
}

/// Which of two requests an outcome is of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Which {
    First,
    Second,
}

impl<'a> Hedge<'a> {
    /// Of a request that is going to be sent; an answer is a success where it `counts`, and that of the call if it `wins`.
    pub fn new(
        hedging: &'a Hedging,
        (counts, wins): (Counts<'a>, Counts<'a>),
        limits: &'a Limits,
        tally: &'a Tally,
    ) -> Self {
        Self { hedging, counts, wins, is_counted: AtomicBool::new(false), limits, tally }
    }

    /// The outcome of `first`, or of what `second` sends where that takes long; `None` of it is that nothing is sent.
    ///
    /// A failure is an outcome only once the other request has failed, too, and then it is that of the first.
    pub(super) async fn race<S: Future<Output = Outcome>>(
        &self,
        first: impl Future<Output = Outcome>,
        second: impl FnOnce() -> Option<S>,
    ) -> (Outcome, Which) {
        if !self.is_counted.swap(true, Ordering::Relaxed) {
            self.hedging.count(); // only now, since one that is refused allows of no other
        }
        let started = Instant::now();
        let mut first = pin!(first);
        let alone = match self.patience(first.as_mut()).await {
            Some(outcome) => outcome,
            None => match self.sent(second) {
                Some(second) => return self.sooner(first, pin!(second), started).await,
                None => first.await,
            },
        };
        if alone.as_ref().is_ok_and(self.counts) {
            self.hedging.took(started.elapsed());
        }
        (alone, Which::First)
    }

    /// What `first` brings before it takes long.
    async fn patience(&self, first: Pin<&mut impl Future<Output = Outcome>>) -> Option<Outcome> {
        match self.hedging.delay() {
            Some(delay) => tokio::time::timeout(delay, first).await.ok(),
            None => Some(first.await),
        }
    }

    /// What `second` sends, if one more request may be.
    fn sent<S>(&self, second: impl FnOnce() -> Option<S>) -> Option<S> {
        if !self.hedging.take() {
            return None;
        }
        let sent = second();
        if sent.is_none() {
            self.hedging.give_back();
        }
        sent
    }

    /// The first answer of the two, else the failure of the first request, which was `started` then.
    async fn sooner(
        &self,
        mut first: Pin<&mut impl Future<Output = Outcome>>,
        mut second: Pin<&mut impl Future<Output = Outcome>>,
        started: Instant,
    ) -> (Outcome, Which) {
        let (mut failure, mut has_failed) = (None, false);
        poll_fn(|context| {
            if failure.is_none()
                && let Poll::Ready(outcome) = first.as_mut().poll(context)
            {
                if self.is_answer(&outcome) {
                    self.hedging.took(started.elapsed());
                    return Poll::Ready((outcome, Which::First));
                }
                failure = Some(outcome);
            }
            if !has_failed && let Poll::Ready(outcome) = second.as_mut().poll(context) {
                if self.is_answer(&outcome) {
                    // The first is given up: it would have taken at least as long. If it has failed, nothing is known.
                    failure.is_none().then(|| self.hedging.took(started.elapsed()));
                    return Poll::Ready((outcome, Which::Second));
                }
                has_failed = true;
            }
            match failure.take_if(|_| has_failed) {
                Some(outcome) => Poll::Ready((outcome, Which::First)),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Pays for a second request that has its place, and counts it.
    pub(super) async fn pay(&self, request: &Request<'_>, place: &mut Place<'_>) -> Result<(), Trouble> {
        if let Err(problem) = place.pay(request, self.limits, self.tally).await {
            self.hedging.give_back();
            return Err(Trouble::Final(problem));
        }
        self.tally.hedged();
        Ok(())
    }

    fn is_answer(&self, outcome: &Outcome) -> bool {
        outcome.as_ref().is_ok_and(self.wins)
    }
}

impl Peer {
    /// Sends a request that has its place, and perhaps a second one.
    pub(super) async fn hedged(
        &self,
        hedge: &Hedge<'_>,
        request: &Request<'_>,
        pick: Pick,
        place: Place<'_>,
    ) -> Outcome {
        let send = async |pick, place| {
            let outcome = self.placed(request, hedge.limits, hedge.tally, pick, place).await;
            hedge.tally.settled(request, outcome, hedge.limits).await
        };
        let first = send(pick, place);
        let second = || {
            let mut place = self.admit_now(request)?;
            Some(async move {
                hedge.pay(request, &mut place).await?;
                send(Pick::Beside, place).await
            })
        };
        hedge.race(first, second).await.0
    }
}
