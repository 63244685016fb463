//! Keeps the library in memory: its threads and its operators' tables must outlive every attempt to unload it.
//!
//! On Linux and Android the linker's `nodelete` does it (see the build script); macOS never unloads an image that
//! has thread-local variables with destructors, as Rust's standard library does.

/// Pins the library for the rest of the process.
#[cfg(windows)]
pub fn pin() {
    use windows_sys::Win32::System::LibraryLoader::{
        GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW,
    };
    let flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN;
    let mut module = std::ptr::null_mut();
    // SAFETY: with these flags the second argument is an address in the module, such as this function's own.
    unsafe { GetModuleHandleExW(flags, pin as *const () as *const u16, &mut module) };
}

/// Nothing to do here.
#[cfg(not(windows))]
pub fn pin() {}
