//! Names of hosts to addresses, by the system, whose answer may never come: a lookup occupies a thread until the system
//! gives up.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use crate::run::places::{Places, occupy};

/// Lookups of a session at a time, and of an origin.
const OF_SESSION: usize = 64;
const OF_ORIGIN: usize = 16;

/// Looks up names for one session.
pub struct Names(Places);

impl Default for Names {
    fn default() -> Self {
        Self(Places::new(OF_SESSION))
    }
}

/// Looks up the names on the way to one origin.
pub(super) struct OriginNames {
    session: Arc<Names>,
    places: Places,
}

impl OriginNames {
    /// Those of an origin that `session` calls.
    pub(super) fn new(session: Arc<Names>) -> Self {
        Self { session, places: Places::new(OF_ORIGIN) }
    }

    /// The addresses of `name`; waits for a place among the lookups, too.
    pub(super) async fn look_up(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let name = name.to_owned();
        let look_up = move || Ok((name.as_str(), port).to_socket_addrs()?.collect());
        occupy(&self.places, &self.session.0, look_up).await?
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::transport::runtime::block_on;

    #[test]
    fn a_name_is_looked_up_and_one_that_is_none_is_an_error() {
        let names = OriginNames::new(Arc::default());
        let found = |name| block_on(Instant::now() + Duration::from_secs(10), names.look_up(name, 80)).unwrap();
        assert!(found("localhost").unwrap().iter().all(|address| address.ip().is_loopback() && address.port() == 80));
        assert!(found("no name").is_err());
    }
}
