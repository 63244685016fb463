//! A ledger's file, held for a moment by one caller among all processes.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::super::limits::Spent;
use super::record::{HEAD, PART, Record, SIZE, blank, head};

/// Why a ledger is not to be had.
#[derive(Debug)]
pub(super) enum Unheld {
    /// There is no such file.
    Missing,
    /// Somebody else holds it.
    Locked,
    /// There is nothing in it yet: it is being made, or whoever made it came no further.
    Empty,
    /// It is none, or not to be used, as this says.
    Unfit(String),
}

/// Which file a ledger is: another one in its place has another, also where it got the same number on the disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Identity {
    created: Option<SystemTime>,
    number: Option<(u64, u64)>,
}

impl Identity {
    fn of(metadata: &fs::Metadata) -> Self {
        #[cfg(unix)]
        let number = {
            use std::os::unix::fs::MetadataExt;
            Some((metadata.dev(), metadata.ino()))
        };
        #[cfg(not(unix))]
        let number = None;
        Self { created: metadata.created().ok(), number }
    }
}

/// A ledger that nobody else reads or writes meanwhile.
pub(super) struct Held {
    file: File,
    identity: Identity,
    latest: Record,
    /// Which part the latest is not in.
    free: usize,
}

/// Opens the ledger anew each time: a file that was put in its place is the one that counts, and a lock is never shared with
/// a child, as one on an open file would be.
pub(super) fn hold(path: &Path) -> Result<Held, Unheld> {
    let file = open(OpenOptions::new().read(true).write(true), path)?;
    let metadata = file.metadata().map_err(unreadable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(Unheld::Locked),
        Err(TryLockError::Error(error)) => return Err(Unheld::Unfit(format!("cannot be locked: {error}"))),
    }
    let mut held = Held { file, identity: Identity::of(&metadata), latest: Record::default(), free: 0 };
    held.read(metadata.len())?;
    Ok(held)
}

impl Held {
    /// What was spent.
    pub(super) fn spent(&self) -> Spent {
        self.latest.spent
    }

    /// Which file it is, and how often it was written.
    pub(super) fn place(&self) -> (Identity, u64) {
        (self.identity, self.latest.number)
    }

    /// Says what was spent, in the place of what was said before the last time.
    pub(super) fn keep(&mut self, spent: Spent) -> Result<(), Unheld> {
        let record = Record { number: self.latest.number.saturating_add(1), spent };
        let mut write = || {
            self.file.seek(SeekFrom::Start((PART * (1 + self.free)) as u64))?;
            self.file.write_all(&record.write())
        };
        write().map_err(|error| Unheld::Unfit(format!("cannot be written: {error}")))?;
        self.latest = record;
        Ok(())
    }

    fn read(&mut self, length: u64) -> Result<(), Unheld> {
        let mut content = [0; SIZE];
        if length == 0 {
            return Err(Unheld::Empty);
        }
        let wanted = content.len().min(usize::try_from(length).unwrap_or(SIZE));
        self.file.read_exact(&mut content[..wanted]).map_err(unreadable)?;
        if !content.starts_with(HEAD.as_bytes()) {
            let is_other = content.starts_with(br#"{"format":"onnxhybrid.ledger""#);
            let what = if is_other { "is a ledger of another version" } else { "is no ledger" };
            return Err(Unheld::Unfit(what.into()));
        }
        let records = [&content[PART..2 * PART], &content[2 * PART..]].map(Record::read);
        let latest = records.into_iter().flatten().max_by_key(|record| record.number);
        match latest {
            Some(latest) if length == SIZE as u64 && content[..PART] == head() => {
                self.latest = latest;
                self.free = usize::from(records[0] == Some(latest));
                Ok(())
            }
            _ => Err(Unheld::Unfit("is damaged".into())),
        }
    }
}

/// A lock ends with the file, but not where a child that was started meanwhile has it, too.
impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// Makes a ledger of which nothing is spent. It is there whole or not at all, and never in the place of another file.
pub(super) fn create(path: &Path) -> Result<(), Unheld> {
    let temporary = temporary(path);
    let written = write_blank(&temporary);
    let linked = written.and_then(|()| fs::hard_link(&temporary, path));
    let _ = fs::remove_file(&temporary);
    match linked {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        // There are file systems without links.
        Err(_) => match write_blank(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            made => made.map_err(|error| Unheld::Unfit(format!("cannot be made: {error}"))),
        },
    }
}

/// Makes a file; of one that cannot be written whole, as on a full disk, nothing is left.
fn write_blank(path: &Path) -> io::Result<()> {
    let mut file = private(OpenOptions::new().write(true).create_new(true)).open(path)?;
    file.write_all(&blank()).and_then(|()| file.sync_all()).inspect_err(|_| drop(fs::remove_file(path)))
}

/// A name beside `path` that nobody else uses.
fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}-{:x}", std::process::id(), fastrand::u64(..)));
    name.into()
}

fn open(options: &mut OpenOptions, path: &Path) -> Result<File, Unheld> {
    let file = private(options).open(path).map_err(|error| match error.kind() {
        _ if is_link(path) => Unheld::Unfit("is a symbolic link".into()),
        ErrorKind::NotFound => Unheld::Missing,
        ErrorKind::IsADirectory => Unheld::Unfit("is no regular file".into()),
        _ => Unheld::Unfit(format!("cannot be opened to be read and written: {error}")),
    })?;
    match file.metadata() {
        Ok(metadata) if metadata.is_file() && (cfg!(unix) || !is_link(path)) => Ok(file),
        Ok(_) => Err(Unheld::Unfit("is no regular file".into())),
        Err(error) => Err(unreadable(error)),
    }
}

fn is_link(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink())
}

/// For its owner alone, and without waiting for whoever is at the other end of what is no file.
#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
}

#[cfg(not(unix))]
fn private(options: &mut OpenOptions) -> &OpenOptions {
    options
}

fn unreadable(error: io::Error) -> Unheld {
    Unheld::Unfit(format!("cannot be read: {error}"))
}
