//! What an answer holds: outputs by name, under one key, as rows, or bare.

use std::fmt;

use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::super::declared::DeclaredOutput;
use super::super::json::{entries, not_null};
use super::super::nested;
use super::super::told;
use super::form::Form;
use crate::failure::{Code, Problem};
use crate::run::bounds;
use crate::tensor::OutputTensor;

/// The key of a failure that a script reports.
const ERROR: &str = "error";

/// Reads the outputs in the JSON `text` of a success.
///
/// An object holds them by name, or all of them under the form's own key. What is no object is the one output there is;
/// a list of objects is a table by rows, as MLflow writes it. `is_of_rows` says whether so many rows are as many as were
/// asked for, where an output has these.
pub(super) fn read(
    text: &str,
    form: Form,
    declared: &[DeclaredOutput],
    is_of_rows: impl Fn(&DeclaredOutput, i64) -> bool,
) -> Result<Vec<OutputTensor>, Problem> {
    if !text.trim_start().starts_with('{') {
        return bare(text, declared, is_of_rows);
    }
    let own = form.result_key();
    let names: Vec<_> = declared.iter().map(|output| output.name.as_str()).collect();
    let keys: Vec<_> = own.into_iter().chain(names.iter().copied()).chain([ERROR]).collect();
    let found = entries(text, &keys).map_err(answer)?;
    // An output may be called as a failure is; it stands first then.
    if let Some(error) = not_null(&found, keys.len() - 1) {
        return Err(failed(error, text));
    }
    match own {
        _ if found.is_empty() => Err(nothing_of(text, keys.first().copied().unwrap_or_default())),
        Some(key) if found.iter().any(|(index, _)| *index == 0) => {
            values(one(&found, 0, key).map_err(answer)?, declared)
        }
        own => by_name(&found, usize::from(own.is_some()), declared),
    }
}

/// Outputs of which nothing but type, rank and rows says that they are a result, and no other JSON.
fn bare(
    text: &str,
    declared: &[DeclaredOutput],
    is_of_rows: impl Fn(&DeclaredOutput, i64) -> bool,
) -> Result<Vec<OutputTensor>, Problem> {
    let outputs = values(text, declared).map_err(|problem| match problem.code {
        Code::OutputType | Code::OutputShape => answer(problem.message),
        _ => problem,
    })?;
    let fits = |output: &OutputTensor, declared: &DeclaredOutput| {
        let rank = declared.shape.rank().unwrap_or(output.shape.len());
        rank == output.shape.len() && output.shape.first().is_none_or(|size| is_of_rows(declared, *size))
    };
    match outputs.iter().zip(declared).find(|(output, declared)| !fits(output, declared)) {
        None => Ok(outputs),
        Some((output, declared)) => {
            let (name, shape) = (&declared.name, &output.shape);
            let why = "other dimensions, or other rows than were asked for";
            Err(answer(format!("it is no object, and as output \"{name}\" has shape {shape:?}: {why}")))
        }
    }
}

/// The problem of an object in which nothing is that was looked for, `key` first: what it says of a failure, or which
/// form it has.
fn nothing_of(text: &str, key: &str) -> Problem {
    if let Some(reported) = told::failure(text, key) {
        return super::super::answer::failed(reported);
    }
    let others = [("result", "data"), ("predictions", "mlflow")];
    let found = entries(text, &others.map(|(other, _)| other)).unwrap_or_default();
    let hint = found.first().map(|(index, _)| others[*index]);
    let hint = hint.map(|(other, form)| format!("; it holds \"{other}\", as form=\"{form}\" has it"));
    answer(format!("\"{key}\" is missing{}", hint.unwrap_or_default()))
}

/// Outputs that are not in an object of their own: by name, as rows, or one alone.
fn values(text: &str, declared: &[DeclaredOutput]) -> Result<Vec<OutputTensor>, Problem> {
    let start = text.trim_start();
    if start.starts_with('{') {
        let names: Vec<_> = declared.iter().map(|output| output.name.as_str()).collect();
        return by_name(&entries(text, &names).map_err(answer)?, 0, declared);
    }
    if start.strip_prefix('[').is_some_and(|rest| rest.trim_start().starts_with('{')) {
        return by_row(text, declared);
    }
    match declared {
        [only] => Ok(vec![nested::read(text, only)?]),
        several => {
            let names: Vec<_> = several.iter().map(|output| output.name.as_str()).collect();
            Err(answer(format!("it is a bare value, where the outputs are {}", names.join(", "))))
        }
    }
}

fn by_name(
    found: &[(usize, &RawValue)],
    before: usize,
    declared: &[DeclaredOutput],
) -> Result<Vec<OutputTensor>, Problem> {
    let output = |(index, output): (usize, &DeclaredOutput)| {
        nested::read(one(found, before + index, &output.name).map_err(answer)?, output)
    };
    declared.iter().enumerate().map(output).collect()
}

/// A table as a list of objects: each output is a column.
fn by_row(text: &str, declared: &[DeclaredOutput]) -> Result<Vec<OutputTensor>, Problem> {
    let mut columns = vec![String::from("["); declared.len()];
    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer.deserialize_seq(Rows { declared, columns: &mut columns }).map_err(answer)?;
    deserializer.end().map_err(answer)?;
    let output = |(mut column, output): (String, &DeclaredOutput)| {
        column.push(']');
        nested::read(&column, output)
    };
    columns.into_iter().zip(declared).map(output).collect()
}

struct Rows<'a> {
    declared: &'a [DeclaredOutput],
    /// The values of each output, as the JSON text of a list that is still open.
    columns: &'a mut [String],
}

impl<'de> Visitor<'de> for Rows<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        let names: Vec<_> = self.declared.iter().map(|output| output.name.as_str()).collect();
        while let Some(row) = rows.next_element::<&'de RawValue>()? {
            bounds::hold(row.get().len()).map_err(A::Error::custom)?;
            let found = entries(row.get(), &names).map_err(A::Error::custom)?;
            for (index, (column, name)) in self.columns.iter_mut().zip(&names).enumerate() {
                let value = one(&found, index, name).map_err(A::Error::custom)?;
                if column.len() > 1 {
                    column.push(',');
                }
                column.push_str(value);
            }
        }
        Ok(())
    }
}

/// The one value at `index`, which is called `key`; `Err` says what there is instead.
fn one<'a>(entries: &[(usize, &'a RawValue)], index: usize, key: &str) -> Result<&'a str, String> {
    let mut found = entries.iter().filter(|(name, _)| *name == index);
    match (found.next(), found.next()) {
        (Some((_, value)), None) => Ok(value.get()),
        (None, _) => Err(format!("\"{key}\" is missing")),
        _ => Err(format!("\"{key}\" came twice")),
    }
}

/// The failure that a script reports in an answer with status 200: the value of `"error"` in `text`.
fn failed(error: &str, text: &str) -> Problem {
    let told = serde_json::from_str::<String>(error).ok().or_else(|| told::message(text));
    Problem::new(Code::Answer, format!("the scoring script failed: {}", told.as_deref().unwrap_or(error)))
}

/// The problem of an answer that is no scoring result.
pub(super) fn answer(what: impl fmt::Display) -> Problem {
    Problem::new(Code::Answer, format!("the answer is no scoring result: {what}"))
}
