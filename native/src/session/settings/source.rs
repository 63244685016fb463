//! Where settings are: in the text itself, or in a file that it names; and texts that stand elsewhere.

use std::fmt;
#[cfg(unix)]
use std::fs;
use std::fs::File;
use std::io::{self, Read};
#[cfg(unix)]
use std::os::unix::fs::FileTypeExt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use zeroize::Zeroizing;

use crate::failure::{Code, Problem};

/// Bytes that a file of settings, or of a secret, may have.
const MOST: u64 = 1 << 20;

/// What the text says, or the file that it names as `@path`.
pub fn found(text: &str) -> Result<Zeroizing<String>, Problem> {
    let Some(path) = text.trim().strip_prefix('@') else { return Ok(text.to_owned().into()) };
    let read = contents(path).map_err(|why| {
        let message = format!("the settings are in \"{path}\", which cannot be used: {why}");
        Problem::new(Code::SettingsSource, message)
    })?;
    Ok(read)
}

/// The text of a file, without the mark that some editors write first; `Err` says what is wrong with it.
pub fn contents(path: &str) -> Result<Zeroizing<String>, String> {
    let mut bytes = Zeroizing::new(Vec::new());
    let file = opened(path).map_err(|error| error.to_string())?;
    file.take(MOST + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MOST {
        return Err(format!("it has more than {MOST} bytes"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| "it is no text in UTF-8".to_owned())?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text).to_owned().into())
}

/// A file that is no pipe, which nobody may ever write to.
fn opened(path: &str) -> io::Result<File> {
    #[cfg(unix)]
    if fs::metadata(path)?.file_type().is_fifo() {
        return Err(io::Error::other("it is a pipe"));
    }
    File::open(path)
}

/// Reads JSON in which no key stands twice. Nothing of the text is told: it may be a secret.
pub fn parse(text: &str) -> Result<Value, Problem> {
    serde_json::from_str(text).map(|Unique(value)| value).map_err(|error| {
        let place = format!("line {} column {}", error.line(), error.column());
        let what = match error.classify() {
            serde_json::error::Category::Data => format!("a key stands twice, at {place}: leave one out"),
            serde_json::error::Category::Eof => format!("they end at {place}, before their JSON does"),
            _ => format!("no JSON at {place}"),
        };
        let wanted =
            "write an object such as {\"credentials\": {…}, \"policy\": {…}}, or @ and the path of a file with it";
        Problem::new(Code::SettingsJson, format!("the settings cannot be read: {what}; {wanted}"))
    })
}

/// A value of whose objects none has a key twice.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading).map(Self)
    }
}

struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Unique(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, Unique(value))) = entries.next_entry::<String, Unique>()? {
            if map.insert(key, value).is_some() {
                return Err(A::Error::custom("a key stands twice"));
            }
        }
        Ok(Value::Object(map))
    }
}
