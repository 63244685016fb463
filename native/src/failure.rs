//! Failures: the codes, the message that a user reads, and the JSON that a program reads.

use std::fmt;

use serde_json::{Value, json};

/// Declares the codes, each once: what it means, its name here, and how people write it.
macro_rules! codes {
    ($($(#[$meaning:meta])* $name:ident = $text:literal,)*) => {
        /// What went wrong, as one of the codes of the project's register.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum Code {
            $($(#[$meaning])* $name,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as people write it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

codes! {
    /// The node itself is malformed.
    Node = "OH301",
    /// A header that a node cannot have.
    Header = "OH322",
    /// A further field or parameter that the protocol sends itself.
    OwnField = "OH323",
    /// An error of this library.
    Internal = "OH500",
    /// No connection could be made.
    Connect = "OH501",
    /// The deadline passed.
    Deadline = "OH502",
    /// The server answered with an error status.
    Status = "OH503",
    /// The answer is not what the protocol promises.
    Answer = "OH504",
    /// An output's type differs from the declared one.
    OutputType = "OH505",
    /// An output's shape or size does not fit.
    OutputShape = "OH506",
    /// The answer is larger than the policy allows.
    TooLarge = "OH507",
    /// The answer ended early, or the connection was lost.
    CutShort = "OH508",
    /// An input cannot be sent.
    Input = "OH509",
    /// There is no such credential.
    CredentialMissing = "OH510",
    /// The credential is not bound to this host.
    CredentialHost = "OH511",
    /// The credential is malformed.
    CredentialMalformed = "OH512",
    /// The credential's provider failed.
    CredentialProvider = "OH513",
    /// The run was cancelled.
    Cancelled = "OH514",
    /// The ticket is unknown.
    Ticket = "OH515",
    /// What is awaited is not what was begun.
    TicketOutputs = "OH516",
    /// An endpoint by name leads nowhere.
    Nowhere = "OH574",
    /// What an endpoint's name is resolved to cannot be called.
    Resolved = "OH576",
    /// Refused by policy.
    Policy = "OH520",
    /// Over the budget.
    Budget = "OH521",
    /// The budget knows no price.
    NoPrice = "OH522",
    /// The circuit breaker is open.
    Breaker = "OH523",
    /// A request is larger than the policy allows.
    Ceiling = "OH524",
    /// The scope is unknown, or its configuration malformed.
    Scope = "OH530",
    /// Certificates that were added cannot be used.
    Trust = "OH531",
    /// The request is not in the record.
    Unrecorded = "OH532",
    /// The record's file cannot be used.
    Record = "OH533",
    /// A file cannot be used as a ledger.
    LedgerFile = "OH581",
    /// The ledger cannot be read or written any more.
    Ledger = "OH582",
    /// The ledger is locked for too long.
    LedgerLocked = "OH583",
    /// A session's settings are no JSON.
    SettingsJson = "OH590",
    /// A session's settings have a key that there is not.
    SettingsKey = "OH591",
    /// A session's settings have another value than their key takes.
    SettingsValue = "OH592",
    /// A session's settings say what is held elsewhere.
    SettingsElsewhere = "OH593",
    /// What a session's settings name cannot be read.
    SettingsSource = "OH594",
    /// The runtime takes no execution provider that brings operators.
    NoProviders = "OH554",
    /// A session has the operators twice.
    TwoDoors = "OH595",
    /// The execution provider has no such option.
    ProviderOption = "OH596",
    /// A configuration entry of a run is malformed.
    RunEntry = "OH597",
    /// The execution provider of a session that is open has no such option.
    DynamicOption = "OH598",
    /// Who lends a budget cannot be asked.
    Lender = "OH670",
    /// Audited rows refute what a certificate promises.
    Alarm = "OH635",
}

impl Code {
    /// The code that people write as `text`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }

    /// Whether the fault lies in the session and not in a remote. Such a failure is always an error, never a flag: a
    /// fallback would hide it.
    pub fn is_of_the_session(self) -> bool {
        matches!(self, Self::Internal | Self::Unrecorded | Self::Record | Self::Ledger | Self::Lender)
    }
}

/// What went wrong, without the node that it happened to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// What kind of failure.
    pub code: Code,
    /// One sentence, without the code.
    pub message: String,
    /// The status of the server's answer, if one came.
    pub status: Option<u16>,
}

impl Problem {
    /// A problem without an answer's status.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), status: None }
    }

    /// The same problem, with the status of the answer that showed it.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// The same problem with a message that is no burden: it may quote an answer.
    #[must_use]
    pub fn shortened(mut self) -> Self {
        if self.message.len() > KEPT {
            self.message.truncate(self.message.floor_char_boundary(KEPT));
            self.message.shrink_to_fit();
        }
        self
    }

    /// The same problem, with this status if it has none yet.
    #[must_use]
    pub fn or_status(mut self, status: u16) -> Self {
        self.status.get_or_insert(status);
        self
    }
}

/// The problem of a node whose attributes, inputs or outputs are not those of a remote node.
pub fn malformed(what: impl fmt::Display) -> Problem {
    Problem::new(Code::Node, format!("the node is malformed: {what}"))
}

/// A problem with where it happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// What went wrong.
    pub problem: Problem,
    /// The node's name; empty outside of a graph.
    pub node: String,
    /// The node's endpoint; empty if there is none.
    pub endpoint: String,
    /// Requests that were tried.
    pub attempts: u32,
}

impl Failure {
    /// A failure that concerns no node, such as a scope's.
    pub fn without_node(problem: Problem) -> Self {
        Self { problem, node: String::new(), endpoint: String::new(), attempts: 0 }
    }

    /// The fields that a program reads, sorted by key, without the message.
    pub fn to_json(&self) -> Value {
        json!({
            "attempts": self.attempts,
            "code": self.problem.code.as_str(),
            "endpoint": text_or_null(&self.endpoint),
            "node": text_or_null(&self.node),
            "status": self.problem.status,
        })
    }

    /// [`Failure::to_json`] and the message.
    pub fn to_json_with_message(&self) -> Value {
        let mut value = self.to_json();
        value["message"] = Value::from(one_line(&self.problem.message));
        value
    }
}

/// `[OH503] node "name" (endpoint): message {json}` on one line; the JSON object is always last.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] ", self.problem.code.as_str())?;
        let node = (!self.node.is_empty()).then(|| format!("node \"{}\"", one_line(&self.node)));
        let endpoint = (!self.endpoint.is_empty()).then(|| format!("({})", one_line(&self.endpoint)));
        let place: Vec<_> = [node, endpoint].into_iter().flatten().collect();
        if !place.is_empty() {
            write!(f, "{}: ", place.join(" "))?;
        }
        write!(f, "{} {}", one_line(&self.problem.message), self.to_json())
    }
}

fn text_or_null(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// `text` with control and text-direction characters escaped, so that it stays on its line.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}') {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

/// Bytes of a message that are kept. Far fewer are shown, but secrets are masked in it first: half of one would not be
/// found.
const KEPT: usize = 1 << 20;

/// Characters of a server's text that a message quotes.
const QUOTED: usize = 500;

/// A server's text for a message: control characters escaped, and shortened. It must not hold a token any more.
pub fn quote(text: &str) -> String {
    let line = one_line(text.trim());
    match line.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(message: &str) -> Failure {
        let problem = Problem::new(Code::Status, message).with_status(401);
        Failure { problem, node: "cloud/digits".into(), endpoint: "http://127.0.0.1:8000".into(), attempts: 1 }
    }

    #[test]
    fn every_code_is_found_by_its_text() {
        for code in Code::ALL {
            assert_eq!(Code::parse(code.as_str()), Some(*code));
        }
        assert_eq!(Code::parse("OH"), None);
    }

    #[test]
    fn a_failure_reads_as_one_line_that_ends_in_sorted_json() {
        assert_eq!(
            failure("the server answered 401 Unauthorized: bad token").to_string(),
            "[OH503] node \"cloud/digits\" (http://127.0.0.1:8000): the server answered 401 Unauthorized: bad token \
             {\"attempts\":1,\"code\":\"OH503\",\"endpoint\":\"http://127.0.0.1:8000\",\"node\":\"cloud/digits\",\"status\":401}"
        );
    }

    #[test]
    fn a_failure_says_only_where_it_was_as_far_as_that_is_known() {
        let nowhere = Failure::without_node(Problem::new(Code::Scope, "unknown"));
        assert!(nowhere.to_string().starts_with("[OH530] unknown {"));
        let node = Failure { node: "n".into(), ..nowhere };
        assert!(node.to_string().starts_with("[OH530] node \"n\": unknown {"));
    }

    #[test]
    fn a_failure_stays_on_its_line_whatever_its_names_hold() {
        let mut failure = failure("a\nb\0c");
        failure.node = "x\r\ny".into();
        assert!(!failure.to_string().chars().any(char::is_control));
    }

    #[test]
    fn a_quote_is_one_line_and_has_a_limit() {
        assert_eq!(quote(" a\n b "), "a\\n b");
        assert_eq!(quote(&"é".repeat(2000)).chars().count(), QUOTED + 1);
    }
}
