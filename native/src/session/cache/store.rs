//! Answers that are kept: so many bytes of them, the ones that were used last, and none that is too old.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::tensor::OutputTensor;

/// What was asked: a fingerprint, from which nothing of it can be had back.
pub type Key = [u8; 32];

/// The outputs of a call, or of one row of it.
pub type Answer = Arc<[OutputTensor]>;

/// What an answer takes beside its tensors: its key, twice, and its places in two tables that are as full as they get.
const BOOKKEEPING: usize = 256;

/// Answers by what was asked.
pub struct Store {
    most: usize,
    ttl: Option<Duration>,
    held: usize,
    turn: u64,
    entries: HashMap<Key, Entry>,
    /// The keys in the order of their last use.
    turns: BTreeMap<u64, Key>,
}

struct Entry {
    answer: Answer,
    bytes: usize,
    turn: u64,
    made: Instant,
}

impl Store {
    /// One that keeps `most` bytes, each answer for as long as `ttl`.
    pub fn new(most: usize, ttl: Option<Duration>) -> Self {
        Self { most, ttl, held: 0, turn: 0, entries: HashMap::new(), turns: BTreeMap::new() }
    }

    /// The answer to `key`, which is now the one that was used last.
    pub fn get(&mut self, key: &Key, now: Instant) -> Option<Answer> {
        let entry = self.entries.get_mut(key)?;
        if self.ttl.is_some_and(|ttl| now.saturating_duration_since(entry.made) >= ttl) {
            self.remove(key);
            return None;
        }
        self.turns.remove(&entry.turn);
        self.turn += 1;
        entry.turn = self.turn;
        self.turns.insert(self.turn, *key);
        Some(entry.answer.clone())
    }

    /// Keeps an answer, in place of those that were not used for longest; one that is larger than all may be is not kept.
    pub fn put(&mut self, key: Key, answer: &Answer, now: Instant) {
        self.remove(&key);
        let bytes = weight(answer);
        if bytes > self.most {
            return;
        }
        while self.held > self.most - bytes {
            let Some((_, oldest)) = self.turns.first_key_value() else { break };
            let oldest = *oldest;
            self.remove(&oldest);
        }
        self.turn += 1;
        self.held += bytes;
        self.turns.insert(self.turn, key);
        self.entries.insert(key, Entry { answer: answer.clone(), bytes, turn: self.turn, made: now });
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.turns.remove(&entry.turn);
            self.held -= entry.bytes;
        }
    }
}

/// Bytes that an answer takes, its bookkeeping included.
fn weight(answer: &Answer) -> usize {
    answer.iter().map(OutputTensor::weight).sum::<usize>().saturating_add(BOOKKEEPING)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::element::ElementType;
    use crate::tensor::{Chunks, OutputData};

    fn key(number: u8) -> Key {
        let mut key = [0; 32];
        key[0] = number;
        key
    }

    fn answer(bytes: usize) -> Answer {
        let data = OutputData::Raw(Chunks::from(Bytes::from(vec![7; bytes])));
        [OutputTensor { element: ElementType::UInt8, shape: vec![bytes as i64], data }].into()
    }

    fn length(answer: &Answer) -> i64 {
        answer[0].shape[0]
    }

    #[test]
    fn an_answer_is_kept_until_it_is_too_old() {
        let (mut store, now, ttl) = (Store::new(1 << 20, Some(Duration::from_secs(5))), Instant::now(), 5);
        store.put(key(1), &answer(3), now);
        assert_eq!(store.get(&key(1), now + Duration::from_millis(4999)).as_ref().map(length), Some(3));
        assert!(store.get(&key(1), now + Duration::from_secs(ttl)).is_none());
        assert_eq!((store.held, store.turns.len()), (0, 0));
    }

    #[test]
    fn an_answer_that_is_larger_than_all_may_be_takes_no_other_ones_place() {
        let (mut store, now) = (Store::new(10_000, None), Instant::now());
        store.put(key(1), &answer(3), now);
        store.put(key(2), &answer(10_000), now);
        assert!(store.get(&key(2), now).is_none() && store.get(&key(1), now).is_some());
    }

    #[derive(Clone, Debug)]
    enum Step {
        Put(u8, usize),
        Get(u8),
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0u8..6, 0usize..900).prop_map(|(key, bytes)| Step::Put(key, bytes)),
            (0u8..6).prop_map(Step::Get),
            (0u64..4).prop_map(Step::Wait),
        ]
    }

    proptest! {
        /// The model is a list, the one that was used last at its end.
        #[test]
        fn the_least_recently_used_goes_first_and_the_bound_holds(steps in proptest::collection::vec(step(), 0..60)) {
            let (most, ttl, mut now) = (2_000, Duration::from_secs(9), Instant::now());
            let mut store = Store::new(most, Some(ttl));
            let mut model: Vec<(u8, usize, Instant)> = Vec::new();
            for step in steps {
                match step {
                    Step::Wait(seconds) => now += Duration::from_secs(seconds),
                    Step::Put(name, bytes) => {
                        store.put(key(name), &answer(bytes), now);
                        model.retain(|(other, ..)| *other != name);
                        model.push((name, bytes, now));
                        while model.iter().map(|(_, bytes, _)| weight(&answer(*bytes))).sum::<usize>() > most {
                            model.remove(0);
                        }
                    }
                    Step::Get(name) => {
                        model.retain(|(other, _, made)| *other != name || now - *made < ttl);
                        let at = model.iter().position(|(other, ..)| *other == name);
                        let found = at.map(|at| model.remove(at));
                        prop_assert_eq!(store.get(&key(name), now).as_ref().map(length), found.map(|(_, bytes, _)| bytes as i64));
                        model.extend(found);
                    }
                }
                prop_assert!(store.held <= most);
                prop_assert_eq!(store.entries.len(), store.turns.len());
            }
        }
    }
}
