//! Where the requests of a node go: its base URL, or what a session, the environment or the file itself says of a name.

use std::collections::HashMap;

use crate::attributes::{Attributes, ENDPOINT, ENDPOINT_NAME, ENDPOINT_ORDER};
use crate::endpoint::Endpoint;
use crate::failure::{Code, Problem, malformed};
use crate::protocol::spec::ProtocolSpec;

/// URLs that a session gives to the names of endpoints.
#[derive(Clone, Debug, Default)]
pub struct Endpoints(HashMap<String, Vec<String>>);

/// Which of several URLs takes a request.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Order {
    /// The first that is not left alone.
    #[default]
    First,
    /// Of two at random the one with fewer requests under way.
    Spread,
}

/// What a node says of where its requests go, beside its first URL. The default is that of a node with one URL and no name.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The name that was resolved; empty where the file has the URL.
    pub name: String,
    /// The URLs behind the first.
    pub others: Vec<Endpoint>,
    /// Which of them takes a request.
    pub order: Order,
}

/// Characters that a name may have.
const LONGEST: usize = 64;

impl Endpoints {
    /// Of a session that gives these.
    pub fn new(given: HashMap<String, Vec<String>>) -> Self {
        Self(given)
    }

    /// Where a node with these attributes sends its requests.
    pub fn of(&self, node: &dyn Attributes, protocol: &ProtocolSpec) -> Result<(Endpoint, Places), Problem> {
        // What is no text is no URL either, and is told as one that is malformed.
        self.resolve(node, protocol, |key| std::env::var_os(key).map(|text| text.to_string_lossy().into_owned()))
    }

    fn resolve(
        &self,
        node: &dyn Attributes,
        protocol: &ProtocolSpec,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<(Endpoint, Places), Problem> {
        let (name, order) = (ENDPOINT_NAME.read(node)?, order(&ENDPOINT_ORDER.read(node)?)?);
        if name.is_empty() {
            return Ok((spoken(&ENDPOINT.read(node)?, protocol)?, Places::default()));
        }
        if !is_name(&name) {
            return Err(malformed("endpoint_name has 1 to 64 letters, digits, '_', '-' and '.', and is not \"token\""));
        }
        let key = variable_name(&name);
        let (urls, source) = if let Some(given) = self.0.get(&name) {
            (given.clone(), "the session".to_owned())
        } else {
            (listed(&variable(&key).unwrap_or_default()), key.clone())
        };
        if urls.is_empty() && !self.0.contains_key(&name) {
            let default = node.text(ENDPOINT.name).filter(|url| !url.is_empty()).ok_or_else(|| nowhere(&name, &key))?;
            return Ok((spoken(&default, protocol)?, Places { name, order, ..Places::default() }));
        }
        let mut endpoints = resolved(&name, &urls, &source, protocol)?.into_iter();
        let first = endpoints.next().ok_or_else(|| unusable(&name, &source, "an empty list"))?;
        Ok((first, Places { name, others: endpoints.collect(), order }))
    }
}

/// Reads an endpoint that `protocol` can be spoken with.
pub fn spoken(text: &str, protocol: &ProtocolSpec) -> Result<Endpoint, Problem> {
    let endpoint = Endpoint::parse(text).map_err(|what| malformed(format!("the endpoint {what}")))?;
    if !protocol.schemes.contains(&endpoint.scheme()) {
        return Err(malformed(format!("{} is not spoken over {}", protocol.name, endpoint.scheme())));
    }
    Ok(endpoint)
}

/// The URLs of a name, each once.
fn resolved(name: &str, urls: &[String], source: &str, protocol: &ProtocolSpec) -> Result<Vec<Endpoint>, Problem> {
    let mut endpoints: Vec<Endpoint> = Vec::with_capacity(urls.len());
    for (index, url) in urls.iter().enumerate() {
        // One that is malformed is not repeated: it may hold a password.
        let which = if urls.len() > 1 { format!("a URL (number {}) that", index + 1) } else { "a URL that".to_owned() };
        let endpoint = Endpoint::parse(url).map_err(|what| unusable(name, source, &format!("{which} {what}")))?;
        if !protocol.schemes.contains(&endpoint.scheme()) {
            let schemes = protocol.schemes.join(" and ");
            let what = format!("{}, and the node's protocol {} speaks {schemes}", endpoint.shown, protocol.name);
            return Err(unusable(name, source, &what));
        }
        if !endpoints.contains(&endpoint) {
            endpoints.push(endpoint);
        }
    }
    Ok(endpoints)
}

fn order(text: &str) -> Result<Order, Problem> {
    match text {
        "first" => Ok(Order::First),
        "spread" => Ok(Order::Spread),
        _ => Err(malformed(format!("endpoint_order \"{text}\" is neither first nor spread"))),
    }
}

/// Whether an endpoint can be called this. The variable of `token` holds that of the embedded endpoint.
fn is_name(name: &str) -> bool {
    name.len() <= LONGEST
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        && !name.eq_ignore_ascii_case("token")
}

fn variable_name(name: &str) -> String {
    let tidy = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("ONNXHYBRID_ENDPOINT_{}", name.chars().map(tidy).collect::<String>())
}

/// The entries of a comma-separated list.
fn listed(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
}

fn nowhere(name: &str, key: &str) -> Problem {
    let message = format!(
        "the endpoint \"{name}\" leads nowhere: give the session endpoints={{\"{name}\": \"https://…\"}}, set {key}, or \
         build the model with oh.Endpoint(\"{name}\", default=\"https://…\")"
    );
    Problem::new(Code::Nowhere, message)
}

fn unusable(name: &str, source: &str, what: &str) -> Problem {
    Problem::new(Code::Resolved, format!("for the endpoint \"{name}\" {source} has {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::table;

    struct Node([(&'static str, &'static str); 3]);

    impl Attributes for Node {
        fn text(&self, name: &str) -> Option<String> {
            self.0.iter().find(|row| row.0 == name).map(|row| row.1.to_owned())
        }

        fn integer(&self, _: &str) -> Option<i64> {
            None
        }
    }

    fn node(default: &'static str, name: &'static str, order: &'static str) -> Node {
        Node([("endpoint", default), ("endpoint_name", name), ("endpoint_order", order)])
    }

    /// The URLs of a node, where the session gives one to `gpu` if `given`, and the environment the names in it.
    fn urls(node: &Node, given: Option<&[&str]>, environment: &str) -> Result<Vec<String>, Code> {
        let given = given.map(|urls| ("gpu".to_owned(), urls.iter().map(|url| (*url).to_owned()).collect()));
        let endpoints = Endpoints::new(given.into_iter().collect());
        let variable = |key: &str| (key == "ONNXHYBRID_ENDPOINT_GPU").then(|| environment.to_owned());
        let protocol = table::find("triton.http").unwrap();
        let (first, places) = endpoints.resolve(node, protocol, variable).map_err(|problem| problem.code)?;
        Ok([first].into_iter().chain(places.others).map(|endpoint| endpoint.text).collect())
    }

    #[test]
    fn the_session_comes_before_the_environment_and_that_before_the_default() {
        let node = node("http://c", "gpu", "first");
        let found = |given, environment| urls(&node, given, environment).unwrap();
        assert_eq!(found(Some(&["http://a"]), "http://b"), ["http://a"]);
        assert_eq!(found(None, " http://b , ,http://d,http://b"), ["http://b", "http://d"]);
        assert_eq!(found(None, " , "), ["http://c"]);
    }

    #[test]
    fn a_name_without_any_url_leads_nowhere() {
        assert_eq!(urls(&node("", "gpu", "first"), None, ""), Err(Code::Nowhere));
        assert_eq!(urls(&node("", "cpu", "first"), Some(&["http://a"]), "http://b"), Err(Code::Nowhere));
    }

    #[test]
    fn what_is_given_to_a_name_has_to_fit_the_protocol() {
        let node = node("http://c", "gpu", "spread");
        for wrong in [&["grpc://a"][..], &["http://a", "b"], &["http://user:s3cret@a"], &[""], &[]] {
            assert_eq!(urls(&node, Some(wrong), ""), Err(Code::Resolved), "{wrong:?}");
        }
        assert_eq!(urls(&node, None, "ftp://a"), Err(Code::Resolved));
    }

    #[test]
    fn a_node_without_a_name_asks_nobody_and_a_malformed_one_is_refused() {
        assert_eq!(urls(&node("http://c", "", "first"), Some(&["http://a"]), "http://b").unwrap(), ["http://c"]);
        for wrong in [
            node("http://c", "a b", "first"),
            node("http://c", "Token", "first"),
            node("http://c", "gpu", "last"),
            node("", "", "first"),
        ] {
            assert_eq!(urls(&wrong, None, ""), Err(Code::Node));
        }
    }

    #[test]
    fn a_variable_has_letters_digits_and_underscores() {
        assert_eq!(variable_name("gpu-1.eu"), "ONNXHYBRID_ENDPOINT_GPU_1_EU");
    }
}
