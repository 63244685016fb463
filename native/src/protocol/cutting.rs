//! Whether the batch of a node can be cut into slices, and which of its inputs are.

use std::collections::HashSet;

use super::declared::{DeclaredInput, DeclaredOutput, OwnAttributes};
use super::kserve::blobs;
use super::spec::{Batch, ProtocolSpec};
use crate::attributes::{Attributes, BATCH, BATCH_BYTES};
use crate::failure::{Problem, malformed};

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
