//! What ONNX Runtime tells about a node when its kernel is created.

use std::ffi::CString;
use std::marker::PhantomData;
use std::ptr;

use ort_sys::{OrtKernelInfo, OrtTypeInfo};

use super::{Api, OrtError};
use crate::element::ElementType;

/// A node, as its kernel's creation sees it.
pub struct KernelInfo<'a> {
    api: Api,
    raw: *const OrtKernelInfo,
    lifetime: PhantomData<&'a OrtKernelInfo>,
}

impl<'a> KernelInfo<'a> {
    /// Wraps the `info` of one `CreateKernelV2` of the runtime that `api` belongs to.
    pub(super) fn new(api: Api, raw: &'a OrtKernelInfo) -> Self {
        Self { api, raw, lifetime: PhantomData }
    }

    pub(super) fn raw(&self) -> *const OrtKernelInfo {
        self.raw
    }

    /// The node's name; may be empty.
    pub fn node_name(&self) -> Result<String, OrtError> {
        // SAFETY: `raw` is valid; buffer and size come from `Api::text`.
        self.api.text(|buffer, size| unsafe { (self.api.0.KernelInfo_GetNodeName)(self.raw, buffer, size) })
    }

    /// How many inputs the node has.
    pub fn input_count(&self) -> Result<usize, OrtError> {
        let mut count = 0;
        // SAFETY: `raw` is valid and `count` outlives the call.
        self.api.check(unsafe { (self.api.0.KernelInfo_GetInputCount)(self.raw, &mut count) })?;
        Ok(count)
    }

    /// How many outputs the node has.
    pub fn output_count(&self) -> Result<usize, OrtError> {
        let mut count = 0;
        // SAFETY: `raw` is valid and `count` outlives the call.
        self.api.check(unsafe { (self.api.0.KernelInfo_GetOutputCount)(self.raw, &mut count) })?;
        Ok(count)
    }

    /// The name in the graph of output `index`.
    pub fn output_name(&self, index: usize) -> Result<String, OrtError> {
        // SAFETY: `raw` is valid; an index out of range is an error status.
        self.api.text(|buffer, size| unsafe { (self.api.0.KernelInfo_GetOutputName)(self.raw, index, buffer, size) })
    }

    /// The element type that the graph declares for output `index`; `None` for one that cannot travel.
    pub fn output_element(&self, index: usize) -> Result<Option<ElementType>, OrtError> {
        let mut info = ptr::null_mut();
        // SAFETY: `raw` is valid and `info` outlives the call.
        self.api.check(unsafe { (self.api.0.KernelInfo_GetOutputTypeInfo)(self.raw, index, &mut info) })?;
        let element = self.tensor_element(info);
        // SAFETY: we own `info`, and nothing borrowed from it is left.
        unsafe { (self.api.0.ReleaseTypeInfo)(info) };
        element
    }

    fn tensor_element(&self, info: *const OrtTypeInfo) -> Result<Option<ElementType>, OrtError> {
        let mut tensor = ptr::null();
        // SAFETY: `info` is valid; what it lends lives as long as it does.
        self.api.check(unsafe { (self.api.0.CastTypeInfoToTensorInfo)(info, &mut tensor) })?;
        if tensor.is_null() {
            return Ok(None);
        }
        let mut code = 0i32;
        // SAFETY: `tensor` is valid. The type is read as a plain integer, because a later runtime may know more types.
        self.api.check(unsafe { (self.api.0.GetTensorElementType)(tensor, (&raw mut code).cast()) })?;
        Ok(ElementType::from_code(code))
    }

    /// The node's attribute `name`, if it has that and it is a text.
    pub fn text(&self, name: &str) -> Option<String> {
        let name = CString::new(name).ok()?;
        self.api
            // SAFETY: `raw` and `name` are valid; a missing attribute is an error status.
            .text(|buffer, size| unsafe {
                (self.api.0.KernelInfoGetAttribute_string)(self.raw, name.as_ptr(), buffer, size)
            })
            .ok()
    }

    /// The node's attribute `name`, if it has that and it is an integer.
    pub fn integer(&self, name: &str) -> Option<i64> {
        let name = CString::new(name).ok()?;
        let mut value = 0;
        // SAFETY: `raw` and `name` are valid and `value` outlives the call; a missing attribute is an error status.
        let status = unsafe { (self.api.0.KernelInfoGetAttribute_int64)(self.raw, name.as_ptr(), &mut value) };
        self.api.check(status).ok().map(|()| value)
    }

    /// The node's attribute `name`, if it has that and it is a float.
    pub fn float(&self, name: &str) -> Option<f32> {
        let name = CString::new(name).ok()?;
        let mut value = 0.0;
        // SAFETY: `raw` and `name` are valid and `value` outlives the call; a missing attribute is an error status.
        let status = unsafe { (self.api.0.KernelInfoGetAttribute_float)(self.raw, name.as_ptr(), &mut value) };
        self.api.check(status).ok().map(|()| value)
    }
}
