//! What an answer that is no success says of the next request: when to send it, or where to.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::LOCATION;
use http::uri::PathAndQuery;
use url::Url;

use super::{Response, grpc, retry};
use crate::endpoint::{Origin, Wire};

/// Characters that a base URL has at most to be worth writing.
const WRITTEN: usize = 200;

/// How long the server asks to wait before the next request.
pub(super) fn asked(headers: &HeaderMap) -> Option<Duration> {
    grpc::pushback(headers).or_else(|| retry::asked(headers, SystemTime::now()))
}

/// What an answer says of the next request, as the end of "the server answered 429"; empty if nothing. `left` is the
/// time until the deadline.
pub(super) fn of_wait(answer: &Response, left: Duration) -> String {
    match asked(&answer.headers) {
        Some(wait) if wait >= left => format!(
            " and asks to wait {} before the next request, longer than the {} that are left of the timeout",
            seconds(wait),
            seconds(left)
        ),
        Some(wait) if !wait.is_zero() => format!(" and asks to wait {} before the next request", seconds(wait)),
        _ => String::new(),
    }
}

fn seconds(time: Duration) -> String {
    format!("{} s", (time.as_secs_f64() * 10.0).ceil() / 10.0)
}

/// Where an answer sends the next request of `path`, as the end of "the server answered 307"; empty if nowhere.
pub(super) fn of_redirect(answer: &Response, origin: &Origin, wire: Wire, path: &PathAndQuery) -> String {
    if !answer.status.is_redirection() {
        return String::new();
    }
    let Some(location) = answer.header(LOCATION) else { return String::new() };
    let here = Url::parse(&format!("{origin}{}", path.path())).ok();
    let Some((here, there)) = here.and_then(|here| Some((here.clone(), here.join(location.trim()).ok()?))) else {
        return " with a Location that is no URL".into();
    };
    if !matches!(there.scheme(), "http" | "https") {
        return format!(" with a Location of the scheme {}, which nobody follows", there.scheme());
    }
    let moved = match bases(&here, &there) {
        Some((old, new)) => {
            let written = |base: &str| if wire == Wire::Grpc { as_grpc(base) } else { base.to_owned() };
            format!(": write {} in place of {} in the endpoint's URL", written(&new), written(&old))
        }
        None => String::new(),
    };
    format!(" and points to {}, which is not followed{moved}", address(&there))
}

/// Scheme, host, port and path: what else a URL holds may be a secret. It is not shortened before tokens are taken out:
/// half of one would not be found.
fn address(url: &Url) -> String {
    let query = if url.query().is_some() { "?…" } else { "" };
    format!("{}{}{query}", url.origin().ascii_serialization(), url.path())
}

/// The beginnings of two URLs that differ, if what is behind them is the same; `None` where nothing is.
fn bases(here: &Url, there: &Url) -> Option<(String, String)> {
    let segments = |url: &Url| url.path().split('/').skip(1).map(str::to_owned).collect::<Vec<_>>();
    let (old, new) = (segments(here), segments(there));
    let same = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    let base = |url: &Url, segments: &[String]| {
        let kept: String = segments[..segments.len() - same].iter().map(|segment| format!("/{segment}")).collect();
        format!("{}{}", url.origin().ascii_serialization(), kept)
    };
    let (old, new) = (base(here, &old), base(there, &new));
    (same > 0 && old != new && new.len() <= WRITTEN).then_some((old, new))
}

fn as_grpc(base: &str) -> String {
    base.replacen("http", "grpc", 1)
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, StatusCode};

    use super::*;
    use crate::endpoint::Endpoint;

    fn redirect(location: &str, wire: Wire) -> String {
        let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_str(location).unwrap())]);
        let answer = Response { status: StatusCode::TEMPORARY_REDIRECT, headers, ..Response::default() };
        let origin = Endpoint::parse("http://h:8000").unwrap().origin;
        of_redirect(&answer, &origin, wire, &PathAndQuery::from_static("/v1/chat/completions?x=y"))
    }

    #[test]
    fn a_redirect_says_where_to_and_what_to_write() {
        for (location, expected) in [
            ("/gw/v1/chat/completions", "http://h:8000/gw in place of http://h:8000 "),
            ("https://h/v1/chat/completions", "https://h in place of http://h:8000 "),
            (
                "https://other.example/v2/chat/completions?sig=k",
                "https://other.example/v2 in place of http://h:8000/v1 ",
            ),
        ] {
            let told = redirect(location, Wire::Http);
            assert!(told.contains(&format!("write {expected}in the endpoint's URL")), "{told}");
        }
        assert!(
            redirect("https://h/v1/chat/completions", Wire::Grpc).contains("write grpcs://h in place of grpc://h:8000")
        );
    }

    #[test]
    fn what_leads_elsewhere_is_named_and_nothing_more() {
        for (location, expected) in [
            ("/v1/chat/completions/", " and points to http://h:8000/v1/chat/completions/, which is not followed"),
            ("//login.example/", " and points to http://login.example/, which is not followed"),
            (
                "https://u:p@login.example/in?token=k#f",
                " and points to https://login.example/in?…, which is not followed",
            ),
            ("ftp://h/x", " with a Location of the scheme ftp, which nobody follows"),
            ("http://[", " with a Location that is no URL"),
        ] {
            assert_eq!(redirect(location, Wire::Http), expected);
        }
    }

    #[test]
    fn a_wait_is_told_with_the_time_that_is_left() {
        let told = |name: &'static str, value: &'static str, left: u64| {
            let headers =
                HeaderMap::from_iter([(http::HeaderName::from_static(name), HeaderValue::from_static(value))]);
            of_wait(&Response { headers, ..Response::default() }, Duration::from_millis(left))
        };
        assert_eq!(told("retry-after-ms", "1210", 5000), " and asks to wait 1.3 s before the next request");
        assert!(told("retry-after", "60", 4200).contains("60 s before the next request, longer than the 4.2 s that"));
        assert!(told("grpc-retry-pushback-ms", "60000", 4200).contains("wait 60 s"));
        assert_eq!(
            (told("retry-after", "-1", 4200), told("grpc-retry-pushback-ms", "0", 9)),
            (String::new(), String::new())
        );
    }
}
