//! String tensors, with lengths instead of terminators, so that a NUL inside a string survives.

use std::ptr;

use ort_sys::OrtValue;

use super::{Context, OrtError};
use crate::tensor::Strings;

impl Context<'_> {
    pub(super) fn read_strings(&self, value: *const OrtValue, count: usize) -> Result<Strings, OrtError> {
        let mut length = 0;
        // SAFETY: `value` is a valid string tensor and `length` outlives the call.
        self.api.check(unsafe { (self.api.0.GetStringTensorDataLength)(value, &mut length) })?;
        let mut strings = Strings { content: vec![0; length], starts: vec![0; count] };
        if count > 0 {
            let (content, starts) = (strings.content.as_mut_ptr(), strings.starts.as_mut_ptr());
            let read = self.api.0.GetStringTensorContent;
            // SAFETY: the buffers have room for `length` bytes and `count` offsets.
            self.api.check(unsafe { read(value, content.cast(), length, starts, count) })?;
        }
        Ok(strings)
    }

    pub(super) fn write_strings<'s>(
        &self,
        value: *mut OrtValue,
        strings: impl Iterator<Item = &'s [u8]>,
    ) -> Result<(), OrtError> {
        for (index, string) in strings.enumerate() {
            let mut buffer = ptr::null_mut();
            // SAFETY: `value` is a valid string tensor; an index out of range is an error status.
            let status =
                unsafe { (self.api.0.GetResizedStringTensorElementBuffer)(value, index, string.len(), &mut buffer) };
            self.api.check(status)?;
            if !string.is_empty() {
                // SAFETY: the buffer was just resized to the string's length.
                unsafe { ptr::copy_nonoverlapping(string.as_ptr(), buffer.cast(), string.len()) };
            }
        }
        Ok(())
    }
}
