//! Whether the batch of a node can be cut into slices, and which of its inputs are.

use std::collections::HashSet;

use super::declared::{DeclaredInput, DeclaredOutput, OwnAttributes};
use super::kserve::blobs;
use super::spec::{Batch, ProtocolSpec};
use crate::attributes::{Attributes, BATCH, BATCH_BYTES};
use crate::failure::{Problem, malformed};
use crate::shape::Shape;

/// What one request of a batch that is cut may hold; it has one row at least, whatever that takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Slice {
    /// Rows at most.
    pub rows: usize,
    /// Bytes of tensors at most.
    pub bytes: usize,
}

impl Slice {
    /// Reads the attributes `batch` and `batch_bytes`; `None` where neither bounds a request.
    pub fn read(attributes: &dyn Attributes) -> Result<Option<Self>, Problem> {
        let (rows, bytes) = (BATCH.read(attributes)?, BATCH_BYTES.read(attributes)?);
        let most = |bound| if bound == 0 { usize::MAX } else { usize::try_from(bound).unwrap_or(usize::MAX) };
        Ok((rows, bytes).ne(&(0, 0)).then(|| Self { rows: most(rows), bytes: most(bytes) }))
    }
}

/// How a batch is cut, and for each input whether it has rows, where its node asks for slices.
pub fn cut(
    protocol: &ProtocolSpec,
    own: &OwnAttributes,
    slice: Option<Slice>,
    (inputs, outputs): (&[DeclaredInput], &[DeclaredOutput]),
) -> Result<(Option<Slice>, Vec<bool>), Problem> {
    match (protocol.batch, slice) {
        (_, None) | (Batch::Row, _) => Ok((None, Vec::new())),
        (Batch::Whole, _) => {
            Err(malformed(format!("a batch is cut into rows, and what {} sends has none", protocol.name)))
        }
        (Batch::Request | Batch::Filled, slice) => {
            let whole = blobs::names(own.text(blobs::ATTRIBUTE));
            Ok((slice, with_rows(inputs, outputs, &whole)?))
        }
    }
}

/// Which inputs have rows that can be asked for each by itself; `None` where a call is one question. Beside the rule of
/// [`cut`], the number of rows is nowhere a size of something else, which would be another one for fewer rows, nothing is
/// taken for rows of which not even the rank is declared, and no input of another open size goes along, which may have the
/// same rows under another name: nobody asked for a cut here.
pub fn rows(
    protocol: &ProtocolSpec,
    own: &OwnAttributes,
    (inputs, outputs): (&[DeclaredInput], &[DeclaredOutput]),
) -> Option<Vec<bool>> {
    if protocol.batch == Batch::Row {
        return Some(vec![true; inputs.len()]);
    }
    let (_, with_rows) =
        cut(protocol, own, Some(Slice { rows: usize::MAX, bytes: usize::MAX }), (inputs, outputs)).ok()?;
    let leading = |index: usize| &inputs[index].shape;
    let named = (0..inputs.len()).filter(|index| with_rows[*index]).map(leading).find(|shape| shape.has_rows_of(shape));
    let is_size_of = |shape: &Shape, from| named.is_some_and(|named| shape.has_size(named, from));
    let is_declared = (0..inputs.len()).all(|index| !with_rows[index] || leading(index).rank().is_some())
        && outputs.iter().all(|output| output.shape.rank().is_some());
    let elsewhere = (0..inputs.len()).any(|index| is_size_of(leading(index), usize::from(with_rows[index])))
        || outputs.iter().any(|output| is_size_of(&output.shape, 1));
    let whole = blobs::names(own.text(blobs::ATTRIBUTE));
    let along = inputs.iter().zip(&with_rows).filter(|(input, has_rows)| !**has_rows && !whole.contains(&input.name));
    let is_fixed = along.into_iter().all(|(input, _)| !input.shape.shares_rows(&input.shape));
    (is_declared && !elsewhere && is_fixed).then_some(with_rows)
}

/// Which inputs have rows where a batch is cut: those whose first size is open, and called like that of the others. `Err`
/// where there is nothing to cut, or nothing that could be put together again. What is `whole` has no rows in any case.
fn with_rows(
    inputs: &[DeclaredInput],
    outputs: &[DeclaredOutput],
    whole: &HashSet<String>,
) -> Result<Vec<bool>, Problem> {
    let mut cut = inputs.iter().filter(|input| !whole.contains(&input.name)).map(|input| &input.shape);
    let Some(leading) = cut.find(|shape| shape.shares_rows(shape)) else {
        return Err(malformed("a batch is cut into rows, and no input has a first size that is left open"));
    };
    if let Some(other) =
        outputs.iter().find(|output| whole.contains(&output.name) || !output.shape.shares_rows(leading))
    {
        let what = "a batch is cut into rows, which by its declared first size are not those of output";
        return Err(malformed(format!("{what} \"{}\"", other.name)));
    }
    Ok(inputs.iter().map(|input| !whole.contains(&input.name) && input.shape.shares_rows(leading)).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::element::ElementType;
    use crate::protocol::table;
    use crate::shape::ShapeParser;

    fn rows_of(protocol: &str, inputs: &[Value], outputs: &[Value]) -> Option<Vec<bool>> {
        let mut parser = ShapeParser::default();
        let mut shape = |value: &Value| parser.parse(value).unwrap();
        let inputs: Vec<_> =
            inputs.iter().map(|value| DeclaredInput { name: "x".into(), shape: shape(value) }).collect();
        let outputs: Vec<_> = outputs
            .iter()
            .map(|value| DeclaredOutput {
                name: "y".into(),
                element: ElementType::Float32,
                shape: shape(value),
                is_blob: false,
            })
            .collect();
        rows(table::find(protocol).unwrap(), &OwnAttributes::default(), (&inputs, &outputs))
    }

    #[test]
    fn rows_are_asked_for_one_by_one_where_their_number_is_the_size_of_nothing_else() {
        let triton = |inputs: &[Value], outputs: &[Value]| rows_of("triton.http", inputs, outputs);
        assert_eq!(triton(&[json!(["n", 3]), json!([2])], &[json!(["n"])]), Some(vec![true, false]));
        assert_eq!(triton(&[json!([null, 3])], &[json!([null])]), Some(vec![true]));
        assert_eq!(triton(&[json!(null)], &[json!(["n"])]), None);
        assert_eq!(triton(&[json!(["n"])], &[json!(null)]), None);
        assert_eq!(triton(&[json!(["n", "n"])], &[json!(["n"])]), None);
        assert_eq!(triton(&[json!(["n", 3]), json!([1, "n"])], &[json!(["n"])]), None);
        assert_eq!(triton(&[json!(["n", 3])], &[json!(["n", "n"])]), None);
        assert_eq!(triton(&[json!(["n", 3])], &[json!(["m"])]), None);
        assert_eq!(triton(&[json!(["n", 3]), json!(["m", 3])], &[json!(["n"])]), None);
        assert_eq!(triton(&[json!(["n", 3]), json!([null, 3])], &[json!(["n"])]), Some(vec![true, true]));
        assert_eq!(rows_of("openai.chat", &[json!([])], &[json!(null)]), Some(vec![true]));
        assert_eq!(rows_of("openai.audio", &[json!(["n"])], &[json!(["n"])]), None);
    }
}
