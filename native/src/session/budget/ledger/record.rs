//! What stands in a ledger: text, in three parts of one length, each a disk's sector so that none is torn with another.
//!
//! The first says what the file is. The other two are written in turn and say what was spent; that with the higher number
//! counts. Each has a check, so that where a write was cut short the other one stands.

use serde::Deserialize;

use super::super::limits::Spent;
use crate::session::tape::key::check;

/// Bytes of a part.
pub(super) const PART: usize = 512;

/// Bytes of a ledger.
pub(super) const SIZE: usize = 3 * PART;

/// The first line of every ledger. A later form gets another number.
pub(super) const HEAD: &str = r#"{"format":"onnxhybrid.ledger","version":1}"#;

/// The second one, for whoever looks at the file.
const NOTE: &str = "Of the lines below the one with the higher number counts. To begin anew, delete this file.";

/// What was spent, as the so-many-th that was written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Record {
    pub(super) number: u64,
    pub(super) spent: Spent,
}

/// A record as it is written, but for its check: a record is what would be written in the same way.
#[derive(Deserialize)]
struct Line {
    number: u64,
    calls: u64,
    bytes: u64,
    cost_billionths: u64,
}

impl Record {
    /// The part of a ledger that says so.
    pub(super) fn write(self) -> [u8; PART] {
        let Self { number, spent: Spent { calls, bytes, cost } } = self;
        let text = format!(r#"{{"number":{number},"calls":{calls},"bytes":{bytes},"cost_billionths":{cost}"#);
        padded(&format!(r#"{text},"check":"{}"}}"#, check(&text)))
    }

    /// What a part says; `None` where it is not one, to the last byte.
    pub(super) fn read(part: &[u8]) -> Option<Self> {
        let line: Line = serde_json::from_slice(part).ok()?;
        let spent = Spent { calls: line.calls, bytes: line.bytes, cost: line.cost_billionths };
        let read = Self { number: line.number, spent };
        (read.write() == part).then_some(read)
    }
}

/// The first part.
pub(super) fn head() -> [u8; PART] {
    padded(&format!("{HEAD}\n{NOTE}"))
}

/// A ledger of which nothing is spent.
pub(super) fn blank() -> Vec<u8> {
    let (older, newer) = (Record::default(), Record { number: 1, ..Record::default() });
    [head(), older.write(), newer.write()].concat()
}

fn padded(text: &str) -> [u8; PART] {
    let mut part = [b' '; PART];
    // No text comes near the end: its numbers have twenty digits at most.
    part[..text.len()].copy_from_slice(text.as_bytes());
    part[PART - 1] = b'\n';
    part
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn records() -> impl Strategy<Value = Record> {
        (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>())
            .prop_map(|(number, calls, bytes, cost)| Record { number, spent: Spent { calls, bytes, cost } })
    }

    #[test]
    fn a_ledger_is_text_of_one_size() {
        assert_eq!(blank().len(), SIZE);
        let text = String::from_utf8(blank()).unwrap();
        assert!(text.starts_with(HEAD) && text.ends_with('\n'));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(record in records()) {
            prop_assert_eq!(Record::read(&record.write()), Some(record));
        }

        #[test]
        fn a_part_with_another_byte_says_nothing(record in records(), at in 0..PART, byte: u8) {
            let mut part = record.write();
            prop_assume!(part[at] != byte);
            part[at] = byte;
            prop_assert_eq!(Record::read(&part), None);
        }

        #[test]
        fn a_part_that_was_written_in_part_says_nothing(older in records(), newer in records(), cut in 0..PART) {
            let (older, newer) = (older.write(), newer.write());
            let torn = [&newer[..cut], &older[cut..]].concat();
            prop_assume!(torn != older && torn != newer);
            prop_assert_eq!(Record::read(&torn), None);
        }
    }
}
