//! Parameters of a request as the `InferParameter`s of a `ModelInferRequest`.

use serde_json::Value;

use crate::failure::{Code, Problem};
use crate::protocol::groups::Fields;
use crate::protocol::protobuf::{put_bytes, put_varint};
use crate::protocol::spec::Asked;

// ModelInferRequest
const PARAMETERS: u8 = 4;
// An entry of its map
const KEY: u8 = 1;
const VALUE: u8 = 2;
// InferParameter, each with its wire type
const BOOL: u8 = 1 << 3;
const INT64: u8 = 2 << 3;
const STRING: u8 = 3;
const DOUBLE: u8 = 4 << 3 | 1;
const UINT64: u8 = 5 << 3;

/// The one parameter that Triton's client sends as unsigned whatever its value.
const PRIORITY: &str = "priority";

/// The fields that hold the parameters of a call; empty where there are none.
pub(super) fn message(parameters: &Fields, asked: &Asked) -> Result<Vec<u8>, Problem> {
    let mut message = Vec::new();
    for (name, value) in parameters.of(asked) {
        let unfit = || Problem::new(Code::Input, format!("the parameter \"{name}\" is neither bool, number nor text"));
        let value = serde_json::from_str(&value).ok().and_then(|value| parameter(name, &value)).ok_or_else(unfit)?;
        let mut entry = Vec::new();
        put_bytes(&mut entry, KEY, name.as_bytes());
        put_bytes(&mut entry, VALUE, &value);
        put_bytes(&mut message, PARAMETERS, &entry);
    }
    Ok(message)
}

/// The `InferParameter` that tritonclient makes of a value.
fn parameter(name: &str, value: &Value) -> Option<Vec<u8>> {
    let mut parameter = Vec::new();
    let mut varint = |tag, value| {
        parameter.push(tag);
        put_varint(&mut parameter, value);
    };
    match value {
        Value::Bool(value) => varint(BOOL, u64::from(*value)),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (_, Some(number)) if name == PRIORITY => varint(UINT64, number),
            (Some(number), _) => varint(INT64, number as u64),
            (None, Some(number)) => varint(UINT64, number),
            (None, None) => {
                parameter.push(DOUBLE);
                parameter.extend_from_slice(&number.as_f64()?.to_le_bytes());
            }
        },
        Value::String(text) => put_bytes(&mut parameter, STRING, text.as_bytes()),
        _ => return None,
    }
    Some(parameter)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_type_has_a_field_of_its_own() {
        for (name, value, expected) in [
            ("a", json!(true), vec![0x08, 1]),
            ("a", json!(-1), [&[0x10][..], &[0xff; 9], &[1]].concat()),
            ("sequence_id", json!(7), vec![0x10, 7]),
            ("a", json!("é"), vec![0x1a, 2, 0xc3, 0xa9]),
            ("a", json!(0.5), [&[0x21][..], &0.5f64.to_le_bytes()].concat()),
            ("a", json!(u64::MAX), [&[0x28][..], &[0xff; 9], &[1]].concat()),
            ("priority", json!(3), vec![0x28, 3]),
        ] {
            assert_eq!(parameter(name, &value), Some(expected), "{value}");
        }
        for value in [json!(null), json!([]), json!({})] {
            assert_eq!(parameter("a", &value), None);
        }
    }
}
