//! Which rows of a call are the same question.

use std::collections::HashMap;

use crate::run::bounds::Beyond;
use crate::session::cache::{Key, key};
use crate::session::fingerprint::Print;
use crate::tensor::{InputTensor, OwnedTensor};

/// The rows of a call as questions, each once.
pub(super) struct Plan {
    /// The questions.
    pub(super) keys: Vec<Key>,
    /// For each row its question.
    pub(super) questions: Vec<usize>,
    /// For each question the first row that asks it.
    first: Vec<usize>,
    with_rows: Vec<bool>,
}

impl Plan {
    /// The questions of `rows` rows of these tensors.
    pub(super) fn new(
        print: Print,
        tensors: &[InputTensor],
        with_rows: Vec<bool>,
        rows: usize,
    ) -> Result<Self, Beyond> {
        let mut plan = Self { keys: Vec::new(), questions: Vec::with_capacity(rows), first: Vec::new(), with_rows };
        let mut known = HashMap::new();
        for (row, key) in key::of_rows(print, tensors, &plan.with_rows, rows)?.into_iter().enumerate() {
            let question = *known.entry(key).or_insert(plan.keys.len());
            if question == plan.keys.len() {
                plan.keys.push(key);
                plan.first.push(row);
            }
            plan.questions.push(question);
        }
        Ok(plan)
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> usize {
        self.questions.len()
    }

    /// The rows that ask these questions.
    pub(super) fn rows_of(&self, questions: &[usize]) -> Vec<usize> {
        questions.iter().map(|question| self.first[*question]).collect()
    }

    /// The tensors with these of their rows; those that have none as they are.
    pub(super) fn gathered(&self, tensors: &[InputTensor], rows: &[usize]) -> Vec<OwnedTensor> {
        let gather = |(tensor, has_rows): (&InputTensor, &bool)| {
            if *has_rows { tensor.gathered(rows) } else { tensor.owned() }
        };
        tensors.iter().zip(&self.with_rows).map(gather).collect()
    }
}
