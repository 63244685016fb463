//! The connections of one scope to one origin.

use std::ffi::OsString;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::attempt::Attempt;
use super::connect::connect;
use super::connection::{Connection, Http};
use super::io::BoxIo;
use super::message::Sender;
use super::names::{Names, OriginNames};
use super::proxy::{self, Proxy, Way};
use super::socket::Socket;
use super::{Limits, Request, Response, Tally, Trouble, tls};
use crate::endpoint::{Origin, Wire};
use crate::failure::{Code, Problem};
use crate::guard::lock;
use crate::run::forks::PerProcess;
use crate::session::breaker::Breaker;
use crate::session::policy::Policy;

/// How long an unused connection is kept.
const KEEP: Duration = Duration::from_secs(90);

/// An origin, as one scope sees it.
pub struct Peer {
    origin: Origin,
    wire: Wire,
    sender: Sender,
    policy: Arc<Policy>,
    /// The process's own policy; both must allow.
    process: Option<Policy>,
    /// The policy's answer, the same for every call.
    refusal: Option<Problem>,
    proxy: Result<Option<Proxy>, Problem>,
    names: OriginNames,
    pub(super) permits: Option<PerProcess<Semaphore>>,
    pub(super) breaker: Option<Breaker>,
    /// Connections that wait for a request, the last used at the end.
    idle: PerProcess<Mutex<Vec<Connection>>>,
    /// Held while a connection is made that all callers are going to share.
    opening: PerProcess<tokio::sync::Mutex<()>>,
    /// Whether the last connection that was tried turned out to carry one request at a time, or failed.
    single: AtomicBool,
    opened: AtomicU64,
}

/// What the environment says of requests to an origin: whether they may go, and through which proxy. A peer keeps to
/// what was said when it was made.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct Environment {
    allow: Option<OsString>,
    proxy: Option<String>,
}

impl Environment {
    /// What it says of `origin` now.
    pub fn of(origin: &Origin) -> Self {
        Self { allow: Policy::text_of_process(), proxy: proxy::named_for(origin).map(|(_, text)| text) }
    }
}

impl Peer {
    /// The peer at `origin`; nothing is connected before the first exchange.
    pub fn new(origin: Origin, wire: Wire, policy: Arc<Policy>, names: Arc<Names>) -> Result<Self, Problem> {
        let proxy = Proxy::from_environment(&origin);
        let sender = Sender::new(&origin, wire, proxy.as_ref().ok().and_then(Option::as_ref))?;
        let process = Policy::of_process()?;
        let refused = |policy: &Policy| policy.check_origin(&origin).err();
        Ok(Self {
            sender,
            refusal: refused(&policy).or_else(|| process.as_ref().and_then(refused)),
            proxy,
            names: OriginNames::new(names),
            permits: policy.max_concurrency.map(|most| PerProcess::new(move || Semaphore::new(most))),
            breaker: policy.breaker.map(Breaker::new),
            idle: PerProcess::default(),
            opening: PerProcess::default(),
            single: AtomicBool::new(false),
            opened: AtomicU64::new(0),
            policy,
            process,
            origin,
            wire,
        })
    }

    /// Where the peer is.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What is spoken there.
    pub(super) fn wire(&self) -> Wire {
        self.wire
    }

    /// Refuses a request that is larger than a strict policy allows.
    pub(super) fn check_size(&self, bytes: u64) -> Result<(), Problem> {
        match self.policy.strict.map(|strict| strict.max_request_bytes) {
            Some(most) if bytes > most => {
                let message = format!("the request has {bytes} bytes, more than the {most} that the policy allows");
                Err(Problem::new(Code::Ceiling, message))
            }
            _ => Ok(()),
        }
    }

    /// Whether the session's policy, or the process's, names the origin in clear, so that a token may go there.
    pub fn allows_in_clear(&self) -> bool {
        [Some(&*self.policy), self.process.as_ref()].into_iter().flatten().any(|own| own.allows_in_clear(&self.origin))
    }

    /// Connections opened so far.
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Refuses what the policy refuses by name, before anything else is done.
    pub fn check(&self) -> Result<(), Problem> {
        self.refusal.clone().map_or(Ok(()), Err)
    }

    /// Sends `request` once: on a kept connection if there is one that seems to be good, or with `fresh` on a new one.
    ///
    /// One that dies under the request is for the caller to repeat, who counts and limits it: the server may have worked
    /// on it.
    pub(super) async fn exchange(
        &self,
        request: &Request<'_>,
        limits: &Limits,
        tally: &Tally,
        fresh: bool,
    ) -> Result<Response, Trouble> {
        let attempt = Attempt::begin(limits);
        let kept = if fresh { None } else { self.take().await };
        let is_kept = kept.is_some();
        let mut connection = match kept {
            Some(kept) => kept,
            None => self.open(attempt.connect_timeout(limits)).await?,
        };
        let outcome = attempt.within(self.exchange_on(&mut connection, request, limits, tally)).await;
        match outcome {
            // It may lead nowhere, or bring that answer to another request.
            Err(Trouble::Silent(_)) => {
                lock(&self.idle).retain(|kept| !kept.is_same(&connection));
                outcome
            }
            // A connection that lives on has refused this request alone.
            Err(Trouble::Unanswered(problem)) if is_kept && !connection.is_ready().await => {
                Err(Trouble::Stale(problem))
            }
            outcome => {
                self.keep(connection);
                outcome
            }
        }
    }

    async fn exchange_on(
        &self,
        connection: &mut Connection,
        request: &Request<'_>,
        limits: &Limits,
        tally: &Tally,
    ) -> Result<Response, Trouble> {
        tally.sent(&request.body);
        match &mut connection.http {
            Http::One(http) => {
                let head = self.sender.head(request, &tally.watch);
                http.exchange(&head, &request.body, limits, tally).await
            }
            Http::Two(http) => http.exchange(self.sender.message(request, limits, &tally.watch), limits, tally).await,
        }
    }

    /// A kept connection that is still good.
    async fn take(&self) -> Option<Connection> {
        loop {
            let mut connection = self.pop()?;
            if connection.is_ready().await {
                return Some(connection);
            }
            lock(&self.idle).retain(|kept| !kept.is_same(&connection));
        }
    }

    /// The connection used last; one that others may use at the same time stays where it is.
    fn pop(&self) -> Option<Connection> {
        let mut idle = lock(&self.idle);
        let last = idle.pop()?;
        if last.idle_since.elapsed() > KEEP {
            idle.clear();
            return None;
        }
        idle.extend(last.share());
        Some(last)
    }

    fn keep(&self, mut connection: Connection) {
        if !connection.is_returned() {
            return;
        }
        connection.idle_since = Instant::now();
        let mut idle = lock(&self.idle);
        let stale = idle.iter().take_while(|kept| kept.idle_since.elapsed() > KEEP).count();
        idle.drain(..stale);
        idle.push(connection);
    }

    async fn open(&self, timeout: Duration) -> Result<Connection, Trouble> {
        let connection = async {
            if !self.may_be_shared() {
                return self.open_unbounded().await;
            }
            let opening = self.opening.lock().await;
            if let Some(opened) = self.take().await {
                return Ok(opened);
            }
            if !self.may_be_shared() {
                drop(opening); // whom this one waited for has learned that each needs one of its own
            }
            let opened = self.open_unbounded().await;
            self.single.store(opened.as_ref().map_or(true, |opened| !opened.is_http2()), Ordering::Relaxed);
            opened
        };
        match tokio::time::timeout(timeout, connection).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let message = format!("no connection to {} within {} ms", self.origin, timeout.as_millis());
                Err(Trouble::Unanswered(Problem::new(Code::Connect, message)))
            }
        }
    }

    /// Whether a connection is worth waiting for while another caller makes it: the server may offer HTTP/2.
    fn may_be_shared(&self) -> bool {
        self.wire == Wire::Grpc || (self.origin.tls && !self.single.load(Ordering::Relaxed))
    }

    async fn open_unbounded(&self) -> Result<Connection, Trouble> {
        let proxy = self.proxy.as_ref().map_err(|problem| Trouble::Final(problem.clone()))?;
        let check = |address: Option<IpAddr>| {
            let policies = [Some(&*self.policy), self.process.as_ref()];
            policies.into_iter().flatten().try_for_each(|policy| policy.check_reached(&self.origin, address))
        };
        let Some(proxy) = proxy else {
            return self.open_direct(|address| check(Some(address))).await;
        };
        let way = Way { origin: &self.origin, names: &self.names, trust: &self.policy.trust };
        let stream = proxy.reach(way, self.sender.is_tunnelled(), check).await?;
        self.opened.fetch_add(1, Ordering::Relaxed);
        if !self.origin.tls {
            return self.begin(stream, self.wire == Wire::Grpc).await;
        }
        let stream = tls::encrypt(stream, &self.origin, &self.policy.trust).await?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        self.begin(Box::new(stream), http2).await
    }

    async fn open_direct(&self, check: impl Fn(IpAddr) -> Result<(), Problem>) -> Result<Connection, Trouble> {
        let mut socket = Socket::new(connect(&self.names, &self.origin.host, self.origin.port, check).await?);
        self.opened.fetch_add(1, Ordering::Relaxed);
        if !self.origin.tls {
            let http2 = self.wire == Wire::Grpc;
            socket.share(http2);
            return self.begin(Box::new(socket), http2).await;
        }
        let mut stream = tls::encrypt(socket, &self.origin, &self.policy.trust).await?;
        let (socket, session) = stream.get_mut();
        let http2 = session.alpn_protocol() == Some(b"h2");
        socket.share(http2);
        self.begin(Box::new(stream), http2).await
    }

    async fn begin(&self, stream: BoxIo, http2: bool) -> Result<Connection, Trouble> {
        if http2 {
            let connection = Connection::http2(stream, self.wire).await?;
            lock(&self.idle).extend(connection.share());
            return Ok(connection);
        }
        if self.wire == Wire::Grpc {
            let message = format!("{} offers no HTTP/2, which gRPC needs", self.origin);
            return Err(Trouble::Final(Problem::new(Code::Connect, message)));
        }
        Ok(Connection::http1(stream))
    }
}
