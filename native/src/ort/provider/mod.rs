//! The second door: this library as a plugin execution provider, turned into a safe trait.
//!
//! ONNX Runtime makes one factory of the library, and with it an execution provider for each session that the factory's
//! device was appended to. The factory brings the operators; their kernels find their session's provider.

mod ep;
mod factory;
mod late;
mod run;
mod tables;
mod terminating;

use std::ffi::CStr;

pub use factory::{Factory, Slots, creating};
pub use late::{Entry, Late};
pub use run::RunOptions;

use super::{Domain, OrtError};
use crate::failure::Problem;

/// What a session's execution provider does.
pub trait Provider: Send + Sync + Sized + 'static {
    /// Its name, which begins the names of its options in a session's configuration.
    const NAME: &'static CStr;

    /// The domain whose nodes it takes.
    const DOMAIN: &'static CStr;

    /// An option that every session has to which the provider was appended.
    const MARK: &'static CStr;

    /// The operators of the domain, for the runtime of `late`; never freed.
    fn domain(late: Late) -> Result<Domain, OrtError>;

    /// The provider of a session that is configured by `entries`.
    fn create(entries: &[Entry]) -> Result<Self, Problem>;

    /// A run of the session begins on this thread.
    fn begin(&self, options: &RunOptions) -> Result<(), Problem>;

    /// The run that has these options, and began on this thread, is over.
    fn end(&self, options: &RunOptions);

    /// The session's host gives an option another value.
    fn change(&self, key: &str, value: &str) -> Result<(), Problem>;
}
