//! A `ModelConfigResponse`, as far as it says which inputs may be left out.
//!
//! Source: <https://github.com/triton-inference-server/common/blob/main/protobuf/model_config.proto>.

use crate::failure::Problem;
use crate::protocol::kserve::output::answer;
use crate::protocol::protobuf::{Cursor, Value};
use crate::run::bounds;

// ModelConfigResponse, ModelConfig and ModelInput
const CONFIG: u32 = 1;
const INPUT: u32 = 5;
const NAME: u32 = 1;
const OPTIONAL: u32 = 8;

/// The names of the optional inputs.
pub(super) fn optional(message: Cursor) -> Result<Vec<String>, Problem> {
    let mut names = Vec::new();
    for config in message.fields() {
        let (CONFIG, config) = config? else { continue };
        for input in config.length()?.fields() {
            bounds::step()?;
            let (INPUT, input) = input? else { continue };
            names.extend(name(input)?);
        }
    }
    Ok(names)
}

/// The name of an input that may be left out.
fn name(input: Value) -> Result<Option<String>, Problem> {
    let (mut name, mut optional) = (None, false);
    for field in input.length()?.fields() {
        bounds::step()?;
        match field? {
            (NAME, value) => name = Some(value.length()?.to_text()?.into_owned()),
            (OPTIONAL, value) => value.varints(|value| {
                optional = value != 0;
                Ok::<_, Problem>(())
            })?,
            _ => {}
        }
    }
    if optional { name.map(Some).ok_or_else(|| answer("an input of its configuration has no name")) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::protocol::protobuf::{put_bytes, put_varint};
    use crate::tensor::Chunks;

    #[test]
    fn a_configuration_names_the_inputs_that_may_be_left_out() {
        let mut config = Vec::new();
        for (name, optional) in [("a", None), ("b", Some(1)), ("c", Some(0))] {
            let mut input = Vec::new();
            put_bytes(&mut input, 1, name.as_bytes());
            if let Some(optional) = optional {
                put_varint(&mut input, 8 << 3);
                put_varint(&mut input, optional);
            }
            put_bytes(&mut config, 5, &input);
            put_bytes(&mut config, 6, b"\x0a\x01y");
        }
        let mut message = Vec::new();
        put_bytes(&mut message, 1, &config);
        let body = Chunks::from(Bytes::from(message));
        assert_eq!(optional(Cursor::new(&body)).unwrap(), ["b"]);
    }
}
