//! The attribute `cache`: whether a node keeps its answers, how many bytes of them, and for how long.

use std::time::Duration;

use serde::Deserialize;

use crate::attributes::{Attributes, CACHE};
use crate::failure::{Problem, malformed};

/// What a node keeps of its answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Bytes at most, bookkeeping included.
    pub max_bytes: u64,
    /// For how long; `None` without an end.
    pub ttl: Option<Duration>,
    /// Whether rows are kept each by itself, where a batch has rows.
    pub rows: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(default = "default_bytes")]
    max_bytes: u64,
    #[serde(default)]
    ttl_ms: Option<u64>,
    #[serde(default = "default_rows")]
    rows: bool,
}

fn default_bytes() -> u64 {
    64 << 20
}

fn default_rows() -> bool {
    true
}

/// Milliseconds of a year, which a clock can add.
const LONGEST: u64 = 31_536_000_000;

impl Settings {
    /// Reads the attribute `cache`; `None` where it is empty or missing.
    pub fn of(node: &dyn Attributes) -> Result<Option<Self>, Problem> {
        match CACHE.read(node)?.as_str() {
            "" => Ok(None),
            text => Self::parse(text).map(Some),
        }
    }

    fn parse(text: &str) -> Result<Self, Problem> {
        let unread = |why: &str| {
            let form = r#"{"max_bytes": 67108864, "ttl_ms": 60000, "rows": true}"#;
            malformed(format!("cache is no JSON object such as {form}{why}"))
        };
        if !text.trim_start().starts_with('{') {
            return Err(unread("")); // the values alone, in their order, would be read as well
        }
        let entry: Entry = serde_json::from_str(text).map_err(|error| unread(&format!(": {error}")))?;
        if entry.max_bytes == 0 {
            return Err(malformed("max_bytes of cache is 0, which keeps nothing: leave cache out instead"));
        }
        if let Some(ttl) = entry.ttl_ms.filter(|ttl| !(1..=LONGEST).contains(ttl)) {
            return Err(malformed(format!("ttl_ms of cache is {ttl}, not from 1 to {LONGEST}")));
        }
        Ok(Self { max_bytes: entry.max_bytes, ttl: entry.ttl_ms.map(Duration::from_millis), rows: entry.rows })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Code;

    #[test]
    fn what_is_not_said_has_its_default() {
        let all = Settings { max_bytes: 64 << 20, ttl: None, rows: true };
        assert_eq!(Settings::parse("{}").unwrap(), all);
        let text = r#"{"max_bytes": 9, "ttl_ms": 60000, "rows": false}"#;
        let given = Settings { max_bytes: 9, ttl: Some(Duration::from_secs(60)), rows: false };
        assert_eq!(Settings::parse(text).unwrap(), given);
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for text in [
            "true",
            "[]",
            "[9, 60000, true]",
            "{",
            r#"{"bytes": 9}"#,
            r#"{"max_bytes": 0}"#,
            r#"{"max_bytes": -1}"#,
            r#"{"max_bytes": 1.5}"#,
            r#"{"max_bytes": true}"#,
            r#"{"max_bytes": 9, "max_bytes": 9}"#,
            r#"{"ttl_ms": 0}"#,
            r#"{"ttl_ms": 31536000001}"#,
            r#"{"rows": 1}"#,
        ] {
            assert_eq!(Settings::parse(text).unwrap_err().code, Code::Node, "{text}");
        }
    }
}
