//! The handshake of SOCKS 5 (RFC 1928), with a user's name and password (RFC 1929).

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use url::Host;

use super::login::Login;

const VERSION: u8 = 5;
const LOGIN_VERSION: u8 = 1;
const OPEN: u8 = 0;
const LOGIN: u8 = 2;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const DOMAIN: u8 = 3;
const IPV6: u8 = 4;

/// Why the proxy passes nothing on.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The connection was lost, or what came is no SOCKS.
    Lost(io::Error),
    /// It could not reach the host, this time.
    Unreached(&'static str),
    /// It will not, whatever is tried again.
    Refused(&'static str),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Lost(error)
    }
}

/// Asks the proxy at the other end of `stream` to pass on what follows to `host`.
pub(super) async fn connect(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    login: Option<&Login>,
    host: &Host<String>,
    port: u16,
) -> Result<(), Refusal> {
    greet(stream, login).await?;
    stream.write_all(&request(host, port)?).await?;
    let [version, reply, _, kind] = read(stream).await?;
    expect(version, VERSION)?;
    refusal(reply)?;
    // The address that the proxy calls from has no use, but it has to be out of the way.
    let length = match kind {
        IPV4 => 4,
        IPV6 => 16,
        DOMAIN => usize::from(stream.read_u8().await?),
        _ => return Err(nonsense()),
    };
    stream.read_exact(&mut vec![0; length + 2]).await?;
    Ok(())
}

/// Agrees on a method, and logs in where the proxy wants that.
async fn greet(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), login: Option<&Login>) -> Result<(), Refusal> {
    let methods: &[u8] = if login.is_some() { &[VERSION, 2, OPEN, LOGIN] } else { &[VERSION, 1, OPEN] };
    stream.write_all(methods).await?;
    let [version, method] = read(stream).await?;
    expect(version, VERSION)?;
    match (method, login) {
        (OPEN, _) => Ok(()),
        (LOGIN, Some(login)) => log_in(stream, login).await,
        (_, Some(_)) => Err(Refusal::Refused("it takes no user and password")),
        (_, None) => Err(Refusal::Refused("it wants a user and password")),
    }
}

async fn log_in(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), login: &Login) -> Result<(), Refusal> {
    let mut message = vec![LOGIN_VERSION];
    for text in [&login.user, &login.password] {
        message
            .push(u8::try_from(text.len()).map_err(|_| Refusal::Refused("user and password have 255 bytes at most"))?);
        message.extend_from_slice(text);
    }
    stream.write_all(&message).await?;
    let [_, status] = read(stream).await?;
    if status == 0 { Ok(()) } else { Err(Refusal::Refused("it knows no such user and password")) }
}

fn request(host: &Host<String>, port: u16) -> Result<Vec<u8>, Refusal> {
    let mut message = vec![VERSION, CONNECT, 0];
    match host {
        Host::Ipv4(address) => {
            message.push(IPV4);
            message.extend(address.octets());
        }
        Host::Ipv6(address) => {
            message.push(IPV6);
            message.extend(address.octets());
        }
        Host::Domain(name) => {
            let length = u8::try_from(name.len()).map_err(|_| Refusal::Refused("the host's name is too long"))?;
            message.extend([DOMAIN, length]);
            message.extend(name.as_bytes());
        }
    }
    message.extend(port.to_be_bytes());
    Ok(message)
}

fn refusal(reply: u8) -> Result<(), Refusal> {
    match reply {
        0 => Ok(()),
        2 => Err(Refusal::Refused("its rules do not allow it")),
        3 => Err(Refusal::Unreached("the network is unreachable from there")),
        4 => Err(Refusal::Unreached("the host is unreachable from there")),
        5 => Err(Refusal::Unreached("the host refused the connection")),
        6 => Err(Refusal::Unreached("the host is too far from there")),
        7 => Err(Refusal::Refused("it passes no connection on")),
        8 => Err(Refusal::Refused("it does not know this kind of address")),
        _ => Err(Refusal::Unreached("it failed")),
    }
}

async fn read<const N: usize>(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

fn expect(version: u8, wanted: u8) -> Result<(), Refusal> {
    if version == wanted { Ok(()) } else { Err(nonsense()) }
}

fn nonsense() -> Refusal {
    Refusal::Refused("it speaks no SOCKS 5")
}
