//! The connections of one scope to one origin.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, PROXY_AUTHORIZATION, USER_AGENT};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderValue, Uri};
use tokio::sync::Semaphore;

use super::connect::connect;
use super::connection::{BoxIo, Connection};
use super::proxy::Proxy;
use super::{Limits, Request, Response, Tally, Trouble, grpc, tls};
use crate::breaker::Breaker;
use crate::endpoint::{Origin, Wire};
use crate::failure::{Code, Problem};
use crate::guard::lock;
use crate::policy::Policy;
use crate::process::PerProcess;

const AGENT: &str = concat!("onnxhybrid/", env!("CARGO_PKG_VERSION"));

/// How long an unused connection is kept.
const KEEP: Duration = Duration::from_secs(90);

/// An origin, as one scope sees it.
pub struct Peer {
    origin: Origin,
    wire: Wire,
    authority: Authority,
    host: HeaderValue,
    policy: Arc<Policy>,
    /// The process's own policy; both must allow.
    process: Option<Policy>,
    /// The policy's answer, the same for every call.
    refusal: Option<Problem>,
    proxy: Result<Option<Proxy>, Problem>,
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

impl Peer {
    /// The peer at `origin`; nothing is connected before the first exchange.
    pub fn new(origin: Origin, wire: Wire, policy: Arc<Policy>) -> Result<Self, Problem> {
        let unusable = |_| Problem::new(Code::Node, format!("\"{}\" is no host", origin.host));
        let authority = Authority::try_from(origin.authority()).map_err(unusable)?;
        let host = HeaderValue::try_from(origin.authority())
            .map_err(|_| Problem::new(Code::Node, format!("\"{}\" is no host", origin.host)))?;
        let process = Policy::of_process()?;
        let refused = |policy: &Policy| policy.check_origin(&origin).err();
        Ok(Self {
            authority,
            host,
            refusal: refused(&policy).or_else(|| process.as_ref().and_then(refused)),
            proxy: Proxy::from_environment(&origin),
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

    /// Connections opened so far.
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Refuses what the policy refuses by name, before anything else is done.
    pub fn check(&self) -> Result<(), Problem> {
        self.refusal.clone().map_or(Ok(()), Err)
    }

    /// Sends `request` once. A kept connection that turns out to be dead is replaced unseen.
    pub(super) async fn exchange(
        &self,
        request: &Request,
        limits: &Limits,
        tally: &Tally,
    ) -> Result<Response, Trouble> {
        if let Some(kept) = self.take().await {
            let shared = kept.share();
            match self.exchange_on(kept, request, limits, tally).await {
                Err(Trouble::Unanswered(problem)) => {
                    if let Some(mut shared) = shared
                        && shared.is_ready().await
                    {
                        // A connection that lives on has refused this request alone.
                        return Err(Trouble::Unanswered(problem));
                    }
                }
                outcome => return outcome,
            }
        }
        let fresh = self.open(limits.connect_timeout).await?;
        self.exchange_on(fresh, request, limits, tally).await
    }

    async fn exchange_on(
        &self,
        mut connection: Connection,
        request: &Request,
        limits: &Limits,
        tally: &Tally,
    ) -> Result<Response, Trouble> {
        tally.sent(&request.body);
        let mut message = self.message(request, limits, connection.is_http2());
        tally.watch.mark(message.headers_mut());
        let response = connection.exchange(message, limits, tally).await?;
        self.keep(connection).await;
        Ok(response)
    }

    /// The request in the form that this connection wants.
    fn message(&self, request: &Request, limits: &Limits, http2: bool) -> http::Request<Bytes> {
        let mut message = http::Request::new(request.body.clone());
        *message.method_mut() = request.method.clone();
        *message.headers_mut() = request.headers.clone();
        let headers = message.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        if !http2 {
            headers.insert(HOST, self.host.clone());
        }
        if self.wire == Wire::Grpc {
            headers.insert(grpc::TIMEOUT, grpc::timeout(limits.deadline.saturating_duration_since(Instant::now())));
        } else if http2 && !request.body.is_empty() {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(request.body.len()));
        }
        let forwarded = !self.is_tunnelled() && self.add_proxy_headers(headers);
        *message.uri_mut() = if http2 || forwarded { self.absolute(request) } else { Uri::from(request.path.clone()) };
        message
    }

    /// Whether there is a proxy.
    fn add_proxy_headers(&self, headers: &mut HeaderMap) -> bool {
        let Ok(Some(proxy)) = &self.proxy else { return false };
        if let Some(authorization) = proxy.authorization() {
            headers.insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        true
    }

    fn absolute(&self, request: &Request) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(if self.origin.tls { Scheme::HTTPS } else { Scheme::HTTP });
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(request.path.clone());
        Uri::from_parts(parts).unwrap_or_default()
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

    async fn keep(&self, mut connection: Connection) {
        if connection.is_http2() || !connection.is_ready().await {
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
        let stream: BoxIo = match proxy {
            None => Box::new(connect(&self.origin.host, self.origin.port, |address| check(Some(address))).await?),
            Some(proxy) => proxy.reach(&self.origin, self.is_tunnelled(), &self.policy.trust, check).await?,
        };
        self.opened.fetch_add(1, Ordering::Relaxed);
        if !self.origin.tls {
            return self.begin(stream, self.wire == Wire::Grpc).await;
        }
        let stream = tls::encrypt(stream, &self.origin, &self.policy.trust).await?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
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
        Connection::http1(stream).await
    }

    /// Whether a proxy passes bytes on, instead of requests that it reads.
    fn is_tunnelled(&self) -> bool {
        let always = matches!(&self.proxy, Ok(Some(proxy)) if proxy.always_tunnels());
        always || self.origin.tls || self.wire == Wire::Grpc
    }
}
