//! What two sessions never share: credentials, policy, limits, statistics, failures told, answers kept.

pub mod addresses;
pub mod audit;
pub mod breaker;
pub mod budget;
pub mod cache;
mod config;
pub mod credential;
pub mod endpoints;
pub mod entry;
pub mod events;
pub mod fingerprint;
pub mod hedging;
pub mod masking;
pub mod official;
pub mod opening;
pub mod policy;
pub mod scope;
mod secret_source;
pub mod settings;
pub mod spoken;
pub mod standing;
pub mod stats;
pub mod tape;
pub mod trust;
