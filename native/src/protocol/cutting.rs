//! Whether the batch of a node can be cut into slices, and which of its inputs are.

use std::collections::HashSet;

use super::declared::{DeclaredInput, DeclaredOutput, OwnAttributes};
use super::kserve::blobs;
use super::spec::{Batch, ProtocolSpec};
use crate::failure::{Problem, malformed};

/// Rows of one request at most, and for each input whether it has rows, where the attribute `batch` is `most`.
pub fn cut(
    protocol: &ProtocolSpec,
    own: &OwnAttributes,
    most: u64,
    (inputs, outputs): (&[DeclaredInput], &[DeclaredOutput]),
) -> Result<(Option<usize>, Vec<bool>), Problem> {
    match protocol.batch {
        _ if most == 0 => Ok((None, Vec::new())),
        Batch::Whole => Err(malformed(format!("batch is {most}, and what {} sends has no rows", protocol.name))),
        Batch::Row => Ok((None, Vec::new())),
        Batch::Request | Batch::Filled => {
            let whole = blobs::names(own.text(blobs::ATTRIBUTE));
            Ok((Some(usize::try_from(most).unwrap_or(usize::MAX)), with_rows(inputs, outputs, &whole)?))
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
