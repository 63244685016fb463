//! Doors for the fuzz targets: what a proxy says. Not in an ordinary build.

use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, join, sink};
use url::Host;

use super::login::Login;
use super::{socks, tunnel as ask_for_tunnel};
use crate::endpoint::Origin;
use crate::failure::{Code, Problem};
use crate::transport::io::BoxIo;
use crate::transport::runtime::block_on;

/// Asks for a tunnel, and gives what is left for it.
pub(in crate::transport) fn tunnel(said: impl AsyncRead + Send + Unpin + 'static) -> Result<Vec<u8>, Code> {
    let origin = Origin { tls: true, host: Host::Domain("h".into()), port: 443 };
    waited(async {
        let made = ask_for_tunnel(Box::new(join(said, sink())), &origin, None).await;
        rest(made.map_err(|trouble| Problem::from(trouble).code)?).await
    })
}

/// Asks a SOCKS proxy, and gives what is left.
pub(in crate::transport) fn socks(said: impl AsyncRead + Send + Unpin + 'static) -> Result<Vec<u8>, Code> {
    let login = Login { user: b"u".to_vec(), password: b"p".to_vec() };
    let mut stream: BoxIo = Box::new(join(said, sink()));
    waited(async {
        let asked = socks::connect(&mut stream, Some(&login), &Host::Domain("h".into()), 443).await;
        asked.map_err(|_| Code::Connect)?;
        rest(stream).await
    })
}

async fn rest(mut stream: BoxIo) -> Result<Vec<u8>, Code> {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.map_err(|_| Code::CutShort)?;
    Ok(rest)
}

fn waited<T>(work: impl Future<Output = T>) -> T {
    block_on(Instant::now() + Duration::from_secs(600), work).expect("what never waits has no deadline")
}
