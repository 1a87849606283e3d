#!/usr/bin/env bash
# Each fuzz target for a while: scripts/fuzz.sh [SECONDS] [TARGET...]
# Works with stable Rust: RUSTC_BOOTSTRAP lets it take the flags of the sanitizers.
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/tool.sh
source "$ROOT/scripts/tool.sh"

seconds=${1:-60}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(decode_stream connections parse_filter read_segment read_block batch_index handshake small_files)

cargo_tool cargo-fuzz 0.13.2

# What is found goes beside the builds; the seeds in fuzz/corpus are only read.
found=$CARGO_TARGET_DIR/fuzz-corpus

export RUSTC_BOOTSTRAP=1
for target in "${targets[@]}"; do
  headline "Fuzzing $target for $seconds s"
  mkdir -p "$found/$target"
  cargo fuzz run --target-dir "$CARGO_TARGET_DIR/fuzz" "$target" \
    "$found/$target" "fuzz/corpus/$target" -- \
    -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_funcs=0 -print_final_stats=1
done
