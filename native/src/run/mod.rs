//! Runs, their waits, and what a forked child may touch.

pub mod bounds;
pub mod forks;
pub mod places;
pub mod running;
