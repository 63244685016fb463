//! Sending to one of several servers: a repeat goes to the next, and one that fails is left alone for a while.

mod beside;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::admission::worked;
use super::hedging::Hedge;
use super::peer::Peer;
use super::pool::Pick;
use super::request::{Limits, Request, Response, Trouble};
use super::retry::Backoff;
use super::send::{advised, pause};
use super::tally::Tally;
use super::{advice, grpc};
use crate::endpoint::Endpoint;
use crate::failure::{Code, Problem};
use crate::session::endpoints::Order;
use crate::session::standing::{Standing, Turn};

/// The servers of one node.
pub struct Several {
    servers: Vec<Server>,
    order: Order,
}

/// One of them.
pub struct Server {
    /// Its base URL.
    pub endpoint: Endpoint,
    /// The connections to it.
    pub peer: Arc<Peer>,
    /// How it stands with all nodes of the session.
    standing: Arc<Standing>,
    /// Whether a request that was made for the first one has the same path here.
    is_alike: bool,
    /// Requests that the node sent to it.
    sent: Arc<AtomicU64>,
}

impl Server {
    /// The server at `endpoint`.
    pub fn new(endpoint: Endpoint, peer: Arc<Peer>, standing: Arc<Standing>, sent: Arc<AtomicU64>) -> Self {
        Self { endpoint, peer, standing, is_alike: false, sent }
    }
}

impl Several {
    /// Of these servers; requests are made for the first.
    pub fn new(mut servers: Vec<Server>, order: Order) -> Self {
        let first = servers.first().map(|server| server.endpoint.clone());
        for server in &mut servers {
            server.is_alike = first.as_ref().is_some_and(|first| server.endpoint.is_alike(first));
        }
        Self { servers, order }
    }

    /// The servers, in the order in which they are named.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The server that the last request of a call went to.
    pub fn last(&self, tally: &Tally) -> &Server {
        &self.servers[tally.server().min(self.servers.len() - 1)]
    }

    /// Connections opened to the servers, or where there is one alone to `only`.
    pub fn opened(several: Option<&Self>, only: &Peer) -> u64 {
        several.map_or_else(|| only.opened(), |several| several.servers.iter().map(|server| server.peer.opened()).sum())
    }

    /// `request`, which was made for the first server, as `server` has it.
    pub fn made_for<'a, 'b>(&self, server: &Server, request: &'a Request<'b>) -> Result<Cow<'a, Request<'b>>, Problem> {
        if server.is_alike {
            return Ok(Cow::Borrowed(request));
        }
        let path = server.endpoint.rebased(&self.servers[0].endpoint, &request.path);
        let path = path.ok_or_else(|| Problem::new(Code::Node, "the endpoint has no path that can be sent"))?;
        Ok(Cow::Owned(Request { path, ..request.clone() }))
    }

    /// Sends `request` until an answer comes that is not worth a retry, or the limits are reached; see [`super::send`].
    ///
    /// A repeat goes to a server that was not yet asked, at once, since no pause helps there. Once all were asked it waits
    /// as one for a single server does. A kept connection that dies is replaced by one to the same server.
    pub async fn send(
        &self,
        request: &Request<'_>,
        limits: &Limits,
        tally: &Tally,
        hedge: Option<&Hedge<'_>>,
    ) -> Result<Response, Problem> {
        let mut course = Course::new(self.servers.len());
        loop {
            let mut visit = self.visit(&mut course, limits.deadline);
            let server = &self.servers[visit.index];
            let made = self.made_for(server, request)?;
            let place = match server.peer.admit(&made, limits, tally).await {
                Ok(place) => place,
                Err(problem) if problem.code == Code::Breaker && !course.were_all_asked() => {
                    course.before.get_or_insert(Err(problem));
                    continue;
                }
                Err(problem) => return course.refused(problem, tally),
            };
            let attempt = tally.attempted_at(visit.index);
            server.sent.fetch_add(1, Ordering::Relaxed);
            let outcome = match hedge {
                None => {
                    let outcome = visit.settled(server.peer.placed(&made, limits, tally, visit.pick, place).await);
                    tally.settled(&made, outcome, limits).await
                }
                Some(hedge) => {
                    let both = self.hedged(hedge, request, &made, place, &mut visit, &mut course.asked);
                    Box::pin(both).await
                }
            };
            let wait = course.repeat(&outcome, visit.index, limits);
            drop(visit);
            if wait.is_some() {
                tally.retried_at(attempt, &outcome, &server.endpoint.shown);
            }
            let told = outcome.map(|answer| advised(answer, &server.peer, &made, limits)).map_err(Problem::from);
            let Some(wait) = wait else {
                tally.ended(attempt);
                return told;
            };
            (course.before, course.told) = (Some(told), true);
            tokio::time::sleep(wait).await;
        }
    }

    /// The next request: to the same server again, or to another.
    fn visit(&self, course: &mut Course, deadline: Instant) -> Visit<'_> {
        let again = course.again.take();
        let (index, turn) = match again {
            Some(index) => (index, self.servers[index].standing.force()),
            None => self.choose(&mut course.asked),
        };
        let standing = &self.servers[index].standing;
        let pick = if again.is_some() { Pick::Fresh } else { Pick::Kept };
        Visit { standing, index, turn, pick, worked: None, rest: None, deadline }
    }

    /// The next server to be asked: one that was not yet asked and is not left alone, else the one that may be asked soonest.
    fn choose(&self, asked: &mut [bool]) -> (usize, Turn) {
        if asked.iter().all(|asked| *asked) {
            asked.fill(false);
        }
        let (index, turn) = self.enter(asked).unwrap_or_else(|| {
            let left = (0..self.servers.len()).filter(|index| !asked[*index]);
            let index = left.min_by_key(|index| self.servers[*index].standing.until()).unwrap_or_default();
            (index, self.servers[index].standing.force())
        });
        asked[index] = true;
        (index, turn)
    }

    /// The next server that was not yet asked, if there is one that is not left alone.
    fn enter(&self, asked: &[bool]) -> Option<(usize, Turn)> {
        let now = Instant::now();
        let is_open = |index: &usize| !asked[*index] && self.servers[*index].standing.is_open(now);
        let mut open: Vec<usize> = (0..self.servers.len()).filter(is_open).collect();
        if self.order == Order::Spread {
            self.draw(&mut open);
        }
        open.into_iter().find_map(|index| Some((index, self.servers[index].standing.enter(now)?)))
    }

    /// Puts them in any order, of the first two the one before that has fewer requests under way.
    fn draw(&self, open: &mut [usize]) {
        fastrand::shuffle(open);
        if let [first, second, ..] = open {
            let under_way = |index: &usize| self.servers[*index].standing.under_way();
            if under_way(second) < under_way(first) {
                std::mem::swap(first, second);
            }
        }
    }
}

/// A call on its way from one server to the next.
struct Course {
    /// Which servers were asked since all were.
    asked: Vec<bool>,
    /// The server that is asked once more, on a new connection.
    again: Option<usize>,
    /// Whether that was done.
    replaced: bool,
    /// What the last attempt brought.
    before: Option<Result<Response, Problem>>,
    /// Whether that is the failure of an attempt, which was told.
    told: bool,
    retries: u32,
    backoff: Backoff,
}

impl Course {
    fn new(servers: usize) -> Self {
        let (asked, backoff) = (vec![false; servers], Backoff::default());
        Self { asked, again: None, replaced: false, before: None, told: false, retries: 0, backoff }
    }

    fn were_all_asked(&self) -> bool {
        self.asked.iter().all(|asked| *asked)
    }

    /// Ends with the last attempt's outcome, if there was one: what a repeat is refused for says less than that.
    fn refused(self, problem: Problem, tally: &Tally) -> Result<Response, Problem> {
        if self.told {
            tally.ended_before();
        }
        self.before.unwrap_or(Err(problem))
    }

    /// How long to wait before the request is sent again after this outcome at a server; `None` where it is not.
    fn repeat(&mut self, outcome: &Result<Response, Trouble>, server: usize, limits: &Limits) -> Option<Duration> {
        if matches!(outcome, Err(Trouble::Stale(_))) && !self.replaced {
            (self.again, self.replaced) = (Some(server), true);
            return Some(Duration::ZERO);
        }
        let all = self.were_all_asked();
        let pause = next(outcome, &mut self.backoff, all)?;
        let allowed = self.retries < limits.retries && pause < limits.left();
        self.retries += 1;
        allowed.then_some(pause)
    }
}

/// How long to wait before another server is asked, or with `all` one that was; `None` where no repeat is safe, or of use.
fn next(outcome: &Result<Response, Trouble>, backoff: &mut Backoff, all: bool) -> Option<Duration> {
    match outcome {
        // Nothing was sent to a server that has no address, or a certificate that nobody trusts.
        Err(Trouble::Final(problem)) if problem.code == Code::Connect && !all => Some(Duration::ZERO),
        _ if all => pause(outcome, backoff),
        _ => pause(outcome, &mut Backoff::default()).map(|_| Duration::ZERO),
    }
}

/// One request to a server, which its standing learns of however it ends.
struct Visit<'a> {
    standing: &'a Standing,
    index: usize,
    turn: Turn,
    pick: Pick,
    worked: Option<bool>,
    /// For how long the server wants no request.
    rest: Option<Duration>,
    deadline: Instant,
}

impl Visit<'_> {
    /// Takes note of what became of the request.
    fn settled(&mut self, outcome: Result<Response, Trouble>) -> Result<Response, Trouble> {
        self.worked = worked(&outcome);
        if let (Some(false), Ok(answer)) = (self.worked, &outcome) {
            self.rest = grpc::pushback(&answer.headers).or_else(|| advice::asked(&answer.headers));
        }
        outcome
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        // No answer by the deadline is a failure; a call that was given up before says nothing.
        let worked = self.worked.or_else(|| (now >= self.deadline).then_some(false));
        self.standing.leave(self.turn, worked, self.rest, now);
    }
}
