//! What the call of a `Begin` node brings.

use super::{FLAG_OUTPUTS, Reader, names};
use crate::attributes::{self, Attributes};
use crate::element::ElementType;
use crate::failure::{Problem, malformed};

/// The output types of a `Begin` node's call: those of the attribute `output_types`, then those of `on_error="flag"`.
/// The graph cannot tell them, since the outputs are those of another node, the `Await`.
pub fn output_types(attributes: &dyn Attributes) -> Result<Vec<Option<ElementType>>, Problem> {
    let reader = Reader(attributes);
    let names = names(&attributes::OUTPUT_TYPES.read(attributes)?, attributes::OUTPUT_TYPES.name)?;
    let mut elements: Vec<_> = names.iter().map(|name| ElementType::from_name(name)).collect();
    if let Some(unknown) = elements.iter().position(Option::is_none) {
        return Err(malformed(format!("output_types names \"{}\", which is no type", names[unknown])));
    }
    elements.extend(reader.flag()?.then_some(FLAG_OUTPUTS.map(Some)).into_iter().flatten());
    Ok(elements)
}
