//! Runs: the waits that belong to them, the calls begun in them, and what a forked child may touch of both.

pub mod forks;
pub mod running;
pub mod tickets;
