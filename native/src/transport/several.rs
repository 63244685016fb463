//! Sending to one of several servers: a repeat goes to the next, and one that fails is left alone for a while.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::admission::worked;
use super::peer::Peer;
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
    sent: AtomicU64,
}

impl Several {
    /// Of these servers, of which requests are made for the first.
    pub fn new(servers: Vec<(Endpoint, Arc<Peer>, Arc<Standing>)>, order: Order) -> Self {
        let first = servers.first().map(|server| server.0.clone());
        let server = |(endpoint, peer, standing): (Endpoint, _, _)| {
            let is_alike = first.as_ref().is_some_and(|first| endpoint.is_alike(first));
            Server { endpoint, peer, standing, is_alike, sent: AtomicU64::new(0) }
        };
        Self { servers: servers.into_iter().map(server).collect(), order }
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

    /// Requests sent, by base URL.
    pub fn sent(&self) -> impl Iterator<Item = (&str, u64)> {
        self.servers.iter().map(|server| (server.endpoint.shown.as_str(), server.sent.load(Ordering::Relaxed)))
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
    pub async fn send(&self, request: &Request<'_>, limits: &Limits, tally: &Tally) -> Result<Response, Problem> {
        let (mut backoff, mut before, mut retries) = (Backoff::default(), None, 0);
        let mut asked = Asked(vec![false; self.servers.len()]);
        let (mut again, mut replaced) = (None, false);
        loop {
            let mut visit = again.take().map_or_else(|| self.visit(&mut asked), |index| self.visit_again(index));
            visit.deadline = limits.deadline;
            let (server, index) = (&self.servers[visit.index], visit.index);
            let request = self.made_for(server, request)?;
            let mut place = match server.peer.admit(&request, limits, tally).await {
                Ok(place) => place,
                Err(problem) if problem.code == Code::Breaker && !asked.is_all() => {
                    before.get_or_insert(Err(problem));
                    continue;
                }
                Err(problem) => return before.unwrap_or(Err(problem)),
            };
            let attempt = tally.attempted_at(index);
            server.sent.fetch_add(1, Ordering::Relaxed);
            let outcome = server.peer.exchange(&request, limits, tally, visit.fresh).await;
            place.settle(&outcome);
            drop(place);
            visit.settle(&outcome);
            let mut wait = Duration::ZERO;
            if matches!(&outcome, Err(Trouble::Stale(_))) && !replaced {
                (again, replaced) = (Some(index), true);
            } else {
                match next(&outcome, &mut backoff, asked.is_all()) {
                    Some(pause) if retries < limits.retries && pause < limits.left() => wait = pause,
                    _ => {
                        return outcome
                            .map(|answer| advised(answer, &server.peer, &request, limits))
                            .map_err(Problem::from);
                    }
                }
                retries += 1;
            }
            drop(visit);
            tally.retried_at(attempt, &outcome, &server.endpoint.shown);
            before = Some(outcome.map(|answer| advised(answer, &server.peer, &request, limits)).map_err(Problem::from));
            tokio::time::sleep(wait).await;
        }
    }

    /// The next server to be asked.
    fn visit(&self, asked: &mut Asked) -> Visit<'_> {
        if asked.is_all() {
            asked.0.fill(false);
        }
        let now = Instant::now();
        let open = |index: &usize| !asked.0[*index] && self.servers[*index].standing.is_open(now);
        let mut open: Vec<usize> = (0..self.servers.len()).filter(open).collect();
        if self.order == Order::Spread {
            self.draw(&mut open);
        }
        let entered = open.into_iter().find_map(|index| Some((index, self.servers[index].standing.enter(now)?)));
        let (index, turn) = entered.unwrap_or_else(|| {
            let left = (0..self.servers.len()).filter(|index| !asked.0[*index]);
            let index = left.min_by_key(|index| self.servers[*index].standing.until()).unwrap_or_default();
            (index, self.servers[index].standing.force())
        });
        asked.0[index] = true;
        Visit::new(&self.servers[index], index, turn)
    }

    fn visit_again(&self, index: usize) -> Visit<'_> {
        let server = &self.servers[index];
        Visit { fresh: true, ..Visit::new(server, index, server.standing.force()) }
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

/// Which servers were asked since all were.
struct Asked(Vec<bool>);

impl Asked {
    fn is_all(&self) -> bool {
        self.0.iter().all(|asked| *asked)
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
    /// Whether a new connection is made for it.
    fresh: bool,
    worked: Option<bool>,
    /// For how long the server wants no request.
    rest: Option<Duration>,
    deadline: Instant,
}

impl<'a> Visit<'a> {
    fn new(server: &'a Server, index: usize, turn: Turn) -> Self {
        let far = Instant::now() + Duration::from_secs(86_400);
        Self { standing: &server.standing, index, turn, fresh: false, worked: None, rest: None, deadline: far }
    }

    fn settle(&mut self, outcome: &Result<Response, Trouble>) {
        self.worked = worked(outcome);
        if let (Some(false), Ok(answer)) = (self.worked, outcome) {
            self.rest = grpc::pushback(&answer.headers).or_else(|| advice::asked(&answer.headers));
        }
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
