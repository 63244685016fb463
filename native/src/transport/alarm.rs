//! An alarm: a descriptor that a thread polls beside its sockets, so that another thread can wake it.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::event::{PollFd, PollFlags};

use crate::run::forks::generation;

/// Alarms at once. Each takes a descriptor, and connections need those, too. Further threads have none: they wake by
/// themselves from time to time, see [`super::sleep`].
const MOST: usize = 256;

static COUNT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// This thread's alarm, and the process that made it: a child of a fork must not share it with its parent.
    static OWN: RefCell<Option<(u64, Arc<Alarm>)>> = const { RefCell::new(None) };
}

/// An alarm of one thread.
pub(super) struct Alarm(Bell);

impl Alarm {
    /// This thread's own; none where there are too many.
    pub(super) fn of_thread() -> Option<Arc<Self>> {
        OWN.with_borrow_mut(|own| match own {
            Some((process, alarm)) if *process == generation() => Some(alarm.clone()),
            _ => {
                *own = Self::new().map(|alarm| (generation(), Arc::new(alarm)));
                own.as_ref().map(|(_, alarm)| alarm.clone())
            }
        })
    }

    fn new() -> Option<Self> {
        if COUNT.fetch_add(1, Ordering::Relaxed) < MOST
            && let Ok(bell) = Bell::new()
        {
            return Some(Self(bell));
        }
        COUNT.fetch_sub(1, Ordering::Relaxed);
        None
    }

    /// What is polled; it is ready once the alarm rings.
    pub(super) fn watched(&self) -> PollFd<'_> {
        PollFd::new(&self.0.0, PollFlags::IN)
    }

    /// Rings until it is silenced.
    pub(super) fn ring(&self) {
        // The only way to fail is that it rings already.
        let _ = self.0.ring();
    }

    /// Ends the ringing.
    pub(super) fn silence(&self) {
        while self.0.hear().is_ok_and(|bytes| bytes > 0) {}
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        COUNT.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
struct Bell(std::os::fd::OwnedFd);

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Bell {
    fn new() -> io::Result<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    fn ring(&self) -> io::Result<usize> {
        Ok(rustix::io::write(&self.0, &1u64.to_ne_bytes())?)
    }

    fn hear(&self) -> io::Result<usize> {
        Ok(rustix::io::read(&self.0, &mut [0; 8])?)
    }
}

/// A socket that is connected to itself.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
struct Bell(std::net::UdpSocket);

#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl Bell {
    fn new() -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(socket.local_addr()?)?;
        socket.set_nonblocking(true)?;
        Ok(Self(socket))
    }

    fn ring(&self) -> io::Result<usize> {
        self.0.send(&[1])
    }

    fn hear(&self) -> io::Result<usize> {
        self.0.recv(&mut [0; 8])
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{Timespec, poll};

    use super::*;

    fn rings(alarm: &Alarm) -> bool {
        poll(&mut [alarm.watched()], Some(&Timespec::default())).unwrap() > 0
    }

    #[test]
    fn it_rings_until_it_is_silenced() {
        let alarm = Alarm::of_thread().unwrap();
        assert!(!rings(&alarm));
        alarm.ring();
        alarm.ring();
        assert!(rings(&alarm) && rings(&Alarm::of_thread().unwrap()));
        alarm.silence();
        assert!(!rings(&alarm));
    }
}
