//! In which form a server takes tensors, as far as its answers have shown.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, MutexGuard};

use crate::run::forks::PerProcess;

/// A form of tensors in a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// Bytes behind the JSON of the request.
    Bytes,
    /// Lists within it.
    Json,
}

/// How a server answered to the question in which form it takes tensors, where it did not say it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Evasion {
    /// It has no place for such a question.
    NoPlace,
    /// It answered as it does to whatever it is asked: with the status of the refusal, or with another success.
    Alike,
    /// It gave no answer, or a failure of its own.
    Silence,
}

impl Evasion {
    /// How long it is not asked again.
    fn patience(self) -> Duration {
        match self {
            Self::NoPlace => Duration::from_secs(60),
            Self::Alike | Self::Silence => Duration::from_secs(1),
        }
    }
}

/// What is known of one server, shared by all nodes of a session that call it.
#[derive(Default)]
pub struct Spoken {
    /// 0 until it is known.
    form: AtomicU8,
    asked: PerProcess<Mutex<Asked>>,
}

/// The last question that brought no answer.
#[derive(Default)]
pub struct Asked(Option<(Evasion, Instant)>);

impl Asked {
    /// How the server evaded the last question, if that was not long ago.
    pub fn lately(&self) -> Option<Evasion> {
        self.0.filter(|(evasion, when)| when.elapsed() < evasion.patience()).map(|(evasion, _)| evasion)
    }

    /// Keeps how it evaded this one.
    pub fn keep(&mut self, evasion: Evasion) {
        self.0 = Some((evasion, Instant::now()));
    }
}

impl Spoken {
    /// The form, once it is known.
    pub fn form(&self) -> Option<Form> {
        match self.form.load(Ordering::Relaxed) {
            1 => Some(Form::Bytes),
            2 => Some(Form::Json),
            _ => None,
        }
    }

    /// Keeps it.
    pub fn learn(&self, form: Form) {
        self.form.store(if form == Form::Bytes { 1 } else { 2 }, Ordering::Relaxed);
    }

    /// Waits until nobody else asks the server.
    pub async fn turn(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_known_once_it_is_learned_and_the_last_lesson_counts() {
        let spoken = Spoken::default();
        assert_eq!(spoken.form(), None);
        for form in [Form::Bytes, Form::Json] {
            spoken.learn(form);
            assert_eq!(spoken.form(), Some(form));
        }
    }

    #[test]
    fn a_question_that_was_evaded_is_not_put_again_at_once() {
        let mut asked = Asked::default();
        assert_eq!(asked.lately(), None);
        for evasion in [Evasion::NoPlace, Evasion::Alike, Evasion::Silence] {
            asked.keep(evasion);
            assert_eq!(asked.lately(), Some(evasion));
        }
        asked.0 = Some((Evasion::Silence, Instant::now() - Evasion::Silence.patience()));
        assert_eq!(asked.lately(), None);
    }
}
