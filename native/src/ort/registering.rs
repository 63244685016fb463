//! The one call of ONNX Runtime that lets operators be added.

use ort_sys::{OrtApiBase, OrtSessionOptions, OrtStatusPtr};

use super::{API_VERSION, Api, SessionOptions, success};

/// Has `register` add operators to the options of a session to come, as `RegisterCustomOps` is called to do; `Err` is
/// the text of an error.
pub fn registering(
    base: Option<&OrtApiBase>,
    options: &mut OrtSessionOptions,
    register: impl FnOnce(Api, &SessionOptions) -> Result<(), String>,
) -> OrtStatusPtr {
    let Some(base) = base else { return success() };
    let Some(api) = Api::of(base) else { return too_old(base) };
    match register(api, &SessionOptions::new(api, options)) {
        Ok(()) => success(),
        Err(message) => api.status(&message),
    }
}

/// Tables only ever grow at their end, and a status is in the first of them.
fn too_old(base: &OrtApiBase) -> OrtStatusPtr {
    let message = format!("[OH530] onnxhybrid needs ONNX Runtime 1.{API_VERSION} or later");
    Api::of_version(base, 1).map_or_else(success, |api| api.status(&message))
}
