#!/usr/bin/env bash
# The page in a real browser, against the real binary.
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

if [ -z "${CHROMIUM:-}" ] && [ ! -x /usr/bin/chromium ]; then
  for name in chromium chromium-browser google-chrome google-chrome-stable; do
    if command -v "$name" >/dev/null; then
      CHROMIUM=$(command -v "$name")
      export CHROMIUM
      break
    fi
  done
fi

need_binary
headline "The page in a browser"
cd tests/browser
exec npm test --silent </dev/null
