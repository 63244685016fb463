//! The table of all protocols that the library speaks.

use serde_json::{Map, Value, json};

use super::spec::ProtocolSpec;
use super::{azureml, headers, legacy, openai, triton_grpc, triton_http};
use crate::attributes;

/// Every protocol that the library speaks.
pub static PROTOCOLS: &[ProtocolSpec] = &[
    triton_http::SPEC,
    triton_grpc::SPEC,
    openai::audio::OPENAI,
    openai::chat::OPENAI,
    openai::responses::OPENAI,
    openai::embeddings::OPENAI,
    openai::audio::AZURE,
    openai::chat::AZURE,
    openai::embeddings::AZURE,
    azureml::SPEC,
    legacy::form::SPEC,
    legacy::text::SPEC,
];

/// The protocol called `name`.
pub fn find(name: &str) -> Option<&'static ProtocolSpec> {
    PROTOCOLS.iter().find(|spec| spec.name == name)
}

/// `{"attributes": …, "protocols": …, "refused_headers": …, "settings": …}`: the attributes that every node has, a row for
/// each protocol, the headers that no node gives, and the `settings` of sessions. The builders and the documentation are
/// made from it.
pub fn json(settings: &Value) -> String {
    let rows: Map<_, _> = PROTOCOLS.iter().map(|spec| (spec.name.to_owned(), row(spec))).collect();
    let refused: Map<_, _> = headers::REFUSED.iter().map(|(name, why)| ((*name).to_owned(), json!(why))).collect();
    json!({"attributes": attributes::json(), "protocols": rows, "refused_headers": refused, "settings": settings})
        .to_string()
}

fn row(spec: &ProtocolSpec) -> Value {
    let dtypes: Map<_, _> =
        spec.datatypes.iter().map(|(element, name)| (element.name().to_owned(), json!(name))).collect();
    let options: Map<_, _> =
        spec.options.iter().map(|option| (option.name.to_owned(), json!(option.kind.element().name()))).collect();
    let own_fields: Map<_, _> = spec.own_fields.iter().map(|(name, text)| ((*name).to_owned(), json!(text))).collect();
    json!({
        "schemes": spec.schemes,
        "authentication": spec.authentication.name(),
        "attributes": spec.attributes,
        "required": spec.required,
        "options": options,
        "required_options": spec.required_options,
        "own_fields": own_fields,
        "dtypes": dtypes,
        "batch": spec.batch.name(),
        "describes": spec.describe.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_json_with_a_row_for_each_protocol() {
        let tables: Value = serde_json::from_str(&json(&Value::Null)).unwrap();
        let table = &tables["protocols"];
        assert_eq!(table.as_object().unwrap().len(), PROTOCOLS.len());
        assert_eq!(table["triton.http"]["dtypes"]["float32"], "FP32");
        assert_eq!(table["triton.http"]["dtypes"]["str"], "BYTES");
    }

    #[test]
    fn what_is_required_is_one_of_those_that_there_are() {
        for spec in PROTOCOLS {
            assert!(spec.required.iter().all(|name| spec.attributes.contains(name)), "{}", spec.name);
            let options: Vec<_> = spec.options.iter().map(|option| option.name).collect();
            assert!(spec.required_options.iter().all(|name| options.contains(name)), "{}", spec.name);
        }
    }
}
