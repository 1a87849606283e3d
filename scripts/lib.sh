# shellcheck shell=bash
# Sourced by the other scripts: where things are, and how to say what is going on.

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"

# One folder for all that cargo builds, so no step builds a thing twice.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$HOME/.cache/logmon-target}
export PIP_DISABLE_PIP_VERSION_CHECK=1

export UI=$ROOT/logmon-bin/ui
export TOOLS=$ROOT/.tools
export VENV=$ROOT/.venv

# headline TEXT: begins a step; says how long after the first script of the run.
export LOGMON_RUN_BEGAN=${LOGMON_RUN_BEGAN:-$(date +%s)}
headline() {
  printf '\n==> [%s] %s\n' "$(elapsed)" "$*"
}

elapsed() {
  local seconds=$(($(date +%s) - LOGMON_RUN_BEGAN))
  printf '%d:%02d' $((seconds / 60)) $((seconds % 60))
}

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# npm_install FOLDER: installs what the lock file of FOLDER says, unless that is there already.
npm_install() {
  local folder=$1 stamp=$1/node_modules/.installed-lock
  if [ -f "$stamp" ] && cmp -s "$stamp" "$folder/package-lock.json"; then
    return
  fi
  (cd "$folder" && npm ci --no-audit --no-fund --loglevel=error </dev/null)
  cp "$folder/package-lock.json" "$stamp"
}

# The debug binary that the tests of clients and browser use: LOGMON_BIN, or built here with the
# features that `cargo test` used, so that nothing is compiled again.
need_binary() {
  if [ -z "${LOGMON_BIN:-}" ]; then
    cargo build --workspace --all-features --bin logmon
    LOGMON_BIN=$CARGO_TARGET_DIR/debug/logmon
  fi
  [ -x "$LOGMON_BIN" ] || die "$LOGMON_BIN is not a program"
  export LOGMON_BIN
}
