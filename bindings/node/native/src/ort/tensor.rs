//! Tensors, to and from ONNX Runtime.

use std::ptr;

use ort_sys::{ONNXTensorElementDataType, OrtValue};

use super::description::shape;
use super::{Outcome, Runtime, STRING};

/// A tensor of ONNX Runtime's own memory.
pub struct Tensor {
    runtime: Runtime,
    value: *mut OrtValue,
}

// SAFETY: a value is only read once it is made, and may be released by any thread.
unsafe impl Send for Tensor {}
// SAFETY: as above.
unsafe impl Sync for Tensor {}

impl Drop for Tensor {
    fn drop(&mut self) {
        // SAFETY: the value is ours, and released once; null is nothing.
        unsafe { (self.runtime.api.ReleaseValue)(self.value) }
    }
}

/// What a tensor holds.
pub enum Elements {
    Bytes(Vec<u8>),
    Texts(Vec<String>),
}

impl Tensor {
    /// The tensor whose value this is; it is released with it.
    pub(super) fn of(runtime: Runtime, value: *mut OrtValue) -> Self {
        Self { runtime, value }
    }

    /// The value, which lives as long as this.
    pub(super) fn value(&self) -> *const OrtValue {
        self.value
    }

    /// A tensor of an element type that `element_size` knows, or of texts, with a copy of the elements.
    pub fn new(runtime: Runtime, element: u32, sizes: &[i64], elements: &Elements) -> Outcome<Self> {
        let kind = kind(element).ok_or_else(|| format!("the element type {element} is none that is taken"))?;
        let mut value = ptr::null_mut();
        // SAFETY: the sizes live through the call, which fills the pointer.
        let status = unsafe {
            (runtime.api.CreateTensorAsOrtValue)(runtime.allocator, sizes.as_ptr(), sizes.len(), kind, &mut value)
        };
        runtime.check(status)?;
        let tensor = Self { runtime, value };
        let count = usize::try_from(sizes.iter().product::<i64>()).map_err(|_| "a size is negative".to_string())?;
        match elements {
            Elements::Bytes(bytes) if element != STRING && count * element_size(element) == bytes.len() => {
                // SAFETY: the tensor has as many bytes, which nobody else knows yet.
                unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), tensor.data()?, bytes.len()) };
            }
            Elements::Texts(texts) if element == STRING && count == texts.len() => tensor.fill(texts)?,
            _ => return Err(format!("{count} elements were to be given")),
        }
        Ok(tensor)
    }

    fn data(&self) -> Outcome<*mut u8> {
        let mut data = ptr::null_mut();
        // SAFETY: the value is a tensor, and the call fills the pointer.
        self.runtime.check(unsafe { (self.runtime.api.GetTensorMutableData)(self.value, &mut data) })?;
        Ok(data.cast())
    }

    /// By its length, since a text may hold a NUL.
    fn fill(&self, texts: &[String]) -> Outcome<()> {
        for (place, text) in texts.iter().enumerate() {
            let mut room = ptr::null_mut();
            // SAFETY: the place is below the number of elements; the room has as many bytes as were asked for.
            unsafe {
                let resize = self.runtime.api.GetResizedStringTensorElementBuffer;
                self.runtime.check(resize(self.value, place, text.len(), &mut room))?;
                ptr::copy_nonoverlapping(text.as_ptr(), room.cast(), text.len());
            }
        }
        Ok(())
    }

    /// The element type, the sizes and a copy of the elements.
    pub fn read(&self) -> Outcome<(u32, Vec<i64>, Elements)> {
        if self.value.is_null() {
            return Err("the output has no value".into());
        }
        let api = self.runtime.api;
        let mut info = ptr::null_mut();
        // SAFETY: the value is alive; its description is released below, on all ways.
        self.runtime.check(unsafe { (api.GetTensorTypeAndShape)(self.value, &mut info) })?;
        let found = shape(self.runtime, info);
        // SAFETY: released once.
        unsafe { (api.ReleaseTensorTypeAndShapeInfo)(info) };
        let (element, sizes) = found?;
        let count = usize::try_from(sizes.iter().product::<i64>()).unwrap_or(0);
        if element == STRING {
            return Ok((element, sizes, Elements::Texts(self.texts(count)?)));
        }
        let length = match element_size(element) {
            0 => return Err(format!("the output has the element type {element}, which JavaScript has no array for")),
            size => count * size,
        };
        let mut bytes = vec![0; length];
        // SAFETY: the tensor has as many bytes as its elements take.
        unsafe { ptr::copy_nonoverlapping(self.data()?, bytes.as_mut_ptr(), length) };
        Ok((element, sizes, Elements::Bytes(bytes)))
    }

    fn texts(&self, count: usize) -> Outcome<Vec<String>> {
        let (runtime, mut length) = (self.runtime, 0);
        let (mut bytes, mut starts) = (vec![], vec![0; count]);
        // SAFETY: the room has the lengths that are told, and the value is a tensor of texts.
        unsafe {
            runtime.check((runtime.api.GetStringTensorDataLength)(self.value, &mut length))?;
            bytes.resize(length, 0u8);
            let content = runtime.api.GetStringTensorContent;
            if count > 0 {
                runtime.check(content(self.value, bytes.as_mut_ptr().cast(), length, starts.as_mut_ptr(), count))?;
            }
        }
        starts.push(length);
        let texts = starts.windows(2).map(|ends| String::from_utf8(bytes[ends[0]..ends[1]].to_vec()));
        texts.collect::<Result<_, _>>().map_err(|_| "a text of an output is no UTF-8".into())
    }
}

/// The bytes of an element; nothing for what is not taken.
fn element_size(element: u32) -> usize {
    match element {
        2 | 3 | 9 => 1,
        4 | 5 | 10 => 2,
        1 | 6 | 12 => 4,
        7 | 11 | 13 => 8,
        _ => 0,
    }
}

fn kind(element: u32) -> Option<ONNXTensorElementDataType> {
    use ONNXTensorElementDataType as Kind;
    Some(match element {
        1 => Kind::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
        2 => Kind::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8,
        3 => Kind::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8,
        4 => Kind::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16,
        5 => Kind::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16,
        6 => Kind::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32,
        7 => Kind::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64,
        8 => Kind::ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING,
        9 => Kind::ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL,
        10 => Kind::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16,
        11 => Kind::ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE,
        12 => Kind::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32,
        13 => Kind::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64,
        _ => return None,
    })
}
