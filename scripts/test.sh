#!/usr/bin/env bash
# Everything that has to pass. The first failure ends it.
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

scripts/setup.sh
scripts/lint.sh

# A test that would be left out for want of something that the set-up brings fails.
export LOGMON_TEST_ALL=1

headline "Rust tests, every feature"
cargo test --workspace --all-features --no-fail-fast

headline "Rust tests of the core with its default features"
cargo test --package logmon-core

scripts/ui.sh test
scripts/clients.sh
scripts/browser.sh

headline "All passed"
