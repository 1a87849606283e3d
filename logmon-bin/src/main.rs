//! logmon: takes logs from any Fluentd client, makes them durable, and shows them live.

mod assemble;
mod cli;
mod client;
mod config;
mod demo;
mod figures;
mod http;
mod outputs;
mod store;
mod terminal;
mod units;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
