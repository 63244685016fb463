//! The addon of the Node package. Everything that waits does so on a thread of its own, so that the event loop is free
//! however many calls are under way; what comes back goes to the loop as a promise's answer.
#![deny(unsafe_op_in_unsafe_fn)]

mod ort;
mod promise;

use std::path::Path;
use std::sync::Arc;

use napi::bindgen_prelude::{Buffer, Either, Uint8Array};
use napi::{Env, Error, JsObject, Result};
use napi_derive::napi;

use ort::{Elements, Outcome, Runtime, Settings, Source, Tensor};
use promise::aside;

/// What a session is opened with; index.js has checked it.
#[napi(object)]
pub struct Opening {
    pub model: Either<String, Uint8Array>,
    pub library: String,
    pub entries: Vec<Vec<String>>,
    pub optimization: Option<u32>,
    pub intra_threads: Option<i32>,
    pub inter_threads: Option<i32>,
    pub parallel: bool,
    pub severity: i32,
}

/// A tensor on its way to a run or from it: bytes, or texts.
#[napi(object)]
pub struct Value {
    pub name: String,
    pub element: u32,
    pub sizes: Vec<i64>,
    pub bytes: Option<Uint8Array>,
    pub texts: Option<Vec<String>>,
}

/// A tensor that came out.
#[napi(object)]
pub struct Output {
    pub name: String,
    pub element: u32,
    pub sizes: Vec<i64>,
    pub bytes: Option<Buffer>,
    pub texts: Option<Vec<String>>,
}

/// An input or output of a session.
#[napi(object)]
pub struct Described {
    pub name: String,
    pub element: Option<u32>,
    pub sizes: Vec<Either<i64, String>>,
}

/// Load ONNX Runtime, once for the process.
#[napi]
pub fn load(runtime: String) -> Result<()> {
    Runtime::load(Path::new(&runtime)).map(drop).map_err(Error::from_reason)
}

/// Open a session on a thread of its own; gives a promise of it.
#[napi(ts_return_type = "Promise<Session>")]
pub fn open(env: Env, opening: Opening) -> Result<JsObject> {
    let runtime = Runtime::loaded().map_err(Error::from_reason)?;
    let source = match opening.model {
        Either::A(path) => Source::File(path),
        Either::B(data) => Source::Bytes(data.to_vec()),
    };
    let settings = Settings {
        library: opening.library,
        entries: opening
            .entries
            .into_iter()
            .filter_map(|pair| pair.try_into().ok().map(|[k, v]: [String; 2]| (k, v)))
            .collect(),
        optimization: opening.optimization,
        intra_threads: opening.intra_threads,
        inter_threads: opening.inter_threads,
        parallel: opening.parallel,
        severity: opening.severity,
    };
    aside(
        env,
        move || ort::Session::open(runtime, &source, &settings),
        |opened| Session { inner: Some(Arc::new(opened)) },
    )
}

/// A session.
#[napi]
pub struct Session {
    inner: Option<Arc<ort::Session>>,
}

#[napi]
impl Session {
    fn alive(&self) -> Result<&Arc<ort::Session>> {
        self.inner.as_ref().ok_or_else(|| Error::from_reason("the session is disposed"))
    }

    /// What must be fed.
    #[napi]
    pub fn inputs(&self) -> Result<Vec<Described>> {
        Ok(self.alive()?.inputs.iter().map(described).collect())
    }

    /// What may be fed, and has a default.
    #[napi]
    pub fn optional(&self) -> Result<Vec<Described>> {
        Ok(self.alive()?.optional.iter().map(described).collect())
    }

    /// What comes out.
    #[napi]
    pub fn outputs(&self) -> Result<Vec<Described>> {
        Ok(self.alive()?.outputs.iter().map(described).collect())
    }

    /// Run the session on a thread of its own; what is fed is copied before this returns.
    #[napi(ts_return_type = "Promise<Output[]>")]
    pub fn run(&self, env: Env, feeds: Vec<Value>, outputs: Vec<String>) -> Result<JsObject> {
        let session = Arc::clone(self.alive()?);
        let runtime = Runtime::loaded().map_err(Error::from_reason)?;
        let given = feeds.into_iter().map(|value| tensor(runtime, value)).collect::<Outcome<Vec<_>>>();
        let given = given.map_err(Error::from_reason)?;
        aside(
            env,
            move || {
                let found = session.run(&given, &outputs)?;
                outputs.into_iter().zip(&found).map(|(name, tensor)| Ok((name, tensor.read()?))).collect()
            },
            |found: Vec<(String, _)>| found.into_iter().map(|(name, read)| output(name, read)).collect::<Vec<_>>(),
        )
    }

    /// Let go of the session; runs that are under way end as they would have.
    #[napi]
    pub fn dispose(&mut self) {
        self.inner = None;
    }
}

fn described(found: &ort::Described) -> Described {
    let sizes = found.sizes.iter().map(|(size, symbol)| match symbol.as_str() {
        "" => Either::A(*size),
        symbol => Either::B(symbol.into()),
    });
    Described { name: found.name.clone(), element: found.element, sizes: sizes.collect() }
}

fn tensor(runtime: Runtime, value: Value) -> Outcome<(String, Tensor)> {
    let elements = match (value.bytes, value.texts) {
        (Some(bytes), None) => Elements::Bytes(bytes.to_vec()),
        (None, Some(texts)) => Elements::Texts(texts),
        _ => return Err(format!("the input {:?} has no elements", value.name)),
    };
    let made = Tensor::new(runtime, value.element, &value.sizes, &elements)
        .map_err(|problem| format!("the input {:?}: {problem}", value.name))?;
    Ok((value.name, made))
}

fn output(name: String, (element, sizes, elements): (u32, Vec<i64>, Elements)) -> Output {
    let (bytes, texts) = match elements {
        Elements::Bytes(bytes) => (Some(Buffer::from(bytes)), None),
        Elements::Texts(texts) => (None, Some(texts)),
    };
    Output { name, element, sizes, bytes, texts }
}
