//! Audits of rows that were not sent: what they found, by node.

mod evidence;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};

use crate::guard::lock;
use crate::node::Node;

use evidence::Evidence;

/// What the audits of a scope found: by the node's name, and by what it asks and is promised. Nodes of one name in which
/// these differ, as in sessions that name no scope, are told apart.
#[derive(Default)]
pub struct Audits(Mutex<BTreeMap<(String, String), Arc<Audited>>>);

impl Audits {
    /// What the audits of `node` find, to which a share of rows that differ at most is promised, or none.
    pub fn of(&self, node: &Node, promised: Option<f64>) -> Arc<Audited> {
        let asked = format!("{} {} {promised:?}", node.endpoint.text, node.attributes.text("model"));
        let mut audits = lock(&self.0);
        audits.entry((node.name.clone(), asked)).or_insert_with(|| Arc::new(Audited::new(promised))).clone()
    }

    /// Adds what was found to rows of JSON by node, as `audit`. Of several of one name the second goes by `name (2)`.
    pub fn tell(&self, rows: &mut Map<String, Value>) {
        let mut before = (String::new(), 0);
        for ((name, _), audited) in lock(&self.0).iter() {
            before = if before.0 == *name { (before.0, before.1 + 1) } else { (name.clone(), 1) };
            let label = if before.1 == 1 { name.clone() } else { format!("{name} ({})", before.1) };
            let row = rows.entry(label).or_insert_with(|| Value::Object(Map::new()));
            row["audit"] = audited.to_json();
        }
    }
}

/// What follows from rows that were compared in any number of sessions.
pub fn low(audited: u64, differed: u64) -> f64 {
    let mut evidence = Evidence::default();
    evidence.add(audited, differed);
    evidence.low()
}

/// What the audits of one node found; shared by all threads that run it.
#[derive(Debug, Default)]
pub struct Audited(Mutex<Found>);

#[derive(Debug, Default)]
struct Found {
    evidence: Evidence,
    failed: u64,
    dropped: u64,
    /// At most this share of rows differs, as a certificate says.
    promised: Option<f64>,
    alarm: bool,
}

/// A promise that the audited rows refute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alarm {
    /// Rows that were compared.
    pub audited: u64,
    /// Those of them that differed.
    pub differed: u64,
    /// The share of rows that differ is above this.
    pub low: f64,
    /// It was to be this at most.
    pub promised: f64,
}

impl Audited {
    /// Nothing yet, of a node to which a share of rows that differ at most is promised, or none.
    pub fn new(promised: Option<f64>) -> Self {
        Self(Mutex::new(Found { promised, ..Found::default() }))
    }

    /// Counts rows that were compared; the alarm, if they are the first to raise it.
    pub fn compared(&self, rows: u64, differed: u64) -> Option<Alarm> {
        let mut found = lock(&self.0);
        found.evidence.add(rows, differed);
        let promised = found.promised.filter(|promised| found.evidence.low() > *promised)?;
        let first = !std::mem::replace(&mut found.alarm, true);
        let (audited, differed, low) = (found.evidence.audited(), found.evidence.differed(), found.evidence.low());
        first.then_some(Alarm { audited, differed, low, promised })
    }

    /// Counts rows whose audit failed.
    pub fn failed(&self, rows: u64) {
        lock(&self.0).failed += rows;
    }

    /// Counts rows that were not audited, since too many audits were under way.
    pub fn dropped(&self, rows: u64) {
        lock(&self.0).dropped += rows;
    }

    /// The counts, the bound and the alarm as JSON.
    pub fn to_json(&self) -> Value {
        let found = lock(&self.0);
        json!({
            "audited": found.evidence.audited(), "differed": found.evidence.differed(),
            "failed": found.failed, "dropped": found.dropped,
            "low": found.evidence.low(), "promised": found.promised, "alarm": found.alarm,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alarm_is_raised_once_and_stays() {
        let audited = Audited::new(Some(0.1));
        assert_eq!(audited.compared(100, 5), None);
        let alarm = audited.compared(100, 95).unwrap();
        assert!(alarm.low > 0.1 && (alarm.audited, alarm.differed, alarm.promised) == (200, 100, 0.1));
        assert_eq!(audited.compared(10_000, 0), None);
        assert_eq!(audited.to_json()["alarm"], true);
    }

    #[test]
    fn without_a_promise_there_is_a_bound_and_no_alarm() {
        let audited = Audited::default();
        assert_eq!(audited.compared(100, 100), None);
        audited.failed(2);
        audited.dropped(3);
        let told = audited.to_json();
        assert!(told["low"].as_f64().unwrap() > 0.9);
        assert_eq!((&told["alarm"], &told["promised"]), (&json!(false), &Value::Null));
        assert_eq!((&told["failed"], &told["dropped"]), (&json!(2), &json!(3)));
    }
}
