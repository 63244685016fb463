//! The one place where tokens are taken out of text that others see: messages, events, records.
//!
//! A server may send back what it got, in any of the spellings that programs give a text: percent-encoded, with HTML's
//! entities or escapes of JSON, in another case, in base64 or in hex.

mod spelling;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

use self::spelling::{Case, spelled_at};
use crate::failure::quote;
use crate::guard::lock;
use crate::session::credential::Secret;

/// Tokens that a scope remembers; those used last stay.
const REMEMBERED: usize = 32;

/// Characters below which a token is taken out of a text only where it stands alone, spelled as it is: `a` is no secret,
/// and is in every other word.
const LEAST_IN_TEXT: usize = 4;

/// Characters below which a token cannot be told from ordinary data.
const LEAST_IN_DATA: usize = 8;

const STARS: &str = "***";

/// The tokens that a scope has sent. Connections are shared, so that what befalls one call may tell of another's token.
#[derive(Debug, Default)]
pub struct Masks(Mutex<VecDeque<Secret>>);

impl Masks {
    /// Adds a token that is about to be sent.
    pub fn remember(&self, secret: &Secret) {
        let mut known = lock(&self.0);
        if known.front().is_some_and(|last| last.expose() == secret.expose()) || secret.is_empty() {
            return;
        }
        known.retain(|other| other.expose() != secret.expose());
        known.truncate(REMEMBERED - 1);
        known.push_front(secret.clone());
    }

    /// What takes out these tokens and a call's `own`.
    pub fn with<'a>(&self, own: impl IntoIterator<Item = &'a Secret>) -> Mask {
        let known = lock(&self.0);
        let own = own.into_iter().filter(|token| !token.is_empty()).flat_map(Needle::all);
        Mask(own.chain(known.iter().filter(|token| !token.is_empty()).flat_map(Needle::all)).collect())
    }
}

/// Takes tokens out of what others see.
pub struct Mask(Vec<Needle>);

impl Mask {
    /// A text fit to be shown: without a token, on one line, and shortened.
    pub fn quote(&self, text: &str) -> String {
        quote(&self.masked(text, 0))
    }

    /// A tensor's string without a token.
    pub fn string(&self, text: &str) -> String {
        self.masked(text, LEAST_IN_DATA)
    }

    /// A tensor's bytes with stars in place of a token; as many as before.
    pub fn data(&self, bytes: &mut [u8]) {
        for span in self.spans(bytes, LEAST_IN_DATA) {
            bytes[span].fill(b'*');
        }
    }

    fn masked(&self, text: &str, least: usize) -> String {
        let (mut masked, mut from) = (String::with_capacity(text.len()), 0);
        for Range { start, end } in self.spans(text.as_bytes(), least) {
            // A spelling is ASCII, so that it begins and ends between characters.
            masked.push_str(text.get(from..start).unwrap_or_default());
            masked.push_str(STARS);
            from = end;
        }
        masked.push_str(text.get(from..).unwrap_or_default());
        masked
    }

    /// Where tokens of at least so many characters stand, in order and apart.
    fn spans(&self, text: &[u8], least: usize) -> Vec<Range<usize>> {
        let needles = self.0.iter().filter(|needle| needle.length >= least);
        let mut spans: Vec<_> = needles.flat_map(|needle| needle.found(text)).collect();
        spans.sort_unstable_by_key(|span| span.start);
        let mut apart: Vec<Range<usize>> = Vec::with_capacity(spans.len());
        for span in spans {
            match apart.last_mut() {
                Some(last) if span.start < last.end => last.end = last.end.max(span.end),
                _ => apart.push(span),
            }
        }
        apart
    }
}

/// One form of a token that is looked for.
struct Needle {
    form: Zeroizing<String>,
    case: Case,
    /// Characters of the token itself.
    length: usize,
}

impl Needle {
    /// The forms of a token.
    fn all(token: &Secret) -> Vec<Self> {
        let token = token.expose();
        let needle = |form: String, case| Self { form: form.into(), case, length: token.len() };
        if token.len() < LEAST_IN_TEXT {
            return vec![needle(token.to_owned(), Case::Exact)];
        }
        let hex = token.bytes().map(|byte| format!("{byte:02x}")).collect();
        let plain = [needle(token.to_owned(), Case::Any), needle(hex, Case::Any)];
        plain.into_iter().chain((0..3).map(|shift| needle(base64_piece(token, shift), Case::Base64))).collect()
    }

    /// Where the form stands in `text`, in any of its spellings.
    fn found(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut spans = occurrences(text, self.form.as_bytes(), self.case);
        match self.case {
            Case::Any => {}
            Case::Exact => spans.retain(|span| stands_alone(text, span)),
            Case::Base64 => spans.iter_mut().for_each(|span| *span = with_edges(text, span)),
        }
        spans
    }
}

fn occurrences(text: &[u8], needle: &[u8], case: Case) -> Vec<Range<usize>> {
    let (mut spans, mut at) = (Vec::new(), 0);
    while at < text.len() {
        match spelled_at(text, at, needle, case) {
            Some(end) => {
                spans.push(at..end);
                at = end;
            }
            None => at += 1,
        }
    }
    spans
}

fn stands_alone(text: &[u8], span: &Range<usize>) -> bool {
    let is_word = |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(u8::is_ascii_alphanumeric);
    !is_word(span.start.checked_sub(1)) && !is_word(Some(span.end))
}

/// The part of the token's base64 that is the same whatever stands around it, if `shift` bytes of a group of three stand
/// before it.
fn base64_piece(token: &str, shift: usize) -> String {
    let padded = Zeroizing::new([&b"\0\0"[..shift], token.as_bytes()].concat());
    let whole = Zeroizing::new(STANDARD_NO_PAD.encode(&*padded));
    let (start, end) = ((shift * 8).div_ceil(6), padded.len() * 8 / 6);
    whole[start..end].to_owned()
}

/// The span with the letters on either side that share bits with it.
fn with_edges(text: &[u8], span: &Range<usize>) -> Range<usize> {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
    let before = span.start.checked_sub(1).filter(|at| is_letter(&text[*at]));
    let after = text.get(span.end).is_some_and(is_letter);
    before.unwrap_or(span.start)..span.end + usize::from(after)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.into()).unwrap()
    }

    fn masked(token: &str, text: &str) -> String {
        Masks::default().with(Some(&secret(token))).masked(text, 0)
    }

    #[test]
    fn a_token_is_found_in_every_usual_spelling() {
        let token = r#"s3c/ret+"k&y\=9"#;
        for spelled in [
            r#"s3c/ret+"k&y\=9"#,
            r#"S3C/RET+"K&Y\=9"#,
            r#"s3c\/ret+\"k&y\\=9"#,
            r#"s3c\\/ret+\\\"k&y\\\\=9"#,
            r"s3c\u002fret\u002B\u0022k\u0026y\u005c\u003d9",
            r"s3c\x2fret\x2b\x22k\x26y\x5c\x3d9",
            r"\u{73}3c/ret+\u{22}k&y\u{5c}=9",
            "s3c%2Fret%2B%22k%26y%5C%3d9",
            "s3c%252Fret%252B%2522k%2526y%255C%253D9",
            "%73%33%63%2F%72%65%74%2B%22%6B%26%79%5C%3D%39",
            r"s3c/ret+&quot;k&amp;y\=9",
            "s3c&#47;ret&#x2B;&#34;k&#x26;y&#92;&#61;9",
            "s3c&sol;ret&plus;&QUOT;k&amp;y&bsol;&equals;9",
            "s3c&amp;#47;ret+&amp;quot;k&amp;amp;y&amp;bsol;=9",
        ] {
            assert_eq!(masked(token, &format!("<{spelled}>")), "<***>", "{spelled}");
        }
    }

    #[test]
    fn nothing_else_is_touched() {
        for text in
            ["", "s3cre", "s3-cret", "the secret", "%", "\\", "&", "&#;", "%2", "\\u00", "\\u{", "é\u{1F600}s3cre"]
        {
            assert_eq!(masked("s3cret", text), text);
        }
        assert_eq!(masked("s3cret", "ä s3cret ü s3cret"), "ä *** ü ***");
    }

    #[test]
    fn a_very_short_token_is_taken_out_where_it_stands_alone() {
        assert_eq!(masked("a", "Bearer a: bad gateway, A plan"), "Bearer ***: bad gateway, A plan");
        assert_eq!(masked("no", "no: the node said \"no\""), "***: the node said \"***\"");
    }

    #[test]
    fn a_scope_knows_the_tokens_that_it_sent_last() {
        let masks = Masks::default();
        (0..REMEMBERED + 8).for_each(|number| masks.remember(&secret(&format!("token-{number:04}"))));
        assert_eq!(masks.with(None).quote("token-0039 token-0008"), "*** ***");
        assert_eq!(masks.with(None).quote("token-0007"), "token-0007");
        assert_eq!(masks.with(Some(&secret("token-0007"))).quote("token-0007"), "***");
    }

    #[test]
    fn data_keep_their_length_and_short_tokens_are_data() {
        let masks = Masks::default();
        masks.remember(&secret("s3cret-0123"));
        masks.remember(&secret("word"));
        let mut bytes = *b"xs3cret-0123y word";
        masks.with(None).data(&mut bytes);
        assert_eq!(&bytes, b"x***********y word");
        assert_eq!(masks.with(None).string("a word: s3cret-0123"), "a word: ***");
    }

    #[test]
    fn a_text_that_is_all_escapes_takes_no_time() {
        let masks = Masks::default();
        (0..REMEMBERED).for_each(|number| masks.remember(&secret(&format!("%token-{number:04}"))));
        let began = std::time::Instant::now();
        for escapes in ["%", "\\", "&", "%25", "&amp;", "\\u", "%token-", "a"] {
            let text = escapes.repeat((4 << 10) / escapes.len());
            assert!(!masks.with(None).quote(&text).contains("***"));
        }
        assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
    }

    proptest! {
        #[test]
        fn no_base64_shows_a_token(before in "[ -~]{0,5}", token in "[!-~]{4,40}", after in "[ -~]{0,5}") {
            use base64::engine::general_purpose::{STANDARD, URL_SAFE};
            let text = format!("{before}{token}{after}");
            for encoded in [STANDARD.encode(&text), URL_SAFE.encode(&text)] {
                let shown = masked(&token, &format!("<{encoded}>"));
                prop_assert!(shown.contains("***"), "{shown}");
                prop_assert!(shown.len() <= encoded.len() + 5 - token.len() * 8 / 6 + 1, "{shown}");
            }
        }

        #[test]
        fn no_text_is_too_odd(token in "[!-~]{1,9}", text: String) {
            let shown = masked(&token, &format!("{text}{token} {text}"));
            prop_assert!(token.len() < LEAST_IN_TEXT || !shown.contains(&token) || STARS.contains(&token));
        }
    }
}
