//! The scripted server and the black hole do what they say, as the driver sees it.

mod acts;
mod blackhole;
mod commands;
mod common;
mod connections;
mod errors;
mod garbage;
mod retries;
