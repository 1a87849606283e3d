#!/usr/bin/env bash
# Real Fluentd clients against the real binary.
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

need_binary
headline "Real clients"
cd tests/clients
exec npm test --silent </dev/null
