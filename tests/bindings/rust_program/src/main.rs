//! Runs a list of a set of hybrids (tests/bindings/__init__.py) in sessions of which nothing is known but one library.
//!
//!     cargo run -- [--provider] ONNXRUNTIME LIBRARY SET LIST OUT
//!
//! With --provider the library is the sessions' execution provider, and their entries are its options.

use std::collections::HashMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs, io, thread};

use half::f16;
use ort::environment::Environment;
use ort::session::builder::SessionBuilder;
use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, Tensor, TensorElementType as Element, ValueType};

/// What a session is given: names, element types, sizes and bytes of tensors, and its entries.
#[derive(Clone, Default)]
struct Given {
    inputs: Vec<Described>,
    defaults: Vec<Described>,
    entries: Vec<(String, String)>,
}

#[derive(Clone)]
struct Described {
    name: String,
    element: i32,
    shape: Vec<i64>,
    bytes: Vec<u8>,
}

/// Where things are.
#[derive(Clone)]
struct Places {
    environment: Environment,
    provider: bool,
    library: PathBuf,
    set: PathBuf,
    out: PathBuf,
}

const PROVIDER: &str = "OnnxHybridExecutionProvider";

/// Element types by their number in ONNX.
const FLOAT: i32 = 1;
const UINT8: i32 = 2;
const INT64: i32 = 7;
const STRING: i32 = 8;
const BOOL: i32 = 9;
const FLOAT16: i32 = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<String> = env::args().skip(1).collect();
    let provider = arguments.first().is_some_and(|first| first == "--provider");
    arguments.drain(..usize::from(provider));
    let [runtime, library, set, list, out] = &arguments[..] else {
        return Err("run [--provider] ONNXRUNTIME LIBRARY SET LIST OUT".into());
    };
    let environment = ort::init_from(runtime)?.build()?;
    if provider {
        environment.register_ep_library("onnxhybrid", library)?;
    }
    let places = Places { environment, provider, library: library.into(), set: set.into(), out: out.into() };
    let mut given = Given::default();
    for line in fs::read_to_string(places.set.join(list))?.lines() {
        let cells: Vec<&str> = line.split('\t').collect();
        match cells[..] {
            ["input", name, element, sizes, file] => {
                given.inputs.push(described(&places, [name, element, sizes, file])?)
            }
            ["default", name, element, sizes, file] => {
                given.defaults.push(described(&places, [name, element, sizes, file])?)
            }
            ["entry", key, value] => given.entries.push((key.into(), value.replace("{set}", set))),
            ["run", model, folder] => job(&places, &std::mem::take(&mut given), model, folder),
            ["together", model, folder, count] => {
                together(&places, &std::mem::take(&mut given), model, folder, count.parse()?)
            }
            ["leave", model, folder] => return leave(places, given, model.to_owned(), folder.to_owned()),
            _ => return Err(line.into()),
        }
    }
    Ok(())
}

fn together(places: &Places, given: &Given, model: &str, folder: &str, count: usize) {
    thread::scope(|scope| {
        for number in 0..count {
            scope.spawn(move || job(places, given, model, &format!("{folder}/{number}")));
        }
    });
}

/// Begins a run, and ends the process when a line is read.
fn leave(places: Places, given: Given, model: String, folder: String) -> Result<(), Box<dyn Error>> {
    thread::spawn(move || job(&places, &given, &model, &folder));
    io::stdin().read_line(&mut String::new())?;
    Ok(())
}

fn job(places: &Places, given: &Given, model: &str, folder: &str) {
    let folder = places.out.join(folder);
    if let Err(problem) = run(places, given, &places.set.join(model), &folder) {
        fs::write(folder.join("error"), problem.to_string()).expect("the folder of results can be written");
    }
}

fn run(places: &Places, given: &Given, model: &Path, folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut session = opened(places, given, model)?;
    let inputs: HashMap<&str, SessionInputValue> = given
        .inputs
        .iter()
        .map(|input| Ok((input.name.as_str(), tensor(input)?.into())))
        .collect::<ort::Result<_>>()?;
    let outputs = session.run(inputs)?;
    let mut lines = String::new();
    for (position, (name, value)) in outputs.iter().enumerate() {
        let (element, shape, bytes) = taken(&value)?;
        let sizes: Vec<String> = shape.iter().map(ToString::to_string).collect();
        lines += &format!("{name}\t{element}\t{}\t{position}\n", sizes.join(","));
        fs::write(folder.join(position.to_string()), bytes)?;
    }
    Ok(fs::write(folder.join("outputs"), lines)?)
}

fn opened(places: &Places, given: &Given, model: &Path) -> ort::Result<Session> {
    let mut builder = Session::builder(&places.environment)?.with_log_level(ort::logging::LogLevel::Error)?;
    for default in &given.defaults {
        builder = builder.with_initializer(&default.name, tensor(default)?)?;
    }
    let enter = if places.provider { as_provider } else { as_operators };
    enter(builder, places, &given.entries)?.commit_from_file(model)
}

fn as_operators(
    mut builder: SessionBuilder,
    places: &Places,
    entries: &[(String, String)],
) -> ort::Result<SessionBuilder> {
    for (key, value) in entries {
        builder = builder.with_config_entry(key, value)?;
    }
    Ok(builder.with_operator_library(&places.library)?)
}

fn as_provider(builder: SessionBuilder, places: &Places, entries: &[(String, String)]) -> ort::Result<SessionBuilder> {
    let options: Vec<_> = entries.iter().map(|(key, value)| (format!("{PROVIDER}.{key}"), value.clone())).collect();
    let devices = places.environment.devices().filter(|device| device.ep().is_ok_and(|name| name == PROVIDER));
    Ok(builder.with_devices(devices, Some(&options))?)
}

fn described(places: &Places, [name, element, sizes, file]: [&str; 4]) -> Result<Described, Box<dyn Error>> {
    let shape = sizes.split(',').filter(|size| !size.is_empty()).map(str::parse).collect::<Result<_, _>>()?;
    Ok(Described { name: name.into(), element: element.parse()?, shape, bytes: fs::read(places.set.join(file))? })
}

fn tensor(given: &Described) -> ort::Result<DynValue> {
    let (bytes, shape) = (&given.bytes, given.shape.clone());
    let dynamic = match given.element {
        FLOAT => Tensor::from_array((shape, elements(bytes, f32::from_le_bytes)))?.into_dyn(),
        UINT8 => Tensor::from_array((shape, bytes.clone()))?.into_dyn(),
        INT64 => Tensor::from_array((shape, elements(bytes, i64::from_le_bytes)))?.into_dyn(),
        BOOL => Tensor::from_array((shape, bytes.iter().map(|byte| *byte != 0).collect::<Vec<_>>()))?.into_dyn(),
        FLOAT16 => Tensor::from_array((shape, elements(bytes, f16::from_le_bytes)))?.into_dyn(),
        STRING => Tensor::from_string_array((shape, &texts(bytes)[..]))?.into_dyn(),
        other => panic!("no hybrid is fed elements of type {other}"),
    };
    Ok(dynamic)
}

fn elements<T, const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|chunk| read(*chunk)).collect()
}

fn texts(mut bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let (text, rest) = rest.split_at(u32::from_le_bytes(*length) as usize);
        found.push(String::from_utf8(text.to_vec()).expect("the set's texts are UTF-8"));
        bytes = rest;
    }
    found
}

/// An output's element type, shape and bytes.
type Taken = (i32, Vec<i64>, Vec<u8>);

fn taken(value: &DynValue) -> Result<Taken, Box<dyn Error>> {
    let ValueType::Tensor { ty, shape, .. } = value.dtype() else { return Err("an output is no tensor".into()) };
    let (element, bytes) = match ty {
        Element::Float32 => (FLOAT, flat(value.try_extract_tensor::<f32>()?.1, |x| x.to_le_bytes())),
        Element::Uint8 => (UINT8, value.try_extract_tensor::<u8>()?.1.to_vec()),
        Element::Int64 => (INT64, flat(value.try_extract_tensor::<i64>()?.1, |x| x.to_le_bytes())),
        Element::Bool => (BOOL, flat(value.try_extract_tensor::<bool>()?.1, |x| [u8::from(x)])),
        Element::Float16 => (FLOAT16, flat(value.try_extract_tensor::<f16>()?.1, |x| x.to_le_bytes())),
        Element::String => (STRING, joined(&value.try_extract_strings()?.1)),
        other => return Err(format!("no hybrid gives elements of type {other}").into()),
    };
    Ok((element, shape.to_vec(), bytes))
}

fn flat<T: Copy, const N: usize>(elements: &[T], write: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    elements.iter().flat_map(|element| write(*element)).collect()
}

fn joined(texts: &[String]) -> Vec<u8> {
    let part = |text: &String| [&(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
    texts.iter().flat_map(part).collect()
}
