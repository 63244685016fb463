//! What settings mean that leave something out.

use serde_json::{Map, Value, json};

use crate::failure::{Code, Problem};

/// Puts in what a strict policy has unless it says otherwise, as in Python, and takes out what is null.
pub fn complete(settings: &mut Value) -> Result<(), Problem> {
    if let Some(Value::Object(policy)) = settings.get_mut("policy") {
        check_certificate(policy.get("client_certificate"))?;
        let strict = policy.get("strict").is_some_and(|strict| !strict.is_null() && *strict != json!(false));
        if strict {
            hold(policy)?;
        } else {
            policy.remove("strict");
        }
    }
    drop_nulls(settings);
    Ok(())
}

/// Its first two are files, and the third may be elsewhere.
fn check_certificate(given: Option<&Value>) -> Result<(), Problem> {
    let Some(Value::Array(parts)) = given else { return Ok(()) };
    if parts.len() <= 3 && parts.iter().take(2).all(Value::is_string) {
        return Ok(());
    }
    let message = "policy.client_certificate is a list of the certificate's file and the key's, and as a third, where the key \
                   is encrypted, its passphrase: a text, {\"env\": …} or {\"file\": …}";
    Err(Problem::new(Code::SettingsValue, message))
}

fn hold(policy: &mut Map<String, Value>) -> Result<(), Problem> {
    if policy.get("allow").is_none_or(Value::is_null) {
        let message = "policy.strict names what it allows: policy.allow is a list, be it empty";
        return Err(Problem::new(Code::SettingsValue, message));
    }
    if policy.get("strict") == Some(&json!(true)) {
        policy.insert("strict".into(), json!({}));
    }
    // Null is what Python writes for none at all.
    policy.entry("max_concurrency").or_insert(json!(16));
    policy.entry("max_response_bytes").or_insert(json!(64 << 20));
    Ok(())
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(entries) => {
            entries.retain(|_, entry| !entry.is_null());
            entries.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}
