# shellcheck shell=bash
# Sourced: installs a cargo tool into .tools of the project.

# cargo_tool NAME VERSION
cargo_tool() {
  if [ ! -x "$TOOLS/bin/$1" ]; then
    echo "installing $1 $2 into .tools (some minutes, once)"
    cargo install --root "$TOOLS" "$1" --version "$2" --locked --quiet
  fi
  export PATH=$TOOLS/bin:$PATH
}
