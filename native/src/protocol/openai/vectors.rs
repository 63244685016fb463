//! The vectors in an answer of embeddings, each as base64 of little-endian float32 or as a list of numbers.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Number;
use serde_json::value::RawValue;

use super::parse;
use crate::element::ElementType;
use crate::failure::{Code, Problem};
use crate::protocol::answer::answer;
use crate::protocol::json::Object;
use crate::protocol::kserve::json_data::{self, Elements};
use crate::protocol::kserve::little_endian;
use crate::run::bounds;

#[derive(Deserialize)]
struct Answered<'a> {
    #[serde(borrow)]
    data: Vec<Object<Item<'a>>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(default)]
    index: Option<Number>,
    #[serde(borrow)]
    embedding: &'a RawValue,
}

/// The bytes of `rows` vectors of one width, in order, and that width.
pub(super) fn read(json: &str, rows: usize) -> Result<(Vec<u8>, usize), Problem> {
    let answered: Answered = parse(json, "data")?;
    let mut elements = Elements { count: 0, bytes: Vec::new() };
    for (row, vector) in in_order(&answered.data, rows)?.into_iter().enumerate() {
        bounds::step()?;
        let before = elements.bytes.len();
        append(&mut elements, row, vector.get())?;
        let values = &elements.bytes;
        // The first vector says how wide the others are.
        if values.len() - before != values.len() / (row + 1) {
            return Err(unfit("the embeddings differ in length".into()));
        }
        if values.is_empty() {
            return Err(unfit("the embeddings are empty".into()));
        }
    }
    let width = elements.bytes.len() / 4 / rows.max(1);
    Ok((elements.bytes, width))
}

fn append(elements: &mut Elements, row: usize, vector: &str) -> Result<(), Problem> {
    let malformed = |what: &str| answer(format!("embedding {row} is {what}"));
    if vector.starts_with('"') {
        #[derive(Deserialize)]
        struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
        let Text(text) = serde_json::from_str(vector).map_err(|_| malformed("no text"))?;
        let bytes = STANDARD.decode(text.as_bytes()).map_err(|_| malformed("no base64"))?;
        if bytes.len() % 4 != 0 {
            return Err(unfit(format!("embedding {row} has {} bytes, no float32 values", bytes.len())));
        }
        elements.bytes.extend_from_slice(&little_endian(&bytes, 4));
    } else {
        let read = json_data::read_into(elements, vector, ElementType::Float32);
        read.map_err(|_| malformed("no list of numbers"))?;
    }
    Ok(())
}

fn unfit(message: String) -> Problem {
    Problem::new(Code::OutputShape, message)
}

/// The vectors by their index, each of which is there once; where none has an index, as they stand. One alone may lack
/// it, and has 0: whoever writes JSON by the rules of protobuf leaves out what is 0.
fn in_order<'a>(items: &[Object<Item<'a>>], rows: usize) -> Result<Vec<&'a RawValue>, Problem> {
    if items.len() != rows {
        return Err(unfit(format!("{} embeddings came in answer to {rows} texts", items.len())));
    }
    let without = items.iter().filter(|Object(item)| item.index.is_none()).count();
    if without == rows {
        return Ok(items.iter().map(|Object(item)| item.embedding).collect());
    }
    if without > 1 {
        return Err(answer(format!("{without} of {rows} embeddings have no index")));
    }
    let numbered = |Object(item): &Object<Item<'a>>| Ok((place(item.index.as_ref())?, item.embedding));
    let mut ordered = items.iter().map(numbered).collect::<Result<Vec<_>, Problem>>()?;
    ordered.sort_unstable_by_key(|(index, _)| *index);
    match ordered.iter().enumerate().find(|(row, (index, _))| *row as u64 != *index) {
        Some((row, _)) => Err(answer(format!("embedding {row} is missing, by the index of those that came"))),
        None => Ok(ordered.into_iter().map(|(_, vector)| vector).collect()),
    }
}

/// A whole number, be it written with a fraction of zero.
fn place(index: Option<&Number>) -> Result<u64, Problem> {
    let Some(index) = index else { return Ok(0) };
    let whole = || index.as_f64().filter(|index| index.fract() == 0.0 && (0.0..1e15).contains(index));
    let whole = index.as_u64().or_else(|| whole().map(|index| index as u64));
    whole.ok_or_else(|| answer(format!("{index} is no index of an embedding")))
}
