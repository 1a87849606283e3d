#!/usr/bin/env bash
# Compiles with the oldest Rust that Cargo.toml promises.
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

oldest=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
headline "Check with Rust $oldest"
rustup toolchain install "$oldest" --profile minimal
cargo "+$oldest" check --workspace --all-features --locked
