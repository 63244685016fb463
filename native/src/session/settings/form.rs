//! What may stand where, as data: a value is held against its form, and what is wrong is told by the key's name.

use serde_json::{Map, Value, json};

use super::suggesting::nearest;
use crate::failure::{Code, Problem};

/// What a value may be.
pub enum Form {
    /// A text, be it empty.
    Text,
    /// A text that is not empty.
    Named,
    /// `true` or `false`.
    Flag,
    /// A whole number in this range.
    Count(u64, u64),
    /// A number in this range.
    Number(f64, f64),
    /// A list of at least so many, each of this form.
    List(usize, &'static Form),
    /// Names of the user's own, each with a value of this form.
    Names(Naming, &'static Form),
    /// These keys, each of which may be left out or null.
    Keys(&'static [(&'static str, Form)]),
    /// One of these forms, no two of which are the same kind of JSON.
    Either(&'static [Form]),
    /// A key of another place, or one that needs the file, and what to do instead.
    Elsewhere(&'static str),
}

/// Which names a user may give.
#[derive(Clone, Copy)]
pub enum Naming {
    /// As of credentials and endpoints.
    Short,
    /// Any.
    Free,
}

/// Characters that a name of a credential or an endpoint may have.
const LONGEST: usize = 64;

impl Form {
    /// Refuses a value that is of another form; `path` says where it stands. No value is ever shown: it may be a secret.
    pub fn check(&self, path: &str, value: &Value) -> Result<(), Problem> {
        let fits = match (self, value) {
            (Self::Text, Value::String(_)) | (Self::Flag, Value::Bool(_)) => true,
            (Self::Named, Value::String(text)) => !text.is_empty(),
            (Self::Count(least, most), Value::Number(_)) => value.as_u64().is_some_and(|n| n >= *least && n <= *most),
            (Self::Number(least, most), Value::Number(_)) => value.as_f64().is_some_and(|n| n >= *least && n <= *most),
            (Self::List(least, form), Value::Array(items)) if items.len() >= *least => return each(path, items, form),
            (Self::Names(naming, form), Value::Object(entries)) => return named(path, entries, *naming, form),
            (Self::Keys(keys), Value::Object(entries)) => return keyed(path, entries, keys),
            (Self::Either(forms), _) => match forms.iter().find(|form| form.is_of_kind(value)) {
                Some(form) => return form.check(path, value),
                None => false,
            },
            _ => false,
        };
        if fits { Ok(()) } else { Err(wrong(path, &self.told(), value)) }
    }

    /// Whether this kind of JSON is what the form has.
    fn is_of_kind(&self, value: &Value) -> bool {
        match self {
            Self::Text | Self::Named => value.is_string(),
            Self::Flag => value.is_boolean(),
            Self::Count(..) | Self::Number(..) => value.is_number(),
            Self::List(..) => value.is_array(),
            Self::Names(..) | Self::Keys(_) => value.is_object(),
            Self::Either(forms) => forms.iter().any(|form| form.is_of_kind(value)),
            Self::Elsewhere(_) => false,
        }
    }

    /// What to write, for people.
    fn told(&self) -> String {
        match self {
            Self::Text => "a text".into(),
            Self::Named => "a text that is not empty".into(),
            Self::Flag => "true or false".into(),
            Self::Count(least, u64::MAX) => format!("a whole number from {least}"),
            Self::Count(least, most) => format!("a whole number from {least} to {most}"),
            Self::Number(least, most) => format!("a number from {least} to {most}"),
            Self::List(0, form) => format!("a list, each of it {}", form.told()),
            Self::List(least, form) => format!("a list of at least {least}, each of it {}", form.told()),
            Self::Names(_, form) => format!("an object of names, each with {}", form.told()),
            Self::Keys(keys) => format!("an object with any of {}", listed(keys)),
            Self::Either(forms) => forms.iter().map(Self::told).collect::<Vec<_>>().join(", or "),
            Self::Elsewhere(why) => (*why).into(),
        }
    }

    /// The form as JSON, for documents and for what compares it with other languages' words.
    pub fn json(&self) -> Value {
        match self {
            Self::List(_, form) => json!([form.json()]),
            Self::Names(_, form) => json!({"*": form.json()}),
            Self::Keys(keys) => keys.iter().map(|(name, form)| ((*name).to_owned(), form.json())).collect(),
            Self::Either(forms) => json!({"either": forms.iter().map(Self::json).collect::<Vec<_>>()}),
            Self::Elsewhere(why) => json!({"elsewhere": why}),
            plain => json!(plain.told()),
        }
    }
}

fn each(path: &str, items: &[Value], form: &Form) -> Result<(), Problem> {
    items.iter().enumerate().try_for_each(|(index, item)| form.check(&format!("{path}[{index}]"), item))
}

fn named(path: &str, entries: &Map<String, Value>, naming: Naming, form: &Form) -> Result<(), Problem> {
    entries.iter().enumerate().try_for_each(|(index, (name, value))| {
        if matches!(naming, Naming::Short) && !is_short(name) {
            // It is not repeated: it could be the token, where name and token are mixed up.
            let message = format!(
                "{path} has as its entry number {} one whose name has not 1 to {LONGEST} letters, digits, '_', '-' and '.'",
                index + 1
            );
            return Err(Problem::new(Code::SettingsValue, message));
        }
        form.check(&format!("{path}.{name}"), value)
    })
}

fn keyed(path: &str, entries: &Map<String, Value>, keys: &[(&str, Form)]) -> Result<(), Problem> {
    for (key, value) in entries {
        match keys.iter().find(|(name, _)| name == key) {
            None => return Err(unknown(path, key, keys)),
            Some((_, Form::Elsewhere(why))) if !value.is_null() => {
                return Err(Problem::new(Code::SettingsElsewhere, format!("{}: {why}", below(path, key))));
            }
            Some(_) if value.is_null() => {}
            Some((_, form)) => form.check(&below(path, key), value)?,
        }
    }
    Ok(())
}

/// The path of a key.
fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn is_short(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (1..=LONGEST).contains(&name.len()) && name.chars().all(plain)
}

fn unknown(path: &str, key: &str, keys: &[(&str, Form)]) -> Problem {
    let names: Vec<_> =
        keys.iter().filter(|(_, form)| !matches!(form, Form::Elsewhere(_))).map(|(name, _)| *name).collect();
    let home =
        keys.iter().find(|(_, form)| matches!(form, Form::Keys(inner) if inner.iter().any(|(name, _)| *name == key)));
    let hint = match (home, nearest(key, &names)) {
        (Some((home, _)), _) => format!("write it in \"{home}\""),
        (None, Some(meant)) => format!("did you mean \"{meant}\"?"),
        (None, None) => format!("there are {}", listed(keys)),
    };
    let place = if path.is_empty() { "the settings have".to_owned() } else { format!("{path} has") };
    Problem::new(Code::SettingsKey, format!("{place} {}; {hint}", shown("key", key)))
}

/// Says of a key, or whatever `what` is, that it is unknown. What is no word might be a token, where a name and its value
/// are mixed up, and is not repeated.
pub fn shown(what: &str, key: &str) -> String {
    let word = key.len() <= 32 && key.chars().all(|c| c.is_ascii_alphabetic() || matches!(c, '_' | '-'));
    if word { format!("no {what} \"{key}\"") } else { format!("no {what} of the name that was given") }
}

fn listed(keys: &[(&str, Form)]) -> String {
    let names = keys.iter().filter(|(_, form)| !matches!(form, Form::Elsewhere(_)));
    names.map(|(name, _)| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

fn wrong(path: &str, wanted: &str, value: &Value) -> Problem {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "this number",
        Value::String(text) if text.is_empty() => "an empty text",
        Value::String(_) => "a text",
        Value::Array(items) if items.is_empty() => "an empty list",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    let place = if path.is_empty() { "the whole" } else { path };
    Problem::new(Code::SettingsValue, format!("{place} is {wanted}, not {found}"))
}
