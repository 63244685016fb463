//! The inputs and outputs of one run of a kernel.

use std::marker::PhantomData;
use std::ptr;
use std::slice;

use ort_sys::{OrtKernelContext, OrtTensorTypeAndShapeInfo, OrtValue};

use super::{Api, OrtError};
use crate::element::ElementType;
use crate::tensor::{Chunks, InputData, InputTensor, OutputData, OutputTensor, element_count};

/// One run of a kernel.
pub struct Context<'a> {
    pub(super) api: Api,
    raw: *mut OrtKernelContext,
    lifetime: PhantomData<&'a mut OrtKernelContext>,
}

impl<'a> Context<'a> {
    /// Wraps the context of one `KernelComputeV2` of the runtime that `api` belongs to.
    pub(super) fn new(api: Api, raw: &'a mut OrtKernelContext) -> Self {
        Self { api, raw, lifetime: PhantomData }
    }

    /// How many inputs the run has.
    pub fn input_count(&self) -> Result<usize, OrtError> {
        let mut count = 0;
        // SAFETY: `raw` is valid and `count` outlives the call.
        self.api.check(unsafe { (self.api.0.KernelContext_GetInputCount)(self.raw, &mut count) })?;
        Ok(count)
    }

    /// Input `index`; numbers are borrowed from ONNX Runtime, strings are copied out of it.
    pub fn input(&self, index: usize) -> Result<InputTensor<'a>, OrtError> {
        let value = self.input_value(index)?;
        let (code, shape) = self.type_and_shape(value)?;
        let element =
            ElementType::from_code(code).ok_or_else(|| OrtError(format!("input {index} has element type {code}")))?;
        let count = element_count(&shape).ok_or_else(|| OrtError(format!("input {index} has shape {shape:?}")))?;
        let data = match element {
            ElementType::String => InputData::Text(self.read_strings(value, count)?),
            _ => InputData::Raw(self.borrow(value, count * element.size())?),
        };
        Ok(InputTensor { element, shape, data })
    }

    /// Allocates output `index` and copies `tensor` into it. An output that the graph does not use is skipped.
    pub fn write(&self, index: usize, tensor: &OutputTensor) -> Result<(), OrtError> {
        let value = self.output_value(index, &tensor.shape)?;
        if value.is_null() {
            return Ok(());
        }
        let count = element_count(&tensor.shape).unwrap_or(usize::MAX);
        match &tensor.data {
            OutputData::Raw(chunks) if count.checked_mul(tensor.element.size()) == Some(chunks.len()) => {
                self.fill(value, tensor.element, chunks)
            }
            OutputData::Text(strings) if tensor.element == ElementType::String && count == strings.len() => {
                self.expect_element(value, ElementType::String)?;
                self.write_strings(value, strings.iter())
            }
            _ => Err(OrtError(format!("output {index} does not fit its shape"))),
        }
    }

    fn input_value(&self, index: usize) -> Result<*const OrtValue, OrtError> {
        let mut value = ptr::null();
        // SAFETY: `raw` is valid and `value` outlives the call; an index out of range is an error status.
        self.api.check(unsafe { (self.api.0.KernelContext_GetInput)(self.raw, index, &mut value) })?;
        let mut tensor = 0;
        if !value.is_null() {
            // SAFETY: `value` is valid for this run.
            self.api.check(unsafe { (self.api.0.IsTensor)(value, &mut tensor) })?;
        }
        if tensor == 0 { Err(OrtError(format!("input {index} is no tensor"))) } else { Ok(value) }
    }

    fn output_value(&self, index: usize, shape: &[i64]) -> Result<*mut OrtValue, OrtError> {
        let mut value = ptr::null_mut();
        // SAFETY: `raw` is valid, `shape` is read during the call only, `value` outlives it.
        let status =
            unsafe { (self.api.0.KernelContext_GetOutput)(self.raw, index, shape.as_ptr(), shape.len(), &mut value) };
        self.api.check(status)?;
        Ok(value)
    }

    fn type_and_shape(&self, value: *const OrtValue) -> Result<(i32, Vec<i64>), OrtError> {
        let mut info = ptr::null_mut();
        // SAFETY: `value` is a valid tensor and `info` outlives the call.
        self.api.check(unsafe { (self.api.0.GetTensorTypeAndShape)(value, &mut info) })?;
        let read = self.read_info(info);
        // SAFETY: we own `info`, and nothing borrowed from it is left.
        unsafe { (self.api.0.ReleaseTensorTypeAndShapeInfo)(info) };
        read
    }

    fn read_info(&self, info: *const OrtTensorTypeAndShapeInfo) -> Result<(i32, Vec<i64>), OrtError> {
        let (mut code, mut rank) = (0i32, 0);
        // SAFETY: `info` is valid. The type is read as a plain integer, because a later runtime may know more types.
        self.api.check(unsafe { (self.api.0.GetTensorElementType)(info, (&raw mut code).cast()) })?;
        // SAFETY: `info` is valid and `rank` outlives the call.
        self.api.check(unsafe { (self.api.0.GetDimensionsCount)(info, &mut rank) })?;
        let mut shape = vec![0; rank];
        // SAFETY: `shape` has room for `rank` dimensions.
        self.api.check(unsafe { (self.api.0.GetDimensions)(info, shape.as_mut_ptr(), rank) })?;
        Ok((code, shape))
    }

    fn data(&self, value: *mut OrtValue) -> Result<*mut u8, OrtError> {
        let mut data = ptr::null_mut();
        // SAFETY: `value` is a valid tensor of numbers and `data` outlives the call.
        self.api.check(unsafe { (self.api.0.GetTensorMutableData)(value, &mut data) })?;
        Ok(data.cast())
    }

    fn borrow(&self, value: *const OrtValue, length: usize) -> Result<&'a [u8], OrtError> {
        let data = self.data(value.cast_mut())?;
        if length == 0 || data.is_null() {
            return if length == 0 { Ok(&[]) } else { Err(OrtError("an input has no data".into())) };
        }
        // SAFETY: the tensor holds `length` bytes, is not written during the run, and lives for `'a`.
        Ok(unsafe { slice::from_raw_parts(data, length) })
    }

    fn fill(&self, value: *mut OrtValue, element: ElementType, chunks: &Chunks) -> Result<(), OrtError> {
        self.expect_element(value, element)?;
        let mut target = self.data(value)?;
        for chunk in chunks.iter() {
            // SAFETY: `write` checked that the chunks together are as long as the tensor, and the tensor is ours alone.
            unsafe {
                ptr::copy_nonoverlapping(chunk.as_ptr(), target, chunk.len());
                target = target.add(chunk.len());
            }
        }
        Ok(())
    }

    /// ONNX Runtime allocates an output of the type that the graph declares; writing another would overrun it.
    fn expect_element(&self, value: *const OrtValue, element: ElementType) -> Result<(), OrtError> {
        let (code, _) = self.type_and_shape(value)?;
        if code == element as i32 {
            Ok(())
        } else {
            Err(OrtError(format!("an output has element type {code}, not {}", element.name())))
        }
    }
}
