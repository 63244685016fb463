//! From a host's name to a connected socket, with every address checked before a packet leaves.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use url::Host;

use super::Trouble;
use super::names::OriginNames;
use crate::failure::{Code, Problem};

/// How long one address may keep the next from being tried (RFC 8305).
const HEAD_START: Duration = Duration::from_millis(250);

/// Connects to the first address of `host` that answers; `check` may refuse an address, and with it the host.
pub(super) async fn connect(
    names: &OriginNames,
    host: &Host<String>,
    port: u16,
    check: impl Fn(IpAddr) -> Result<(), Problem>,
) -> Result<TcpStream, Trouble> {
    let addresses = resolve(names, host, port).await?;
    for address in &addresses {
        check(address.ip()).map_err(Trouble::Final)?;
    }
    let stream =
        race(addresses).await.map_err(|error| Trouble::Unanswered(refused(&format!("{host}:{port}"), &error)))?;
    // Without it a small request would wait for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    // A system that has no such thing does without.
    let _ = keep_alive(&stream);
    Ok(stream)
}

/// How long a connection is silent before it is asked whether it still leads anywhere, how long each answer may take,
/// and how many may be missing. Whatever forwards packets forgets a connection after minutes without one; four are the
/// least that are in use.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
const PROBES: (Duration, Duration, u32) = (Duration::from_secs(30), Duration::from_secs(10), 3);

/// How long what was sent may stay without an acknowledgement, in milliseconds. A server that is too busy to read for so
/// long counts as gone, too.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNHEARD: u32 = 120_000;

/// Has the system notice that a connection leads nowhere any more, and keep alive one that is only waiting: an answer may
/// take many minutes in which no byte comes. A connection of HTTP/2 needs no PING besides.
fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;
    sockopt::set_socket_keepalive(stream, true)?;
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    {
        let (silent, pause, most) = PROBES;
        sockopt::set_tcp_keepidle(stream, silent)?;
        sockopt::set_tcp_keepintvl(stream, pause)?;
        sockopt::set_tcp_keepcnt(stream, most)?;
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    sockopt::set_tcp_user_timeout(stream, UNHEARD)?;
    Ok(())
}

/// The addresses of `host`; at least one.
pub(super) async fn resolve(names: &OriginNames, host: &Host<String>, port: u16) -> Result<Vec<SocketAddr>, Trouble> {
    let name = match host {
        Host::Ipv4(address) => return Ok(vec![SocketAddr::new(IpAddr::V4(*address), port)]),
        Host::Ipv6(address) => return Ok(vec![SocketAddr::new(IpAddr::V6(*address), port)]),
        Host::Domain(name) => name,
    };
    let found = names.look_up(name, port).await;
    let addresses = found.map_err(|error| Trouble::Final(refused(&format!("the name {name}"), &error)))?;
    if addresses.is_empty() {
        return Err(Trouble::Final(Problem::new(Code::Connect, format!("the name {name} has no address"))));
    }
    Ok(addresses)
}

/// The failure of `what` to be reached.
pub(super) fn refused(what: &str, error: &io::Error) -> Problem {
    Problem::new(Code::Connect, format!("no connection to {what}: {error}"))
}

/// Tries the addresses one after the other, each with a head start over the next.
async fn race(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    if let [only] = addresses.as_slice() {
        return TcpStream::connect(only).await;
    }
    let (mut waiting, mut running) = (addresses.into_iter(), JoinSet::new());
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        if let Some(address) = waiting.next() {
            running.spawn(TcpStream::connect(address));
        } else if running.is_empty() {
            return Err(failure);
        }
        let next = match waiting.len() {
            0 => running.join_next().await,
            _ => tokio::time::timeout(HEAD_START, running.join_next()).await.unwrap_or(None),
        };
        match next {
            Some(Ok(Ok(stream))) => return Ok(stream),
            Some(Ok(Err(error))) => failure = error,
            Some(Err(_)) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::net::sockopt;

    use super::*;
    use crate::transport::runtime::runtime;

    #[test]
    fn a_connection_is_kept_alive_and_found_out_when_it_leads_nowhere() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (host, names) = (Host::Domain("localhost".to_owned()), OriginNames::new(Default::default()));
        let stream = runtime().block_on(connect(&names, &host, address.port(), |_| Ok(()))).unwrap();
        assert!(sockopt::socket_keepalive(&stream).unwrap() && stream.nodelay().unwrap());
        #[cfg(target_os = "linux")]
        assert_eq!(
            (sockopt::tcp_keepidle(&stream).unwrap(), sockopt::tcp_user_timeout(&stream).unwrap()),
            (Duration::from_secs(30), 120_000)
        );
    }
}
