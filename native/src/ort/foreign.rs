//! What crosses the border to a host in another language: texts, callbacks, and functions under their names in C.
//!
//! A host vouches for what it passes: a text is null or ends with a NUL, a callback may be called. Rust can make such
//! values only from what is valid. So a function that takes them is safe.

use std::ffi::{CStr, CString, c_char, c_void};
use std::marker::PhantomData;
use std::ptr;

use crate::guard::guard;

/// Exports functions and statics under their names in C. Where a function panics, it returns its type's default.
macro_rules! export {
    ($($(#[$about:meta])* extern $abi:literal fn $name:ident($($argument:ident: $kind:ty),*) $(-> $result:ty)? $body:block)+) => {
        $(
            $(#[$about])*
            #[allow(unsafe_code)]
            #[unsafe(no_mangle)]
            pub extern $abi fn $name($($argument: $kind),*) $(-> $result)? {
                $crate::guard::guard(Default::default, || $body)
            }
        )+
    };
    ($(#[$about:meta])* static $name:ident: $kind:ty = $value:expr;) => {
        $(#[$about])*
        #[allow(unsafe_code)]
        #[unsafe(no_mangle)]
        #[allow(non_upper_case_globals)]
        pub static $name: $kind = $value;
    };
}

pub(crate) use export;

/// Something that is lent for a call, and that nobody looks at.
#[repr(transparent)]
pub struct Lent(#[allow(dead_code)] *const c_void);

/// A text that the host lends for a call; UTF-8, or null.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct LentText<'a>(*const c_char, PhantomData<&'a CStr>);

impl<'a> LentText<'a> {
    /// Its characters; `None` for null, and for what is not UTF-8.
    pub fn read(self) -> Option<&'a str> {
        // SAFETY: a text that is not null is a valid one, by whoever made it, and lives as long as this says.
        (!self.0.is_null()).then(|| unsafe { CStr::from_ptr(self.0) })?.to_str().ok()
    }
}

impl<'a> From<Option<&'a CStr>> for LentText<'a> {
    fn from(text: Option<&'a CStr>) -> Self {
        Self(text.map_or(ptr::null(), CStr::as_ptr), PhantomData)
    }
}

/// A text that the host is given, until it gives it back; null where there is none.
#[repr(transparent)]
pub struct GivenText(*mut c_char);

impl GivenText {
    /// Takes the text back, and with it its memory.
    pub fn take(self) -> Option<CString> {
        // SAFETY: what is not null came from `CString::into_raw`, and whoever holds it gives it up here.
        (!self.0.is_null()).then(|| unsafe { CString::from_raw(self.0) })
    }
}

impl From<&str> for GivenText {
    fn from(text: &str) -> Self {
        CString::new(text).map_or_else(|_| Self::default(), |text| Self(text.into_raw()))
    }
}

impl Default for GivenText {
    fn default() -> Self {
        Self(ptr::null_mut())
    }
}

/// Receives a credential's value, or an error's text.
pub type Put = unsafe extern "C" fn(sink: *mut c_void, bytes: *const u8, length: usize);

/// The host language's answer to "what is this credential's value?": it calls `put` once with the value and
/// returns 0, or with an error text that holds no secret and returns anything else.
pub type Provider = extern "C" fn(name: *const c_char, sink: *mut c_void, put: Put) -> i32;

/// What a provider has put.
type Sink = Option<Vec<u8>>;

/// Asks a provider for the value of the credential `name`; `Err` says what went wrong.
pub fn ask(provider: Provider, name: &str) -> Result<Vec<u8>, String> {
    let name = CString::new(name).map_err(|_| "its name holds a NUL".to_owned())?;
    let mut sink = Sink::None;
    let failed = provider(name.as_ptr(), (&raw mut sink).cast(), put) != 0;
    // A callback that failed on its way back says neither; no value must not become an empty token.
    let put = sink.ok_or_else(|| "it gave no value".to_owned())?;
    if failed { Err(String::from_utf8_lossy(&put).into_owned()) } else { Ok(put) }
}

unsafe extern "C" fn put(sink: *mut c_void, bytes: *const u8, length: usize) {
    // SAFETY: the sink is the one of `ask`, which waits; null is seen to.
    let Some(sink) = (unsafe { sink.cast::<Sink>().as_mut() }) else { return };
    if length > 0 && bytes.is_null() {
        return;
    }
    // SAFETY: the host vouches for the bytes, of which there may be none.
    let bytes = if length == 0 { &[] } else { unsafe { std::slice::from_raw_parts(bytes, length) } };
    guard(|| (), || *sink = Some(bytes.to_vec()));
}

#[cfg(test)]
mod tests {
    use super::*;

    extern "C" fn give(name: *const c_char, sink: *mut c_void, put: Put) -> i32 {
        // SAFETY: `ask` passes a valid name and sink.
        let name = unsafe { CStr::from_ptr(name) }.to_bytes();
        let length = if name == b"empty" { 0 } else { name.len() };
        if name != b"silent" {
            // SAFETY: as above.
            unsafe { put(sink, if length == 0 { ptr::null() } else { name.as_ptr() }, length) };
        }
        i32::from(name == b"broken")
    }

    #[test]
    fn a_provider_gives_a_value_or_an_error() {
        assert_eq!(ask(give, "token"), Ok(b"token".to_vec()));
        assert_eq!(ask(give, "empty"), Ok(Vec::new()));
        assert_eq!(ask(give, "broken"), Err("broken".into()));
        assert!(ask(give, "silent").is_err());
        assert!(ask(give, "nul\0").is_err());
    }

    #[test]
    fn a_text_that_is_given_can_be_taken_back_once() {
        assert_eq!(GivenText::from("text").take().unwrap().to_str(), Ok("text"));
        assert!(GivenText::from("nul\0").take().is_none() && GivenText::default().take().is_none());
    }

    #[test]
    fn a_text_is_read_if_it_is_one() {
        assert_eq!(LentText::from(Some(c"text")).read(), Some("text"));
        assert_eq!((LentText::from(None).read(), LentText::from(Some(c"\xff")).read()), (None, None));
    }
}
