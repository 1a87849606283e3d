//! The output to MongoDB, against servers that do what no real one does on demand.

#![allow(
    clippy::expect_used,
    clippy::needless_for_each,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that fails is meant to panic"
)]

mod blackhole;
mod scripted;
mod server;
mod sink;
