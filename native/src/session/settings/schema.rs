//! The words of a session's settings, each declared once: what a session is opened with in any language.

use serde_json::Value;

use super::form::{Form, Naming};

use Form::{Count, Either, Elsewhere, Flag, Keys, List, Named, Names, Number, Text};

const DAY: f64 = 86_400.0;
/// The largest count; no message needs to tell it.
const ANY: u64 = u64::MAX;
const MONEY: Form = Number(0.0, 1e9);

const HOSTS: Form = Either(&[Named, List(1, &Named)]);
const VALUE: (&str, Form) = ("value", Text);
const ENV: (&str, Form) = ("env", Named);
const FILE: (&str, Form) = ("file", Named);

/// A credential: its text, or where it is, and the hosts that may have it.
const CREDENTIAL: Form = Either(&[Text, Keys(&[VALUE, ENV, FILE, ("hosts", HOSTS)])]);
const CREDENTIALS: Form = Names(Naming::Short, &CREDENTIAL);

/// A credential of a host language, which may be asked for its value.
const HOST_CREDENTIAL: Form =
    Either(&[Text, Keys(&[VALUE, ENV, FILE, ("hosts", Either(&[Named, List(0, &Named)])), ("resolver", Flag)])]);

/// One URL, or several that are tried in turn.
const ENDPOINTS: Form = Names(Naming::Short, &Either(&[Named, List(1, &Named)]));

const PRICE: Form = Either(&[MONEY, Keys(&[("request", MONEY), ("input_token", MONEY), ("output_token", MONEY)])]);

/// What a session may spend; a host can say `more` of it.
macro_rules! budget {
    ($($more:expr)?) => {
        Keys(&[
            ("calls", Count(0, ANY)),
            ("bytes", Count(0, ANY)),
            ("cost", MONEY),
            ("price", Names(Naming::Free, &PRICE)),
            ("ledger", Named),
            $($more)?
        ])
    };
}

const BREAKER: Form = Keys(&[("failures", Count(1, u32::MAX as u64)), ("pause", Number(0.0, DAY))]);

/// The certificate's file, the key's, and the passphrase of a key that is encrypted.
const CERTIFICATE: Form = List(2, &Either(&[Named, Keys(&[ENV, FILE])]));

const STRICT: Form = Either(&[
    Flag,
    Keys(&[
        ("max_timeout", Number(0.001, DAY)),
        ("max_retries", Count(0, 100)),
        ("max_request_bytes", Count(0, ANY)),
        ("max_nodes", Elsewhere(BY_PYTHON)),
    ]),
]);

const BY_PYTHON: &str = "this is held against the file before it opens, which oh.Session in Python does and the operator \
                         library cannot; check the file where it is made, and leave it out here";

macro_rules! policy {
    ($budget:expr) => {
        Keys(&[
            ("allow", List(0, &Text)),
            ("deny", List(0, &Text)),
            ("max_response_bytes", Count(1, ANY)),
            ("max_concurrency", Count(1, 1 << 20)),
            ("budget", $budget),
            ("breaker", BREAKER),
            ("ca_file", Named),
            ("client_certificate", CERTIFICATE),
            ("strict", STRICT),
            ("egress", Elsewhere(BY_PYTHON)),
            ("send_external_data", Elsewhere(BY_PYTHON)),
        ])
    };
}

/// What a session is given as text.
pub static SESSION: Form = Keys(&[
    ("credentials", CREDENTIALS),
    ("endpoints", ENDPOINTS),
    ("policy", policy!(budget!())),
    ("record", Elsewhere("records are made and replayed by oh.Session in Python, and by onnxhybrid_scope_create in C")),
    ("replay", Elsewhere("records are made and replayed by oh.Session in Python, and by onnxhybrid_scope_create in C")),
]);

/// What a host language's own session is made of: the same, and what such a host can do beside it.
pub static HOST: Form = Keys(&[
    ("credentials", Names(Naming::Short, &HOST_CREDENTIAL)),
    ("endpoints", ENDPOINTS),
    ("policy", policy!(budget!(("lent", Flag)))),
    ("events", Flag),
    ("record", Named),
    ("replay", Named),
]);

/// The words of a session's settings as JSON.
pub fn json() -> Value {
    SESSION.json()
}
