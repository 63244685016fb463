//! The query of a URL: what is sent of it, and which of its values are keys.

use percent_encoding::percent_decode_str;
use url::form_urlencoded;

const STARS: &str = "***";

/// Letters and digits of names under which keys are given, or that end so.
const KEYS: [&str; 6] = ["key", "token", "secret", "signature", "password", "credential"];
const NAMES: [&str; 5] = ["code", "sig", "auth", "authorization", "pwd"];

/// Characters below which a value is no key.
const LEAST: usize = 8;

/// `url` with stars in place of each value of its query.
pub(super) fn shown(url: &str) -> String {
    let Some((path, query)) = url.split_once('?') else { return url.to_owned() };
    let pair = |pair: &str| match pair.split_once('=') {
        Some((name, value)) if !value.is_empty() => format!("{name}={STARS}"),
        _ => pair.to_owned(),
    };
    format!("{path}?{}", query.split('&').map(pair).collect::<Vec<_>>().join("&"))
}

/// Names and values of what looks like a key, decoded.
pub(super) fn keys(query: &str) -> impl Iterator<Item = (String, String)> {
    form_urlencoded::parse(query.as_bytes()).into_owned().filter(|(name, value)| is_key(name, value))
}

fn is_key(name: &str, value: &str) -> bool {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    value.len() >= LEAST && (NAMES.contains(&name.as_str()) || KEYS.iter().any(|end| name.ends_with(end)))
}

/// `path` and these parts of a query, of which some may be empty.
pub(super) fn joined(path: &str, parts: [&str; 2]) -> String {
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { path.to_owned() } else { format!("{path}?{}", parts.join("&")) }
}

/// `query` without what it says of `name`.
pub(super) fn without(query: &str, name: &str) -> String {
    let is_other = |pair: &&str| {
        let key = pair.split('=').next().unwrap_or_default();
        percent_decode_str(key).decode_utf8_lossy() != name
    };
    query.split('&').filter(is_other).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_of_a_query_is_shown() {
        assert_eq!(shown("https://h/p?sv=2024&code=s3cret&x&y="), "https://h/p?sv=***&code=***&x&y=");
        assert_eq!(shown("https://h/p"), "https://h/p");
    }

    #[test]
    fn a_key_is_told_by_its_name() {
        let of = |query: &str| keys(query).map(|(name, _)| name).collect::<Vec<_>>();
        for name in ["code", "sig", "subscription-key", "api_key", "X-Amz-Signature", "access_token", "Password"] {
            assert_eq!(of(&format!("v=2024-10-21&{name}=0123456789")), [name]);
        }
        assert!(of("code=200&keyboard=0123456789&api-version=2024-10-21").is_empty());
        assert_eq!(keys("sig=a%2Fb%2B01234").next().unwrap().1, "a/b+01234");
    }
}
