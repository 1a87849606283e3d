#!/usr/bin/env bash
# Everything that judges the sources without running them.
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

headline "Formatting"
cargo fmt --all --check

headline "Clippy, without warnings"
cargo clippy --workspace --all-targets --all-features -- -D warnings

headline "Documentation, without warnings"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --all-features --no-deps

headline "The core has no network, TLS, HTTP or disk"
scripts/light-core.sh

if command -v shellcheck >/dev/null; then
  headline "Shell scripts"
  shellcheck --external-sources scripts/*.sh .ci/run
fi
