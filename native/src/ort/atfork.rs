//! Forks of the process, as the operating system tells of them.

/// Lets the system call `before` on a thread that forks, then `after` in the parent and `child` in the child.
///
/// They are called for as long as the process lives. None may panic, and `child` must get by with what a fork leaves:
/// one thread.
#[cfg(unix)]
pub fn watch(before: extern "C" fn(), after: extern "C" fn(), child: extern "C" fn()) {
    // SAFETY: the functions are this library's, which is never unloaded.
    unsafe { libc::pthread_atfork(Some(before), Some(after), Some(child)) };
}
