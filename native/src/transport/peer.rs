//! The connections of one scope to one origin.

use std::ffi::OsString;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::attempt::Attempt;
use super::connect::connect;
use super::connection::{Connection, Http};
use super::io::BoxIo;
use super::message::Sender;
use super::names::{Names, OriginNames};
use super::pool::{Pick, Pool};
use super::proxy::{self, Proxy, Way};
use super::socket::Socket;
use super::{Limits, Request, Response, Tally, Trouble, tls};
use crate::endpoint::{Origin, Wire};
use crate::failure::{Code, Problem};
use crate::run::forks::PerProcess;
use crate::session::breaker::Breaker;
use crate::session::policy::Policy;

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
    /// Connections that wait for a request.
    pool: Pool,
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
            pool: Pool::default(),
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

    /// Sends `request` once, on the connection that is picked.
    ///
    /// One that dies under the request is for the caller to repeat, who counts and limits it: the server may have worked
    /// on it.
    pub(super) async fn exchange(
        &self,
        request: &Request<'_>,
        limits: &Limits,
        tally: &Tally,
        pick: Pick,
    ) -> Result<Response, Trouble> {
        let attempt = Attempt::begin(limits);
        let kept = if pick == Pick::Fresh { None } else { self.pool.take(pick).await };
        let is_kept = kept.is_some();
        let mut connection = match kept {
            Some(kept) => kept,
            None => self.open(attempt.connect_timeout(limits), pick).await?,
        };
        let outcome = attempt.within(self.exchange_on(&mut connection, request, limits, tally)).await;
        match outcome {
            // It may lead nowhere, or bring that answer to another request.
            Err(Trouble::Silent(_)) => {
                self.pool.forget(&connection);
                outcome
            }
            // A connection that lives on has refused this request alone.
            Err(Trouble::Unanswered(problem)) if is_kept && !connection.is_ready().await => {
                Err(Trouble::Stale(problem))
            }
            outcome => {
                self.pool.keep(connection);
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

    async fn open(&self, timeout: Duration, pick: Pick) -> Result<Connection, Trouble> {
        let connection = async {
            if !self.may_be_shared() {
                return self.open_unbounded(pick).await;
            }
            let opening = self.pool.opening(pick).lock().await;
            if let Some(opened) = self.pool.take(pick).await {
                return Ok(opened);
            }
            if !self.may_be_shared() {
                drop(opening); // whom this one waited for has learned that each needs one of its own
            }
            let opened = self.open_unbounded(pick).await;
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

    async fn open_unbounded(&self, pick: Pick) -> Result<Connection, Trouble> {
        let proxy = self.proxy.as_ref().map_err(|problem| Trouble::Final(problem.clone()))?;
        let check = |address: Option<IpAddr>| {
            let policies = [Some(&*self.policy), self.process.as_ref()];
            policies.into_iter().flatten().try_for_each(|policy| policy.check_reached(&self.origin, address))
        };
        let Some(proxy) = proxy else {
            return self.open_direct(|address| check(Some(address)), pick).await;
        };
        let way = Way { origin: &self.origin, names: &self.names, trust: &self.policy.trust };
        let stream = proxy.reach(way, self.sender.is_tunnelled(), check).await?;
        self.opened.fetch_add(1, Ordering::Relaxed);
        if !self.origin.tls {
            return self.begin(stream, self.wire == Wire::Grpc, pick).await;
        }
        let stream = tls::encrypt(stream, &self.origin, &self.policy.trust).await?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        self.begin(Box::new(stream), http2, pick).await
    }

    async fn open_direct(
        &self,
        check: impl Fn(IpAddr) -> Result<(), Problem>,
        pick: Pick,
    ) -> Result<Connection, Trouble> {
        let mut socket = Socket::new(connect(&self.names, &self.origin.host, self.origin.port, check).await?);
        self.opened.fetch_add(1, Ordering::Relaxed);
        if !self.origin.tls {
            let http2 = self.wire == Wire::Grpc;
            socket.share(http2);
            return self.begin(Box::new(socket), http2, pick).await;
        }
        let mut stream = tls::encrypt(socket, &self.origin, &self.policy.trust).await?;
        let (socket, session) = stream.get_mut();
        let http2 = session.alpn_protocol() == Some(b"h2");
        socket.share(http2);
        self.begin(Box::new(stream), http2, pick).await
    }

    async fn begin(&self, stream: BoxIo, http2: bool, pick: Pick) -> Result<Connection, Trouble> {
        if http2 {
            let connection = Connection::http2(stream, self.wire).await?;
            self.pool.share(&connection, pick);
            return Ok(connection);
        }
        if self.wire == Wire::Grpc {
            let message = format!("{} offers no HTTP/2, which gRPC needs", self.origin);
            return Err(Trouble::Final(Problem::new(Code::Connect, message)));
        }
        Ok(Connection::http1(stream))
    }
}
