#!/usr/bin/env bash
# The page: `build` writes dist, `test` checks the sources and that dist was built from them.
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

npm_install "$UI"
cd "$UI"

case ${1:-test} in
  build)
    npm run --silent build
    ;;
  test)
    headline "The page: types"
    npm run --silent typecheck </dev/null
    headline "The page: unit tests"
    npm test --silent </dev/null
    headline "The page: dist is what the sources give"
    fresh=$(mktemp -d)
    trap 'rm -rf "$fresh"' EXIT
    npm run --silent build -- --outDir "$fresh" --emptyOutDir --logLevel warn </dev/null
    diff --recursive --brief dist "$fresh" ||
      die "logmon-bin/ui/dist is not what the sources give; run \`make ui\` and commit it"
    ;;
  *)
    die "usage: scripts/ui.sh [build|test]"
    ;;
esac
