//! Runs a hybrid without Python: a plain session of ONNX Runtime with one registered library.
//!
//!     ORT_DYLIB_PATH=libonnxruntime.so cargo run --manifest-path samples/rust/Cargo.toml --bin hybrid -- LIBRARY hybrid.onnx
//!
//! libonnxruntime.so is of ONNX Runtime 1.18 or later. LIBRARY is what oh.library_path() gives. The hybrid is as that of
//! samples/digits.py: image float32[n, 64] -> label int64[n].

use std::error::Error;

use ort::session::Session;
use ort::value::Tensor;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, library, hybrid] = &arguments[..] else { return Err("usage: hybrid LIBRARY hybrid.onnx".into()) };
    let environment = ort::init().build()?;
    let mut session = Session::builder(&environment)?.with_operator_library(library)?.commit_from_file(hybrid)?;

    let image: Vec<f32> = (0..64u8).map(|pixel| f32::from(pixel % 16)).collect();
    let outputs = session.run(ort::inputs! { "image" => Tensor::from_array(([1, 64], image))? })?;
    let (_, labels) = outputs["label"].try_extract_tensor::<i64>()?;
    println!("label {}", labels[0]);
    Ok(()) // an error, such as [OH501] … where the cloud cannot be reached, is printed, and the status is 1
}
