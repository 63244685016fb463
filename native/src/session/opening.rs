//! A session's scope out of texts, as any language can give them.

use serde_json::{Map, Value};

use crate::failure::{Code, Problem};
use crate::session::scope::Scope;
use crate::session::settings::{self, SESSION};

/// The scope of a session whose settings are one text: `{"credentials": …, "endpoints": …, "policy": …}`, each of which
/// may be left out.
pub fn of_text(text: &str) -> Result<Scope, Problem> {
    scope(settings::parse(text)?)
}

/// The scope of a session whose settings are three texts, each JSON, or `@` and the path of a file with it.
pub fn of_texts(credentials: Option<&str>, endpoints: Option<&str>, policy: Option<&str>) -> Result<Scope, Problem> {
    let given = [("credentials", credentials), ("endpoints", endpoints), ("policy", policy)];
    let read = |(name, text): (&str, Option<&str>)| {
        let value = text.map(|text| settings::parse(&settings::found(text)?)).transpose();
        let value = value.map_err(|problem| Problem { message: format!("{name}: {}", problem.message), ..problem })?;
        Ok((name.to_owned(), value.unwrap_or_default()))
    };
    scope(given.into_iter().map(read).collect::<Result<Map<_, _>, Problem>>()?.into())
}

fn scope(settings: Value) -> Result<Scope, Problem> {
    if !settings.is_object() {
        let message = "the settings are an object such as {\"credentials\": {…}, \"policy\": {…}}";
        return Err(Problem::new(Code::SettingsValue, message));
    }
    Scope::of(settings, &SESSION)
}

#[cfg(test)]
mod tests;
