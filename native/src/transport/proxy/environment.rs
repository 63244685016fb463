//! Which proxy the environment names for an origin.
//!
//! As curl and Python's clients read it: `http_proxy` or `https_proxy` by the origin's scheme, else `all_proxy`, unless
//! `no_proxy` excepts the host; each name in small letters before the same in capitals.

use ipnet::IpNet;
use url::Host;

use crate::endpoint::{Origin, parse_host_and_port};
use crate::session::addresses::literal;

/// Gives an environment variable's value.
pub(super) type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The variable that names a proxy for `origin`, and its text; `None` where there is none to go through.
pub(super) fn named_for(origin: &Origin, variable: Variables<'_>) -> Option<(&'static str, String)> {
    let own = if origin.tls { "https_proxy" } else { "http_proxy" };
    let found = [own, "all_proxy"].into_iter().find_map(|name| Some((name, value(name, variable)?)))?;
    let excepted = value("no_proxy", variable).is_some_and(|list| excepts(&list, origin));
    (!excepted).then_some(found)
}

/// A variable in small letters, which may be empty to hide the one in capitals.
fn value(name: &str, variable: Variables<'_>) -> Option<String> {
    let capitals = || {
        // A CGI program finds a header that the client chose, `Proxy:`, under this name.
        let forged = name == "http_proxy" && variable("REQUEST_METHOD").is_some();
        if forged { None } else { variable(&name.to_uppercase()) }
    };
    variable(name).or_else(capitals).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Whether one of the entries means this origin's host: `*`, a domain with all below it, an address or a network; with
/// a port of that port alone.
fn excepts(list: &str, origin: &Origin) -> bool {
    list.split([',', ' ']).filter(|entry| !entry.is_empty()).any(|entry| entry == "*" || is_meant(entry, origin))
}

fn is_meant(entry: &str, origin: &Origin) -> bool {
    if let (Ok(network), Some(address)) = (entry.parse::<IpNet>(), literal(&origin.host)) {
        return network.contains(&address);
    }
    let domain = entry.strip_prefix("*.").or_else(|| entry.strip_prefix('.')).unwrap_or(entry);
    let Some((host, port)) = parse_host_and_port(domain) else { return false };
    let below = |name: &str, domain: &str| name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    let same = match (&host, &origin.host) {
        (Host::Domain(domain), Host::Domain(name)) => name == domain || below(name, domain),
        (host, own) => host == own,
    };
    same && port.is_none_or(|port| port == origin.port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Endpoint;

    fn named(url: &str, variables: &[(&str, &str)]) -> Option<String> {
        let origin = Endpoint::parse(url).unwrap().origin;
        let found = named_for(&origin, &|name| {
            variables.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned())
        });
        found.map(|(_, text)| text)
    }

    #[test]
    fn the_scheme_chooses_the_variable_and_small_letters_come_first() {
        let all = [("HTTP_PROXY", "a"), ("https_proxy", "b"), ("HTTPS_PROXY", "c"), ("ALL_PROXY", "d")];
        assert_eq!(named("http://h.example", &all).as_deref(), Some("a"));
        assert_eq!(named("grpcs://h.example", &all).as_deref(), Some("b"));
        assert_eq!(named("http://h.example", &all[1..]).as_deref(), Some("d"));
        assert_eq!(named("https://h.example", &[("https_proxy", ""), ("HTTPS_PROXY", "c")]), None);
        assert_eq!(named("http://h.example", &[]), None);
    }

    #[test]
    fn a_clients_header_names_no_proxy_to_a_cgi_program() {
        let variables = [("REQUEST_METHOD", "GET"), ("HTTP_PROXY", "evil"), ("HTTPS_PROXY", "c")];
        assert_eq!(named("http://h.example", &variables), None);
        assert_eq!(named("https://h.example", &variables).as_deref(), Some("c"));
    }

    #[test]
    fn no_proxy_excepts_domains_with_what_is_below_addresses_networks_and_ports() {
        let list = "a.example, .b.example,*.c.example,10.0.0.0/8,192.0.2.1,[2001:db8::1],d.example:8000 E.example";
        let direct = |url: &str| named(url, &[("all_proxy", "p"), ("NO_PROXY", list)]).is_none();
        for url in [
            "http://a.example",
            "http://x.y.a.example",
            "https://b.example",
            "http://x.c.example",
            "http://10.9.8.7",
            "http://192.0.2.1:81",
            "http://[2001:db8::1]",
            "grpc://d.example:8000",
            "http://e.example",
        ] {
            assert!(direct(url), "{url}");
        }
        for url in ["http://xa.example", "http://11.0.0.1", "http://192.0.2.2", "http://d.example", "http://example"] {
            assert!(!direct(url), "{url}");
        }
        assert_eq!(named("http://any.example", &[("all_proxy", "p"), ("no_proxy", "*")]), None);
    }
}
