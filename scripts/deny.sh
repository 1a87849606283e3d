#!/usr/bin/env bash
# Licences, sources and duplicates of the dependencies: scripts/deny.sh [CHECK...]
# The check of advisories needs their database from the network: scripts/deny.sh advisories
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/tool.sh
source "$ROOT/scripts/tool.sh"

checks=("$@")
[ ${#checks[@]} -gt 0 ] || checks=(licenses bans sources)

cargo_tool cargo-deny 0.20.2
headline "Dependencies: ${checks[*]}"
cargo deny --all-features check "${checks[@]}"
