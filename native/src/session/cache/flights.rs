//! Questions that are under way, each asked by one call and awaited by any number of others.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::thread::ThreadId;
use std::time::Instant;

use tokio::sync::watch::{Receiver, Sender, channel};

use super::settings::Settings;
use super::store::{Answer, Key, Store};
use crate::failure::Problem;
use crate::guard::lock;
use crate::run::forks::PerProcess;

/// What a node has been answered, and what it is asking.
pub struct Cache {
    store: Mutex<Store>,
    /// Those of a parent process have nobody who could end them.
    flights: PerProcess<Mutex<Flights>>,
}

type Flights = HashMap<Key, Flight>;

struct Flight {
    landing: Receiver<Landing>,
    /// The thread that asks, where one does while it waits. What that thread begins meanwhile, as a host's signal handler
    /// may, would wait for itself.
    thread: Option<ThreadId>,
}

/// What has become of a question.
#[derive(Clone)]
enum Landing {
    UnderWay,
    Answered(Answer),
    Failed,
}

/// Asks the questions at these places. Their answers come in this order; `None` where what came is no answer to each.
pub type Asking<'a> = Pin<Box<dyn Future<Output = Result<Option<Vec<Answer>>, Problem>> + Send + 'a>>;

impl Cache {
    /// An empty one.
    pub fn new(settings: &Settings) -> Self {
        let most = usize::try_from(settings.max_bytes).unwrap_or(usize::MAX);
        Self { store: Mutex::new(Store::new(most, settings.ttl)), flights: PerProcess::default() }
    }

    /// The answers to `keys`, each of which is another one, and how many of them had to be asked for. `None` where that
    /// gave no answer to each. `thread` is the one that asks, where none of the runtime does.
    pub async fn answers<'a>(
        &self,
        keys: &[Key],
        thread: Option<ThreadId>,
        mut ask: impl FnMut(Vec<usize>) -> Asking<'a>,
    ) -> Result<Option<(Vec<Answer>, usize)>, Problem> {
        let (mut answers, mut alone, mut asked) = (vec![None; keys.len()], vec![false; keys.len()], 0);
        let mut open: Vec<usize> = (0..keys.len()).collect();
        while !open.is_empty() {
            let (mut leading, mut following) = (Vec::new(), Vec::new());
            for place in open.drain(..) {
                match self.look(&keys[place], thread, alone[place]) {
                    Look::Known(answer) => answers[place] = Some(answer),
                    Look::Lead(lead) => leading.push((place, lead)),
                    Look::Follow(flight) => following.push((place, flight)),
                }
            }
            if !leading.is_empty() {
                let outcome = ask(leading.iter().map(|(place, _)| *place).collect()).await;
                let Ok(Some(brought)) = outcome else {
                    leading.into_iter().for_each(|(_, lead)| lead.end(Landing::Failed));
                    return outcome.map(|_| None);
                };
                asked += leading.len();
                for ((place, lead), answer) in leading.into_iter().zip(brought) {
                    answers[place] = Some(answer.clone());
                    lead.end(Landing::Answered(answer));
                }
            }
            // Only now: two calls that follow each other's questions have asked their own.
            for (place, flight) in following {
                match landed(flight).await {
                    Landing::Answered(answer) => answers[place] = Some(answer),
                    outcome => {
                        alone[place] = matches!(outcome, Landing::Failed);
                        open.push(place);
                    }
                }
            }
        }
        Ok(answers.into_iter().collect::<Option<Vec<_>>>().map(|answers| (answers, asked)))
    }

    /// Who is to answer; `alone` follows nobody.
    fn look(&self, key: &Key, thread: Option<ThreadId>, alone: bool) -> Look<'_> {
        let mut flights = lock(&self.flights);
        if let Some(answer) = lock(&self.store).get(key, Instant::now()) {
            return Look::Known(answer);
        }
        match flights.get(key) {
            Some(flight) if !alone && (thread.is_none() || flight.thread != thread) => {
                Look::Follow(flight.landing.clone())
            }
            Some(_) => Look::Lead(Lead { cache: self, key: *key, flight: None }),
            None => {
                let (sender, landing) = channel(Landing::UnderWay);
                flights.insert(*key, Flight { landing, thread });
                Look::Lead(Lead { cache: self, key: *key, flight: Some(sender) })
            }
        }
    }
}

enum Look<'a> {
    /// The answer is there.
    Known(Answer),
    /// Who looked asks.
    Lead(Lead<'a>),
    /// Somebody else asks.
    Follow(Receiver<Landing>),
}

/// A question that is to be asked. Dropped without an end it was given up.
struct Lead<'a> {
    cache: &'a Cache,
    key: Key,
    /// Where others wait for it; none where another one leads as well.
    flight: Option<Sender<Landing>>,
}

impl Lead<'_> {
    /// Keeps an answer, and tells those who wait.
    fn end(mut self, landing: Landing) {
        let flight = self.flight.take();
        let mut flights = lock(&self.cache.flights);
        if let Landing::Answered(answer) = &landing {
            lock(&self.cache.store).put(self.key, answer, Instant::now());
        }
        forget(&mut flights, &self.key, flight.as_ref());
        drop(flights);
        if let Some(flight) = flight {
            flight.send_replace(landing);
        }
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        if let Some(flight) = self.flight.take() {
            forget(&mut lock(&self.cache.flights), &self.key, Some(&flight));
            // Dropped here, after the lock: those who wait are woken.
            drop(flight);
        }
    }
}

/// Removes a flight; that of another process has left its table.
fn forget(flights: &mut Flights, key: &Key, flight: Option<&Sender<Landing>>) {
    if flight.zip(flights.get(key)).is_some_and(|(sender, known)| known.landing.same_channel(&sender.subscribe())) {
        flights.remove(key);
    }
}

/// What becomes of a flight; under way still where it was given up.
async fn landed(mut flight: Receiver<Landing>) -> Landing {
    let landed = flight.wait_for(|landing| !matches!(landing, Landing::UnderWay)).await;
    landed.map_or(Landing::UnderWay, |landing| landing.clone())
}
