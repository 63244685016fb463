use std::fs;

use super::*;
use crate::endpoint::Endpoint;

fn refused(text: &str) -> (Code, String) {
    let problem = of_text(text).err().unwrap();
    (problem.code, problem.message)
}

#[test]
fn settings_are_read_as_they_are_written_in_python() {
    for text in [
        "{}",
        r#"{"credentials": null, "endpoints": {}, "policy": {}}"#,
        r#"{"credentials": {"a": "token", "b": {"value": "token", "hosts": "h"}, "c": {"env": "X", "hosts": ["h"]},
            "d": {"file": "/x", "hosts": ["https://h:8443"]}}}"#,
        r#"{"endpoints": {"gpu": "https://gpu.example", "many": ["https://a", "https://b"]}}"#,
        r#"{"policy": {"allow": ["h", "*.d", "10.0.0.0/8"], "deny": ["https://h:1"], "max_response_bytes": 1,
            "max_concurrency": 4, "breaker": {}, "budget": {"calls": 1, "bytes": 2, "cost": 0.5,
            "price": {"*": 1, "m": {"request": 1, "input_token": 0.1}}}}}"#,
        r#"{"policy": {"strict": true, "allow": []}}"#,
        r#"{"policy": {"strict": {"max_timeout": 1.5, "max_retries": 0}, "allow": ["h"], "max_concurrency": null}}"#,
        r#"{"policy": {"strict": false, "breaker": null}}"#,
    ] {
        assert!(of_text(text).is_ok(), "{text}: {:?}", of_text(text).err());
    }
}

/// Settings, the code of their refusal, and what it says.
const WRONG: &[(&str, Code, &str)] = &[
    ("", Code::SettingsJson, "line 1"),
    ("{'a': 1}", Code::SettingsJson, "line 1 column 2"),
    (r#"{"policy": {}, "policy": {}}"#, Code::SettingsJson, "twice"),
    (r#"{"credentials": {"a": "x", "a": "y"}}"#, Code::SettingsJson, "twice"),
    ("[]", Code::SettingsValue, "an object such as"),
    (r#""text""#, Code::SettingsValue, "an object such as"),
    (r#"{"policies": {}}"#, Code::SettingsKey, "did you mean \"policy\"?"),
    (r#"{"budget": {}}"#, Code::SettingsKey, "write it in \"policy\""),
    (r#"{"policy": {"maxConcurrency": 1}}"#, Code::SettingsKey, "did you mean \"max_concurrency\"?"),
    (
        r#"{"policy": {"budget": {"call": 1}}}"#,
        Code::SettingsKey,
        "policy.budget has no key \"call\"; did you mean \"calls\"?",
    ),
    (r#"{"policy": {"x": 1}}"#, Code::SettingsKey, "there are \"allow\""),
    (r#"{"credentials": {"a": {"resolver": true}}}"#, Code::SettingsKey, "credentials.a has no key \"resolver\""),
    (r#"{"policy": {"allow": "h"}}"#, Code::SettingsValue, "policy.allow is a list, each of it a text, not a text"),
    (r#"{"policy": {"deny": ["h", 1]}}"#, Code::SettingsValue, "policy.deny[1] is a text, not this number"),
    (r#"{"policy": {"max_concurrency": 0}}"#, Code::SettingsValue, "a whole number from 1 to 1048576"),
    (r#"{"policy": {"max_concurrency": 1.5}}"#, Code::SettingsValue, "policy.max_concurrency is a whole number"),
    (r#"{"policy": {"max_response_bytes": "1"}}"#, Code::SettingsValue, "policy.max_response_bytes is"),
    (r#"{"policy": {"breaker": {"failures": 0}}}"#, Code::SettingsValue, "policy.breaker.failures"),
    (r#"{"policy": {"breaker": 5}}"#, Code::SettingsValue, "an object with any of \"failures\", \"pause\""),
    (r#"{"policy": {"budget": {"price": {"m": -1}}}}"#, Code::SettingsValue, "policy.budget.price.m"),
    (r#"{"policy": {"strict": {}}}"#, Code::SettingsValue, "policy.allow"),
    (r#"{"policy": {"client_certificate": ["a"]}}"#, Code::SettingsValue, "policy.client_certificate"),
    (r#"{"policy": {"client_certificate": ["a", "b", "c", "d"]}}"#, Code::SettingsValue, "policy.client_certificate"),
    (r#"{"policy": {"client_certificate": ["a", {"env": "B"}]}}"#, Code::SettingsValue, "policy.client_certificate"),
    (r#"{"endpoints": {"gpu": []}}"#, Code::SettingsValue, "endpoints.gpu"),
    (r#"{"endpoints": ["https://h"]}"#, Code::SettingsValue, "endpoints is an object of names"),
    (r#"{"credentials": {"a": 5}}"#, Code::SettingsValue, "credentials.a is a text, or an object"),
    (r#"{"credentials": {"a": {}}}"#, Code::SettingsValue, "one of \"value\", \"env\" and \"file\""),
    (r#"{"credentials": {"a": {"value": "v", "env": "X"}}}"#, Code::SettingsValue, "one of \"value\""),
    (r#"{"credentials": {"a": {"env": "X"}}}"#, Code::SettingsValue, "credentials.a is not in the settings"),
    (r#"{"credentials": {"a": {"file": "/x", "hosts": []}}}"#, Code::SettingsValue, "credentials.a.hosts"),
    (r#"{"policy": {"egress": "{}"}}"#, Code::SettingsElsewhere, "policy.egress"),
    (r#"{"policy": {"strict": {"max_nodes": 1}, "allow": []}}"#, Code::SettingsElsewhere, "policy.strict.max_nodes"),
    (r#"{"record": "/x"}"#, Code::SettingsElsewhere, "record"),
    (
        r#"{"policy": {"client_certificate": ["a", "b", {"file": "/no/such/file"}]}}"#,
        Code::SettingsSource,
        "the passphrase of policy.client_certificate cannot be read",
    ),
];

#[test]
fn what_is_wrong_is_told_by_its_key_with_what_to_write() {
    for (text, code, said) in WRONG {
        let (found, message) = refused(text);
        assert!(found == *code && message.contains(said), "{text}: {found:?} {message}");
    }
}

#[test]
fn no_refusal_shows_what_might_be_a_secret() {
    for text in [
        r#"{"credentials": {"a": ["s3cret"]}}"#,
        r#"{"credentials": {"a": {"value": ["s3cret"]}}}"#,
        r#"{"credentials": {"a": {"s3cret": "value"}}}"#,
        r#"{"credentials": {"sk/s3cret": "openai"}}"#,
        r#"{"credentials": "s3cret"}"#,
        r#"{"s3cret": 1}"#,
        r#"{"credentials": {"a": "s3cret"#,
        r#"{"credentials": {"a": "s3cret\q"}}"#,
        r#"{"credentials": {"a": "s3cret", "a": "s3cret"}}"#,
        r#"{"credentials": {"a": "s3cret\r\n"}}"#,
        r#"{"endpoints": {"gpu": {"https://u:s3cret@h": 1}}}"#,
        "s3cret",
    ] {
        assert!(!refused(text).1.contains("s3cret"), "{text}");
    }
}

#[test]
fn a_text_may_name_a_file_with_the_settings() {
    let folder = std::env::temp_dir().join(format!("onnxhybrid-settings-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("settings.json");
    fs::write(&path, "\u{feff}{\"gpu\": \"https://h\"}").unwrap();
    let named = format!("@{}", path.display());
    let scope = of_texts(None, Some(&named), Some("{}")).unwrap();
    assert!(scope.peer(&Endpoint::parse("https://h").unwrap()).is_ok());
    fs::remove_dir_all(&folder).unwrap();
    let problem = of_texts(Some(&named), None, None).err().unwrap();
    assert_eq!(problem.code, Code::SettingsSource);
    assert!(problem.message.starts_with("credentials: the settings are in"), "{}", problem.message);
}

#[test]
fn what_a_text_of_three_says_is_told_by_its_own_path() {
    let problem = of_texts(None, None, Some(r#"{"alow": []}"#)).err().unwrap();
    assert!(problem.code == Code::SettingsKey && problem.message.starts_with("policy has no key \"alow\""));
    let problem = of_texts(Some("{"), None, None).err().unwrap();
    assert!(problem.code == Code::SettingsJson && problem.message.starts_with("credentials: "));
}
