//! Which word was meant.

/// The word of `known` that is nearest to `written`, if one is near enough to be what was meant.
pub fn nearest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let written = plain(written);
    let distance = |word: &&'a str| (distance(&written, &plain(word)), *word);
    let (distance, word) = known.iter().map(distance).min()?;
    (distance <= 1 + plain(word).len() / 3 && distance < written.len().max(1)).then_some(word)
}

/// A word without what languages write differently: `maxConcurrency` is `max_concurrency`.
fn plain(word: &str) -> Vec<char> {
    word.chars().filter(|c| *c != '_' && *c != '-').flat_map(char::to_lowercase).take(64).collect()
}

/// How many characters are to be put in, left out or replaced.
fn distance(one: &[char], other: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, a) in one.iter().enumerate() {
        let mut corner = index;
        row[0] = index + 1;
        for (place, b) in other.iter().enumerate() {
            let replaced = corner + usize::from(a != b);
            corner = row[place + 1];
            row[place + 1] = replaced.min(corner + 1).min(row[place] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_that_was_meant_is_found() {
        let known = ["allow", "deny", "max_concurrency", "max_response_bytes", "budget"];
        for (written, meant) in [
            ("alow", Some("allow")),
            ("maxConcurrency", Some("max_concurrency")),
            ("max-response-bytes", Some("max_response_bytes")),
            ("max_concurency", Some("max_concurrency")),
            ("Budgets", Some("budget")),
            ("password", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, &known), meant, "{written}");
        }
    }
}
