//! Answers kept in a file, and served again without a network.
//!
//! The file is text: a head, then one line for each call, added whole when the call ended.

mod entry;
pub mod key;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::failure::{Code, Problem};
use crate::guard::lock;
use crate::session::masking::Mask;

pub use entry::Answer;

/// The first line of every record. A later form gets another number.
const HEAD: &str = r#"{"format":"onnxhybrid.record","version":1}"#;

/// Where a scope's answers come from and go to.
#[derive(Default)]
pub enum Tape {
    /// From the network, to nobody else.
    #[default]
    Off,
    /// From the network, and into a file.
    Record(Record),
    /// From a file.
    Replay(Replay),
}

impl Tape {
    /// Opens the file to record into or the one to replay from.
    pub fn open(record: Option<&str>, replay: Option<&str>) -> Result<Self, Problem> {
        match (record, replay) {
            (None, None) => Ok(Self::Off),
            (Some(path), None) => Record::create(Path::new(path)).map(Self::Record),
            (None, Some(path)) => Replay::open(Path::new(path)).map(Self::Replay),
            _ => Err(Problem::new(Code::Scope, "a session either records or replays")),
        }
    }
}

/// A file that answers are added to.
pub struct Record {
    path: PathBuf,
    file: Mutex<File>,
}

impl Record {
    /// Begins a record at `path`, in place of an older one but of no other file.
    fn create(path: &Path) -> Result<Self, Problem> {
        let failed = |error: std::io::Error| unusable(path, &format!("cannot be written: {error}"));
        match first_line(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
            Ok(line) if line.contains("onnxhybrid.record") => {}
            Ok(_) => return Err(unusable(path, "is no record, and is not overwritten")),
        }
        let temporary = temporary(path);
        let begun = begin(&temporary).and_then(|file| fs::rename(&temporary, path).map(|()| file));
        if begun.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        Ok(Self { path: path.to_owned(), file: Mutex::new(begun.map_err(failed)?) })
    }

    /// Adds an answer, without the tokens that `mask` knows.
    pub fn keep(&self, key: &str, node: &str, answer: &Answer, mask: &Mask) -> Result<(), Problem> {
        let line = entry::write(key, node, answer, mask);
        let line = line.map_err(|_| Problem::new(Code::Internal, "an answer has no form in JSON"))?;
        let written = lock(&self.file).write_all(format!("{line}\n").as_bytes());
        written.map_err(|error| unusable(&self.path, &format!("cannot be written: {error}")))
    }
}

/// Answers from a file.
pub struct Replay {
    path: PathBuf,
    answers: HashMap<String, Repeated>,
}

/// The answers to equal requests in their order, and how many were given.
#[derive(Default)]
struct Repeated {
    answers: Vec<Answer>,
    given: AtomicUsize,
}

impl Replay {
    fn open(path: &Path) -> Result<Self, Problem> {
        let text = fs::read(path).map_err(|error| unusable(path, &format!("cannot be read: {error}")))?;
        let text = String::from_utf8(text).map_err(|_| unusable(path, "is no record: it is no text"))?;
        let mut lines = text.lines();
        match lines.next() {
            Some(HEAD) => {}
            Some(line) if line.contains("onnxhybrid.record") => {
                return Err(unusable(path, "is damaged, or a record of another version"));
            }
            _ => return Err(unusable(path, "is no record")),
        }
        let mut answers: HashMap<String, Repeated> = HashMap::new();
        for (number, line) in lines.enumerate() {
            let damaged = || unusable(path, &format!("is damaged in line {}", number + 2));
            let (key, answer) = entry::read(line).ok_or_else(damaged)?;
            answers.entry(key).or_default().answers.push(answer);
        }
        Ok(Self { path: path.to_owned(), answers })
    }

    /// The next answer to a request; after the last one that again.
    pub fn answer(&self, key: &str) -> Result<Answer, Problem> {
        let unrecorded = || {
            let message = format!("the record {} has no answer to this request; record it again", self.path.display());
            Problem::new(Code::Unrecorded, message)
        };
        let repeated = self.answers.get(key).ok_or_else(unrecorded)?;
        let given = repeated.given.fetch_add(1, Ordering::Relaxed);
        repeated.answers.get(given).or(repeated.answers.last()).cloned().ok_or_else(unrecorded)
    }
}

/// A name beside `path` that nobody else uses.
fn temporary(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    name.into()
}

fn begin(path: &Path) -> std::io::Result<File> {
    let mut file = File::create_new(path)?;
    file.write_all(format!("{HEAD}\n").as_bytes())?;
    Ok(file)
}

/// The beginning of the first line, no longer than a head.
fn first_line(path: &Path) -> std::io::Result<String> {
    let mut line = Vec::new();
    let mut reader = BufReader::new(std::io::Read::take(File::open(path)?, HEAD.len() as u64 + 8));
    reader.read_until(b'\n', &mut line)?;
    Ok(String::from_utf8_lossy(&line).into_owned())
}

fn unusable(path: &Path, what: &str) -> Problem {
    Problem::new(Code::Record, format!("{} {what}", path.display()))
}
