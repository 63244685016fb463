use proptest::prelude::*;
use serde_json::json;

use super::*;

#[test]
fn what_went_wrong_is_found_in_the_forms_of_many_services() {
    for (body, told) in [
        (json!({"error": "busy"}), "busy"),
        (json!({"error": {"message": "busy", "type": "server_error", "code": 503}}), "busy"),
        (json!({"error": {"error": {"message": "busy"}}}), "busy"),
        (json!({"object": "error", "message": "busy", "type": "NotFoundError", "param": null, "code": 404}), "busy"),
        (json!({"detail": "busy"}), "busy"),
        (
            json!({"detail": [{"loc": ["body", "model"], "msg": "field required"}, {"msg": "bad"}]}),
            "body.model: field required; bad",
        ),
        (json!({"statusCode": 401, "message": "busy"}), "busy"),
        (json!({"error_code": 17, "error_msg": "busy"}), "busy"),
        (json!({"success": false, "errors": [{"code": 5007, "message": "busy"}], "messages": []}), "busy"),
        (json!({"choices": null, "base_resp": {"status_code": 1004, "status_msg": "busy"}}), "busy"),
        (json!({"status": 500, "error": "Internal Server Error", "message": "busy"}), "Internal Server Error: busy"),
        (json!({"error": "busy", "message": "busy"}), "busy"),
        (json!({"error": "", "message": "busy"}), "busy"),
        (json!({"error": null, "message": "busy"}), "busy"),
    ] {
        assert_eq!(message(&body.to_string()).as_deref(), Some(told), "{body}");
    }
    for body in ["{}", "[]", "5", "", r#"{"error": 5}"#, r#"{"error": {"a": "b"}}"#, r#"{"message": ""}"#] {
        assert_eq!(message(body), None, "{body}");
    }
}

#[test]
fn what_a_filter_found_stands_behind_the_message() {
    let results = json!({
        "hate": {"filtered": true, "severity": "high"}, "violence": {"filtered": false, "severity": "low"},
        "jailbreak": {"filtered": true, "detected": true}, "error": {"code": "x"}
    });
    let inner = json!({"code": "ResponsibleAIPolicyViolation", "content_filter_result": results});
    let body = json!({"error": {"message": "no", "code": "content_filter", "status": 400, "innererror": inner}});
    let told = message(&body.to_string()).unwrap();
    assert_eq!(told, "no (ResponsibleAIPolicyViolation, hate (high), jailbreak)");
    let beside = json!({"error": {"message": "no", "content_filter_results": results, "innererror": null}});
    assert_eq!(message(&beside.to_string()).unwrap(), "no (hate (high), jailbreak)");
    assert_eq!(filtered("[]"), Vec::<String>::new());
}

#[test]
fn a_body_that_says_that_it_failed_is_told_from_an_answer() {
    for body in [
        json!({"choices": [1], "error": "busy"}),
        json!({"choices": [1], "error": {"message": "busy"}}),
        json!({"choices": [1], "object": "error", "message": "busy"}),
        json!({"choices": null, "message": "busy"}),
        json!({"detail": "busy"}),
        json!({"code": 400, "message": "busy"}),
    ] {
        assert_eq!(failure(&body.to_string(), "choices").as_deref(), Some("busy"), "{body}");
    }
    assert_eq!(failure(r#"{"error": {"a": 1}}"#, "choices").as_deref(), Some(r#"{"error": {"a": 1}}"#));
    for empty in ["null", "false", "0", "\"\"", "{ }", "[ ]"] {
        let body = format!(r#"{{"choices": [1], "error": {empty}, "message": "ok", "detail": 1, "object": "x"}}"#);
        assert_eq!(failure(&body, "choices"), None, "{body}");
    }
    for body in [
        r#"{"choices": [{"error": "no"}]}"#,
        "{}",
        "[]",
        "error",
        r#"{"choices": "error"}"#,
        r#"{"message": {"role": "a"}}"#,
    ] {
        assert_eq!(failure(body, "choices"), None, "{body}");
    }
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        let quoted = serde_json::to_string(&text).unwrap();
        let lists = format!(r#"{{"error": [{{"message": {quoted}}}, {text}]}}"#);
        let _ = (message(&text), failure(&text, "a"), filtered(&text), of_error(&text), message(&lists));
    }
}
