//! Runs a hybrid whose session has credentials, a policy and a threshold.
//!
//!     CLOUD_TOKEN=… ORT_DYLIB_PATH=libonnxruntime.so cargo run --manifest-path samples/rust/Cargo.toml --bin guarded -- \
//!         LIBRARY hybrid.onnx 0.9
//!
//! The hybrid's remote model has auth=oh.Credential("cloud"), and its judge oh.Input("threshold", default=…). The token is
//! read from the environment at each call, and goes to the hosts that are named, and nowhere else.

use std::error::Error;

use ort::session::Session;
use ort::value::Tensor;

const SETTINGS: &str = r#"{
    "credentials": {"cloud": {"env": "CLOUD_TOKEN", "hosts": ["127.0.0.1"]}},
    "policy": {"budget": {"calls": 100}, "breaker": {"failures": 3}}
}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, library, hybrid, threshold] = &arguments[..] else {
        return Err("usage: guarded LIBRARY hybrid.onnx THRESHOLD".into());
    };
    let environment = ort::init().build()?;
    let mut session = Session::builder(&environment)?
        .with_config_entry("onnxhybrid.session", SETTINGS)? // before the library is registered
        .with_operator_library(library)?
        .commit_from_file(hybrid)?;

    let image: Vec<f32> = (0..64u8).map(|pixel| f32::from(pixel % 16)).collect();
    let outputs = session.run(ort::inputs! {
        "image" => Tensor::from_array(([1, 64], image))?,
        "threshold" => Tensor::from_array(([1], vec![threshold.parse::<f32>()?]))?,
    })?;
    let (_, labels) = outputs["label"].try_extract_tensor::<i64>()?;
    println!("label {}", labels[0]);
    Ok(())
}
