//! How programs spell a character of ASCII in a text: as it is, or escaped for a URL, for HTML, for JSON.

/// What counts as the same letter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Case {
    /// The letter itself.
    Exact,
    /// The letter in either case.
    Any,
    /// The letter itself; of base64's two alphabets either.
    Base64,
}

impl Case {
    fn same(self, one: u8, other: u8) -> bool {
        match self {
            Self::Exact => one == other,
            Self::Any => one.eq_ignore_ascii_case(&other),
            Self::Base64 => one == other || matches!((one, other), (b'-', b'+') | (b'_', b'/')),
        }
    }
}

/// Escapes of an escape that are undone: a text that went through several programs.
const LAYERS: usize = 8;

/// Where a spelling of `needle` that begins at `at` ends; the longest, where there are several.
pub(super) fn spelled_at(text: &[u8], at: usize, needle: &[u8], case: Case) -> Option<usize> {
    let mut begins = false;
    each_spelling(text, at, |byte, _| begins |= needle.first().is_some_and(|wanted| case.same(byte, *wanted)));
    if !begins {
        return None; // nearly everywhere, so that it has to be found out fast
    }
    let (mut ends, mut next) = (vec![at], Vec::new());
    for wanted in needle {
        next.clear();
        for end in &ends {
            each_spelling(text, *end, |byte, end| {
                if case.same(byte, *wanted) && !next.contains(&end) {
                    next.push(end);
                }
            });
        }
        std::mem::swap(&mut ends, &mut next);
        if ends.is_empty() {
            return None;
        }
    }
    ends.into_iter().max()
}

/// Calls `found` with each character that a spelling at `at` can stand for, and where that ends.
fn each_spelling(text: &[u8], at: usize, mut found: impl FnMut(u8, usize)) {
    let Some(first) = text.get(at) else { return };
    found(*first, at + 1);
    match first {
        b'%' => percent(text, at + 1, &mut found),
        b'&' => entity(text, at + 1, &mut found),
        b'\\' => escape(text, at + 1, &mut found),
        _ => {}
    }
}

/// `%2F`, or `%252F`.
fn percent(text: &[u8], mut at: usize, found: &mut impl FnMut(u8, usize)) {
    for _ in 0..LAYERS {
        if let Some(byte) = number(text, at, 2, 16) {
            found(byte, at + 2);
        }
        if !text[at..].starts_with(b"25") {
            return;
        }
        at += 2;
    }
}

/// `\/`, `\u002f`, `\u{2f}`, `\x2f`, or the same behind several backslashes.
fn escape(text: &[u8], mut at: usize, found: &mut impl FnMut(u8, usize)) {
    for _ in 0..LAYERS {
        match text.get(at) {
            Some(b'\\') => found(b'\\', at + 1),
            other => {
                if let Some(byte) = other {
                    found(*byte, at + 1);
                }
                break;
            }
        }
        at += 1;
    }
    let coded = match text.get(at) {
        Some(b'x') => number(text, at + 1, 2, 16).map(|byte| (byte, at + 3)),
        Some(b'u') if text.get(at + 1) == Some(&b'{') => ended(text, at + 2, b'}', 16),
        Some(b'u') => number(text, at + 1, 4, 16).map(|byte| (byte, at + 5)),
        _ => None,
    };
    if let Some((byte, end)) = coded {
        found(byte, end);
    }
}

/// `&#47;`, `&#x2f;`, `&sol;`, or the same behind `&amp;`.
fn entity(text: &[u8], mut at: usize, found: &mut impl FnMut(u8, usize)) {
    for _ in 0..LAYERS {
        let rest = &text[at..];
        let coded = match rest {
            [b'#', b'x' | b'X', ..] => ended(text, at + 2, b';', 16),
            [b'#', ..] => ended(text, at + 1, b';', 10),
            _ => named(rest).map(|(byte, length)| (byte, at + length)),
        };
        if let Some((byte, end)) = coded {
            found(byte, end);
        }
        if !rest.starts_with(b"amp;") {
            return;
        }
        at += 4;
    }
}

/// HTML's names of visible ASCII.
const NAMES: [(&str, u8); 34] = [
    ("amp", b'&'),
    ("apos", b'\''),
    ("ast", b'*'),
    ("bsol", b'\\'),
    ("colon", b':'),
    ("comma", b','),
    ("commat", b'@'),
    ("dollar", b'$'),
    ("equals", b'='),
    ("excl", b'!'),
    ("grave", b'`'),
    ("gt", b'>'),
    ("hat", b'^'),
    ("lbrace", b'{'),
    ("lbrack", b'['),
    ("lcub", b'{'),
    ("lowbar", b'_'),
    ("lpar", b'('),
    ("lsqb", b'['),
    ("lt", b'<'),
    ("num", b'#'),
    ("percnt", b'%'),
    ("period", b'.'),
    ("plus", b'+'),
    ("quest", b'?'),
    ("quot", b'"'),
    ("rbrace", b'}'),
    ("rcub", b'}'),
    ("rpar", b')'),
    ("rsqb", b']'),
    ("semi", b';'),
    ("sol", b'/'),
    ("verbar", b'|'),
    ("vert", b'|'),
];

/// The character of the entity that the text begins with, and the entity's length.
fn named(text: &[u8]) -> Option<(u8, usize)> {
    let length = text.iter().take(8).position(|byte| *byte == b';')?;
    let (_, byte) = NAMES.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(&text[..length]))?;
    Some((*byte, length + 1))
}

/// A number of exactly so many digits.
fn number(text: &[u8], at: usize, digits: usize, radix: u32) -> Option<u8> {
    let digits = text.get(at..at + digits).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
    u8::try_from(u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()?).ok()
}

/// A number up to an end, and where that lies.
fn ended(text: &[u8], at: usize, end: u8, radix: u32) -> Option<(u8, usize)> {
    let digits = text.get(at..)?.iter().take(8).position(|byte| *byte == end)?;
    Some((number(text, at, digits, radix)?, at + digits + 1))
}
