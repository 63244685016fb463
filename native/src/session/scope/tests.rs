use std::time::{Duration, Instant};

use super::*;
use crate::transport::runtime::block_on;

struct Echo;

impl Resolver for Echo {
    fn resolve(&self, name: &str) -> Result<Vec<u8>, String> {
        match name {
            "broken" => Err("no\nvalue".into()),
            "malformed" => Ok(b"a\r\nX-Evil: 1".to_vec()),
            "slow" => {
                std::thread::sleep(Duration::from_millis(300));
                Ok(Vec::new())
            }
            _ => Ok(name.into()),
        }
    }
}

fn secret(scope: &Scope, name: &str) -> Option<Result<String, Code>> {
    let peer = scope.peer(&Endpoint::parse("https://h:8000").unwrap()).unwrap();
    let deadline = Instant::now() + Duration::from_millis(100);
    let result = block_on(deadline, scope.secret(name, &peer))?;
    Some(result.map(|secret| secret.expose().to_owned()).map_err(|problem| problem.code))
}

#[test]
fn a_scope_is_read_strictly() {
    assert!(Scope::from_json("{}", None).is_ok());
    for config in [
        "",
        r#"{"x": 1}"#,
        r#"{"policy": {"x": 1}}"#,
        r#"{"policy": {"deny": ["h/x"]}}"#,
        r#"{"policy": {"max_concurrency": 0}}"#,
        r#"{"credentials": {"a": {}}}"#,
        r#"{"credentials": {"a": {"resolver": true}}}"#,
        r#"{"credentials": {"a": {"value": "v", "resolver": true}}}"#,
        r#"{"credentials": {"a": {"value": "v", "hosts": ["http://h/x"]}}}"#,
    ] {
        let code = Scope::from_json(config, None).err().unwrap().code;
        assert!(code == Code::Scope || code.as_str().starts_with("OH59"), "{config}: {code:?}");
    }
}

#[test]
fn a_malformed_scope_does_not_show_its_secrets() {
    let error = Scope::from_json(r#"{"credentials": {"a": ["s3cret"]}}"#, None).err().unwrap();
    assert!(!error.message.contains("s3cret"));
}

#[test]
fn secrets_come_from_values_and_resolvers() {
    let config = r#"{"credentials": {
        "v": {"value": "token"}, "bound": {"value": "token", "hosts": ["other"]},
        "r": {"resolver": true}, "broken": {"resolver": true}, "malformed": {"resolver": true}, "slow": {"resolver": true}}}"#;
    let scope = Scope::from_json(config, Some(Arc::new(Echo))).unwrap();
    assert_eq!(secret(&scope, "v"), Some(Ok("token".into())));
    assert_eq!(secret(&scope, "r"), Some(Ok("r".into())));
    assert_eq!(secret(&scope, "bound"), Some(Err(Code::CredentialHost)));
    assert_eq!(secret(&scope, "broken"), Some(Err(Code::CredentialProvider)));
    assert_eq!(secret(&scope, "malformed"), Some(Err(Code::CredentialMalformed)));
    assert_eq!(secret(&scope, "nobody"), Some(Err(Code::CredentialMissing)));
    assert_eq!(secret(&scope, "slow"), None);
}

#[test]
fn ids_are_forgotten() {
    let id = add(Scope::default());
    assert!(find(id).is_some());
    remove(id);
    assert!(find(id).is_none());
}
