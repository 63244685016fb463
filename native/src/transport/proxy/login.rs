//! Who a proxy is told to let through.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use percent_encoding::percent_decode_str;
use url::Url;

/// A user of the proxy.
pub(super) struct Login {
    pub(super) user: Vec<u8>,
    pub(super) password: Vec<u8>,
}

impl Login {
    pub(super) fn of(url: &Url) -> Option<Self> {
        let decoded = |text| percent_decode_str(text).collect::<Vec<u8>>();
        let given = !url.username().is_empty() || url.password().is_some();
        let of = || Self { user: decoded(url.username()), password: decoded(url.password().unwrap_or_default()) };
        given.then(of)
    }

    /// As `Proxy-Authorization` has it (RFC 7617).
    pub(super) fn basic(&self) -> Option<HeaderValue> {
        let pair = [&self.user, &b":"[..], &self.password].concat();
        let mut value = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(pair))).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}
