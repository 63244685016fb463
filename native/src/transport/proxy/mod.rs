//! Proxies that the environment names: HTTP ones, reached with or without TLS, and SOCKS 5.

mod environment;
#[cfg(fuzzing)]
pub(super) mod fuzzing;
mod login;
mod socks;

use std::net::IpAddr;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use url::{Host, Url};

use self::login::Login;
use super::connect::{connect, refused, resolve};
use super::io::BoxIo;
use super::names::OriginNames;
use super::socket::Socket;
use super::{Trouble, is_retryable, tls};
use crate::endpoint::{Origin, parse_host};
use crate::failure::{Code, Problem};
use crate::session::trust::Trust;

/// A proxy on the way to an origin.
pub(super) struct Proxy {
    /// Where it is, and whether the way to it is encrypted.
    at: Origin,
    speech: Speech,
}

/// Where a proxy is to lead, and what is needed to get to it.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) origin: &'a Origin,
    pub(super) names: &'a OriginNames,
    pub(super) trust: &'a Trust,
}

/// What is spoken with a proxy.
enum Speech {
    /// HTTP, with the value of `Proxy-Authorization`.
    Http { authorization: Option<HeaderValue> },
    /// SOCKS 5; names are looked up by the proxy, or here.
    Socks { login: Option<Login>, names: Names },
}

#[derive(Clone, Copy, PartialEq)]
enum Names {
    There,
    Here,
}

/// Bytes that a proxy's answer to `CONNECT` may have.
const MAX_ANSWER: usize = 8 << 10;

/// How long the name of a host behind a proxy may take to be looked up for the policy's sake.
const PRECHECK: Duration = Duration::from_secs(1);

/// The variable that names a proxy for `origin`, and its text; none for this very machine.
pub(super) fn named_for(origin: &Origin) -> Option<(&'static str, String)> {
    let variable = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    if origin.is_loopback() { None } else { environment::named_for(origin, &variable) }
}

impl Proxy {
    /// The proxy that the environment names for `origin`; none for this very machine. `Err` for one we cannot speak to.
    pub(super) fn from_environment(origin: &Origin) -> Result<Option<Self>, Problem> {
        let Some((name, text)) = named_for(origin) else { return Ok(None) };
        match Self::parse(&text) {
            Ok(proxy) => Ok(Some(proxy)),
            Err(why) => Err(Problem::new(Code::Connect, format!("the proxy that {name} names cannot be used: {why}"))),
        }
    }

    /// Reads a proxy's URL; `Err` says what is wrong with it, and repeats nothing of it.
    fn parse(text: &str) -> Result<Self, &'static str> {
        let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(&whole).map_err(|_| "it is no URL")?;
        let (tls, port, names) = match url.scheme() {
            "http" => (false, 80, None),
            "https" => (true, 443, None),
            "socks5" => (false, 1080, Some(Names::Here)),
            "socks5h" => (false, 1080, Some(Names::There)),
            _ => return Err("its scheme is none of http, https, socks5 and socks5h"),
        };
        let host = url.host_str().and_then(parse_host).ok_or("it has no host")?;
        let login = Login::of(&url);
        let speech = match names {
            Some(names) => Speech::Socks { login, names },
            None => Speech::Http { authorization: login.as_ref().and_then(Login::basic) },
        };
        Ok(Self { at: Origin { tls, host, port: url.port().unwrap_or(port) }, speech })
    }

    /// Whether bytes are passed on for an origin of any kind, never requests that the proxy reads.
    pub(super) fn always_tunnels(&self) -> bool {
        matches!(self.speech, Speech::Socks { .. })
    }

    /// The value of `Proxy-Authorization`, for requests that the proxy reads.
    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        match &self.speech {
            Speech::Http { authorization } => authorization.as_ref(),
            Speech::Socks { .. } => None,
        }
    }

    /// Connects to the origin of `way` through the proxy, or with `tunnel` unset to a proxy that reads requests for it.
    ///
    /// `check` may refuse an address of the origin's host, or the host whose address is not known on this side.
    pub(super) async fn reach(
        &self,
        way: Way<'_>,
        tunnel: bool,
        check: impl Fn(Option<IpAddr>) -> Result<(), Problem>,
    ) -> Result<BoxIo, Trouble> {
        match &self.speech {
            Speech::Socks { login, names: Names::Here } => self.pass_to_address(way, login, check).await,
            Speech::Socks { login, names: Names::There } => {
                precheck(way, check).await?;
                self.pass_to(way, &way.origin.host, login.as_ref()).await
            }
            Speech::Http { authorization } => {
                precheck(way, check).await?;
                let stream = self.connect(way).await?;
                if tunnel { self::tunnel(stream, way.origin, authorization.as_ref()).await } else { Ok(stream) }
            }
        }
    }

    /// Connects to the proxy itself.
    async fn connect(&self, Way { names, trust, .. }: Way<'_>) -> Result<BoxIo, Trouble> {
        // The user's own environment names the proxy, so that no policy has to.
        let stream = connect(names, &self.at.host, self.at.port, |_| Ok(())).await.map_err(of_proxy)?;
        if !self.at.tls {
            return Ok(Box::new(Socket::shared(stream)));
        }
        Ok(Box::new(tls::encrypt_to_proxy(Socket::shared(stream), &self.at, trust).await.map_err(of_proxy)?))
    }

    /// Tries the addresses of the origin's host one after the other, each of which `check` lets pass.
    async fn pass_to_address(
        &self,
        way: Way<'_>,
        login: &Option<Login>,
        check: impl Fn(Option<IpAddr>) -> Result<(), Problem>,
    ) -> Result<BoxIo, Trouble> {
        let Way { origin, names, .. } = way;
        let addresses = resolve(names, &origin.host, origin.port).await?;
        addresses.iter().try_for_each(|address| check(Some(address.ip()))).map_err(Trouble::Final)?;
        let mut outcome = Err(Trouble::Final(Problem::new(Code::Connect, format!("{origin} has no address"))));
        for address in addresses {
            let host = match address.ip() {
                IpAddr::V4(v4) => Host::Ipv4(v4),
                IpAddr::V6(v6) => Host::Ipv6(v6),
            };
            outcome = self.pass_to(way, &host, login.as_ref()).await;
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    async fn pass_to(&self, way: Way<'_>, host: &Host<String>, login: Option<&Login>) -> Result<BoxIo, Trouble> {
        let (mut stream, port) = (self.connect(way).await?, way.origin.port);
        let refused_by = |why: &str| Problem::new(Code::Connect, format!("the proxy refused {host}:{port}: {why}"));
        match socks::connect(&mut stream, login, host, port).await {
            Ok(()) => Ok(stream),
            Err(socks::Refusal::Lost(error)) => Err(lost(error)),
            Err(socks::Refusal::Unreached(why)) => Err(Trouble::Unanswered(refused_by(why))),
            Err(socks::Refusal::Refused(why)) => Err(Trouble::Final(refused_by(why))),
        }
    }
}

/// Asks an HTTP proxy for a tunnel to `origin`, with `CONNECT` (RFC 9110, section 9.3.6).
async fn tunnel(mut stream: BoxIo, origin: &Origin, authorization: Option<&HeaderValue>) -> Result<BoxIo, Trouble> {
    let target = format!("{}:{}", origin.host, origin.port);
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
    if let Some(authorization) = authorization {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    stream.write_all(&request).await.map_err(lost)?;
    let status = answer(&mut stream).await.map_err(lost)?;
    if status.is_success() {
        return Ok(stream);
    }
    let message = format!("the proxy refused a tunnel to {target} with {}", status.as_u16());
    let problem = Problem::new(Code::Connect, message);
    Err(if is_retryable(status) { Trouble::Unanswered(problem) } else { Trouble::Final(problem) })
}

/// Reads an answer's head, byte by byte so that nothing of the tunnel is swallowed, and gives its status.
async fn answer(stream: &mut BoxIo) -> std::io::Result<StatusCode> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < MAX_ANSWER {
        head.push(stream.read_u8().await?);
    }
    if !head.ends_with(b"\r\n\r\n") {
        return Err(std::io::Error::other("its answer is too long"));
    }
    let status = head.starts_with(b"HTTP/1.").then(|| head.split(|byte| *byte == b' ').nth(1)).flatten();
    let status = status.and_then(|word| StatusCode::from_bytes(word.trim_ascii_end()).ok());
    status.ok_or_else(|| std::io::Error::other("it answered no HTTP"))
}

/// Behind a proxy the name is looked up there; what it means here is checked, and the name alone where it means nothing.
async fn precheck(way: Way<'_>, check: impl Fn(Option<IpAddr>) -> Result<(), Problem>) -> Result<(), Trouble> {
    match tokio::time::timeout(PRECHECK, resolve(way.names, &way.origin.host, way.origin.port)).await {
        Ok(Ok(addresses)) => addresses.iter().try_for_each(|address| check(Some(address.ip()))),
        _ => check(None),
    }
    .map_err(Trouble::Final)
}

fn lost(error: std::io::Error) -> Trouble {
    Trouble::Unanswered(refused("the proxy", &error))
}

/// A failure on the way to the proxy itself.
fn of_proxy(trouble: Trouble) -> Trouble {
    let told = |problem: Problem| Problem { message: format!("the proxy: {}", problem.message), ..problem };
    match trouble {
        Trouble::Unanswered(problem) | Trouble::Stale(problem) | Trouble::Refused(problem) => {
            Trouble::Unanswered(told(problem))
        }
        Trouble::Silent(problem) => Trouble::Silent(told(problem)),
        Trouble::Final(problem) => Trouble::Final(told(problem)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Endpoint;

    #[test]
    fn a_proxys_url_says_where_it_is_and_what_it_speaks() {
        for (text, at) in [
            ("proxy.example:3128", "http://proxy.example:3128"),
            ("user:pass@proxy.example", "http://proxy.example"),
            ("HTTPS://Proxy.Example", "https://proxy.example"),
            ("socks5://0x7f.1", "http://127.0.0.1:1080"),
            ("socks5h://u:p%40@[::1]:9050/", "http://[::1]:9050"),
        ] {
            assert_eq!(Proxy::parse(text).map(|proxy| proxy.at.to_string()), Ok(at.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_told_without_a_word_of_it() {
        for text in ["socks4://s3cret@h", "s3cret://h", "http://", "http://s3cret:s3cret@", "http://h:s3cret", "://"] {
            let why = Proxy::parse(text).map(|_| ()).unwrap_err();
            assert!(!why.contains("s3cret"), "{text}: {why}");
        }
    }

    #[test]
    fn a_tunnel_begins_behind_the_end_of_a_head_and_nowhere_else() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let answered = |padding: usize| {
            let (near, mut far) = tokio::io::duplex(MAX_ANSWER * 2);
            let head = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "b".repeat(padding));
            runtime.block_on(async { far.write_all(head.as_bytes()).await.unwrap() });
            runtime.block_on(answer(&mut (Box::new(near) as BoxIo))).is_ok()
        };
        assert!(answered(10) && !answered(MAX_ANSWER));
    }

    #[test]
    fn a_login_is_decoded() {
        let basic = |text| Proxy::parse(text).ok().and_then(|proxy| proxy.authorization().cloned()).unwrap();
        assert_eq!(basic("http://us%3Aer:p%C3%A4ss@h"), "Basic dXM6ZXI6cMOkc3M=");
        assert!(basic("http://u:p@h").is_sensitive());
        assert!(Proxy::parse("socks5://u:p@h").is_ok_and(|proxy| proxy.authorization().is_none()));
    }

    #[test]
    fn a_name_that_is_looked_up_here_is_checked_before_the_proxy_hears_of_it() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let refuse = |_| Err(Problem::new(Code::Policy, "no".to_owned()));
        let origin = Endpoint::parse("http://localhost:1").unwrap().origin;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for scheme in ["socks5", "socks5h", "http"] {
            let proxy = Proxy::parse(&format!("{scheme}://{}", listener.local_addr().unwrap())).ok().unwrap();
            let (names, trust) = (OriginNames::new(Default::default()), Trust::default());
            let way = Way { origin: &origin, names: &names, trust: &trust };
            let reached = runtime.block_on(proxy.reach(way, true, refuse));
            assert!(matches!(reached, Err(Trouble::Final(problem)) if problem.code == Code::Policy), "{scheme}");
        }
        assert!(listener.accept().is_err());
    }
}
