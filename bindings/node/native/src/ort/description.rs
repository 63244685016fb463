//! The types and sizes of inputs, outputs and tensors.

use std::ffi::{CStr, c_char};
use std::ptr;

use ort_sys::{ONNXTensorElementDataType, ONNXType, OrtTensorTypeAndShapeInfo, OrtTypeInfo};

use super::{Outcome, Runtime};

/// The description of an input or output: its sizes are numbers or names, and -1 with no name is any.
pub struct Described {
    pub name: String,
    /// ONNX's number of the element type; none for what is no tensor.
    pub element: Option<u32>,
    pub sizes: Vec<(i64, String)>,
}

/// A description of ONNX Runtime's, which is released with this.
pub(super) struct Info(Runtime, *mut OrtTypeInfo);

impl Drop for Info {
    fn drop(&mut self) {
        // SAFETY: the description is ours, and released once.
        unsafe { (self.0.api.ReleaseTypeInfo)(self.1) }
    }
}

impl Info {
    pub(super) fn of(runtime: Runtime, info: *mut OrtTypeInfo) -> Self {
        Self(runtime, info)
    }

    pub(super) fn described(&self, name: String) -> Outcome<Described> {
        let (runtime, mut kind, mut tensor) = (self.0, ONNXType::ONNX_TYPE_UNKNOWN, ptr::null());
        // SAFETY: the description lives through both calls, which fill their results.
        unsafe {
            runtime.check((runtime.api.GetOnnxTypeFromTypeInfo)(self.1, &mut kind))?;
            if kind as u32 != ONNXType::ONNX_TYPE_TENSOR as u32 {
                return Ok(Described { name, element: None, sizes: vec![] });
            }
            runtime.check((runtime.api.CastTypeInfoToTensorInfo)(self.1, &mut tensor))?;
        }
        let (element, shape) = shape(runtime, tensor)?;
        let mut symbols = vec![ptr::null::<c_char>(); shape.len()];
        // SAFETY: there is room for as many names as there are sizes; they live as long as the description.
        let symbols = unsafe {
            runtime.check((runtime.api.GetSymbolicDimensions)(tensor, symbols.as_mut_ptr(), symbols.len()))?;
            symbols.iter().map(|text| CStr::from_ptr(*text).to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        Ok(Described { name, element: Some(element), sizes: shape.into_iter().zip(symbols).collect() })
    }
}

/// The element type and the sizes of a description that is not released.
pub(super) fn shape(runtime: Runtime, info: *const OrtTensorTypeAndShapeInfo) -> Outcome<(u32, Vec<i64>)> {
    let (mut element, mut rank) = (ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED, 0);
    // SAFETY: the description lives through the calls; the room has the rank that it told.
    unsafe {
        runtime.check((runtime.api.GetTensorElementType)(info, &mut element))?;
        runtime.check((runtime.api.GetDimensionsCount)(info, &mut rank))?;
        let mut sizes = vec![0; rank];
        runtime.check((runtime.api.GetDimensions)(info, sizes.as_mut_ptr(), rank))?;
        Ok((element as u32, sizes))
    }
}
