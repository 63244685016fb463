//! What two sessions never share: credentials, policy, limits, statistics, failures told, answers kept.

pub mod breaker;
pub mod budget;
pub mod credential;
pub mod events;
pub mod official;
pub mod policy;
pub mod scope;
pub mod stats;
pub mod tape;
