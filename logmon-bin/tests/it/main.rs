//! Tests of the whole program: each starts the real binary.
//!
//! Nothing sleeps in the hope that it is long enough: a test waits for a condition, up to a
//! deadline.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod cli;
mod continuity;
mod crash;
mod delivery;
mod disk;
mod docs;
mod fault_matrix;
mod http;
mod limits;
mod mongodb;
mod mongodb_store;
mod quarantine;
mod relay;
mod signals;
mod stats;
mod support;
mod upkeep;
