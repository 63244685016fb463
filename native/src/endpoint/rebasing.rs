//! A request's path, moved from one base URL to another.

use http::uri::PathAndQuery;

use super::{Endpoint, query};

impl Endpoint {
    /// Whether a request to `other` has the same path here.
    pub fn is_alike(&self, other: &Self) -> bool {
        (self.path == other.path && self.query == other.query) && self.text.ends_with('/') == other.text.ends_with('/')
    }

    /// The path of a request that was made for the base URL `from`, as this one has it; `None` where it was not.
    pub fn rebased(&self, from: &Self, request: &PathAndQuery) -> Option<PathAndQuery> {
        let rest = request.path().strip_prefix(from.path.as_str())?;
        if rest.trim_matches('/').is_empty() {
            return self.exact_path_and_query(&added(&from.query, request.query().unwrap_or_default()));
        }
        let added = added(&from.query, request.query().unwrap_or_default());
        let kept = added.split('&').map(|pair| pair.split('=').next().unwrap_or_default());
        let kept = kept.fold(self.query.clone(), |kept, name| query::without(&kept, name));
        PathAndQuery::try_from(query::joined(&format!("{}{rest}", self.path), [&kept, &added])).ok()
    }
}

/// What the query of a request has more than that of its base URL. A protocol that sets a name of its own takes it out of
/// the base URL's query, and adds it at the end.
fn added(base: &str, request: &str) -> String {
    let rest = request.strip_prefix(base).unwrap_or("");
    if base.is_empty() || rest.starts_with('&') {
        return rest.trim_start_matches('&').to_owned();
    }
    if request == base { String::new() } else { request.rsplit('&').next().unwrap_or_default().to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const URLS: [&str; 9] = [
        "http://a",
        "http://b/",
        "https://a/v1",
        "http://c/v1/",
        "http://a/deep/er",
        "http://a/?k=1",
        "http://a/v1?k=2&l=3",
        "http://a/v1/?api-version=1&k=2",
        "http://a/v1?k=2&api-version=1",
    ];

    fn endpoint(index: usize) -> Endpoint {
        Endpoint::parse(URLS[index]).unwrap()
    }

    proptest! {
        #[test]
        fn a_moved_request_is_the_one_that_is_made_there(from in 0..URLS.len(), to in 0..URLS.len(), name in "[a-z/ .]{1,5}x") {
            let (from, to) = (endpoint(from), endpoint(to));
            for make in [
                |at: &Endpoint, name: &str| at.path(&["v2", name]),
                |at: &Endpoint, name: &str| at.path_and_query(&["chat", name], "api-version", name),
                |at: &Endpoint, _: &str| at.exact_path_and_query(""),
            ] {
                let (here, there) = (make(&from, &name).unwrap(), make(&to, &name).unwrap());
                prop_assert_eq!(to.rebased(&from, &here), Some(there.clone()));
                if to.is_alike(&from) {
                    prop_assert_eq!(here, there);
                }
            }
        }
    }

    #[test]
    fn a_request_that_was_not_made_for_a_base_url_cannot_be_moved_from_it() {
        assert_eq!(endpoint(0).rebased(&endpoint(2), &PathAndQuery::from_static("/v2/models")), None);
    }
}
