#!/usr/bin/env bash
# Installs what the tests need: system packages (as root on Debian and its kin), Python packages
# into .venv, npm packages beside their package.json. Does nothing where all is there.
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

need_program() {
  command -v "$1" >/dev/null || die "\`$1\` is needed ($2)"
}

find_chromium() {
  local name
  for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable; do
    if [ -n "$name" ] && command -v "$name" >/dev/null; then
      command -v "$name"
      return
    fi
  done
}

has_japanese_font() {
  command -v fc-list >/dev/null && [ -n "$(fc-list :lang=ja family)" ]
}

missing_packages() {
  command -v cc >/dev/null || echo build-essential
  command -v curl >/dev/null || echo curl
  python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
  [ -n "$(find_chromium)" ] || echo chromium
  has_japanese_font || echo fontconfig fonts-noto-cjk
}

install_packages() {
  local packages
  mapfile -t packages < <(missing_packages | tr ' ' '\n')
  [ ${#packages[@]} -gt 0 ] || return 0
  local command="apt-get install --yes --no-install-recommends ${packages[*]}"
  if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
    die "these packages are needed: ${packages[*]}
On Debian or Ubuntu, as root:  apt-get update && $command"
  fi
  echo "installing system packages: ${packages[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  $command -qq </dev/null >/dev/null
}

install_python_packages() {
  local wanted=tests/clients/requirements.txt stamp=$VENV/.installed-requirements
  if [ -f "$stamp" ] && cmp -s "$stamp" "$wanted"; then
    return
  fi
  python3 -m venv --clear "$VENV"
  "$VENV/bin/python" -m pip install --quiet --requirement "$wanted"
  cp "$wanted" "$stamp"
}

# The server that the tests of MongoDB run against, a program of its own: no mongod is to be had from
# a package registry. It is free software under the GPL, fetched and started, never linked or shipped.
install_test_mongodb() {
  local version=0.6.0b17 hash=fe8ccfd1295c872c92a4c4c13c5a6a1dead88b2ff3b9aafb361406ec8aac4d14
  local wheel=secantusdb-$version-cp311-cp311-manylinux_2_28_x86_64.whl folder=$TOOLS/mongodb
  if [ -x "$folder/secantusdb.scripts/secantusd-rs" ] || [ "$(uname -sm)" != "Linux x86_64" ]; then
    return
  fi
  rm -rf "$folder"
  mkdir -p "$folder"
  "$VENV/bin/python" -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.11 \
    --platform manylinux_2_28_x86_64 --dest "$folder" "SecantusDB==$version"
  echo "$hash  $folder/$wheel" | sha256sum --check --quiet -
  "$VENV/bin/python" -m zipfile --extract "$folder/$wheel" "$folder"
  # The program and the libraries beside it; the rest is for Python.
  rm -f "$folder/$wheel" "$folder"/*.so
  chmod +x "$folder/secantusdb.scripts/secantusd-rs"
}

headline "Set-up"
need_program cargo "Rust, stable: https://rustup.rs"
need_program python3 "Python 3.11 or later"
need_program node "Node 20.19 or later"
need_program npm "it comes with Node"
if ! cargo clippy --version >/dev/null 2>&1 || ! cargo fmt --version >/dev/null 2>&1; then
  rustup component add clippy rustfmt
fi
install_packages
install_python_packages
install_test_mongodb
for folder in "$UI" tests/clients tests/browser; do
  npm_install "$folder"
done
[ -n "$(find_chromium)" ] || die "no Chromium was found; install one and name it in CHROMIUM"
