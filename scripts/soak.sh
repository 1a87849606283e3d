#!/usr/bin/env bash
# The long form of the tests that could go on for ever, for LOGMON_SOAK_SECONDS (1800): random faults,
# the model, the loops over every call, the store's answers compared, and kills of the real program.
# Everything runs on one core, in turn, with new seeds each time, until the time is over. Ends with a
# table of what was run, which is also left in soak.md of the builds' folder.
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

seconds=${LOGMON_SOAK_SECONDS:-1800}
summary=$CARGO_TARGET_DIR/soak.md
log=$CARGO_TARGET_DIR/soak.log
: >"$log"

headline "Building the tests"
cargo test -p logmon-store --lib --no-run
cargo test -p logmon --test it --no-run
# The newest of each: what was just built.
newest() { find "$CARGO_TARGET_DIR/debug/deps" -maxdepth 1 -type f -perm -u+x -name "$1" -printf '%T@ %p\n' | sort -rn | head -1 | cut -d' ' -f2; }
store=$(newest 'logmon_store-*')
program=$(newest 'it-*')
export LOGMON_TEST_BINARY=$CARGO_TARGET_DIR/debug/logmon

# One core, where that can be asked for.
pin=()
command -v taskset >/dev/null && pin=(taskset -c 0)

# name | binary | effort (kills for the program) | filter
parts=(
  "random faults of the journal's disk|$store|4|journal::tests::random_faults"
  "random faults of both disks|$store|4|local::tests::random_faults"
  "model of the journal|$store|12|journal::tests::model"
  "power cuts under any load|$store|40|journal::tests::power::promises"
  "staged messages|$store|10|journal::tests::staging::"
  "every call fails once|$store|3|journal::tests::faults"
  "faults that last, reads that fail|$store|1|journal::tests::lasting_faults journal::tests::read_faults"
  "crashes of the store at every call|$store|1|local::tests::crash local::tests::faults"
  "forged segments|$store|5|journal::tests::crafted"
  "answers compared|$store|1|differential query::tests journal_store::tests"
  "kills of the program|$program|200|crash::"
)

declare -A runs failures spent
end=$((SECONDS + seconds))
began=$SECONDS
headline "Soaking for $seconds s"
while ((SECONDS < end)); do
  for part in "${parts[@]}"; do
    IFS='|' read -r name binary effort filter <<<"$part"
    left=$((end - SECONDS))
    ((left > 1)) || break 2
    seed=$((RANDOM * 32768 + RANDOM + 1))
    at=$SECONDS
    status=0
    # shellcheck disable=SC2086
    LOGMON_TEST_SEED=$seed LOGMON_TEST_EFFORT=$effort LOGMON_TEST_KILLS=$effort \
      timeout --kill-after=10 "$left" "${pin[@]}" "$binary" --test-threads 1 $filter >"$log.part" 2>&1 || status=$?
    spent[$name]=$((${spent[$name]:-0} + SECONDS - at))
    if ((status == 124 || status == 137)) && ((SECONDS >= end - 1)); then
      # Its time was over; what it had done so far was right.
      continue
    fi
    runs[$name]=$((${runs[$name]:-0} + 1))
    if ((status != 0)); then
      failures[$name]=$((${failures[$name]:-0} + 1))
      { printf '=== %s, LOGMON_TEST_SEED=%s LOGMON_TEST_EFFORT=%s\n' "$name" "$seed" "$effort"; cat "$log.part"; } >>"$log"
      printf 'FAILED: %s (LOGMON_TEST_SEED=%s LOGMON_TEST_EFFORT=%s), see %s\n' "$name" "$seed" "$effort" "$log"
    fi
  done
done
rm -f "$log.part"

total=0
{
  printf 'Soak of %d s on one core, %s, commit %s.\n\n' "$((SECONDS - began))" "$(date -u +%Y-%m-%d)" "$(git rev-parse --short HEAD)"
  printf '| what | effort of a run | runs | failures | seconds |\n| --- | --- | --- | --- | --- |\n'
  for part in "${parts[@]}"; do
    IFS='|' read -r name _ effort _ <<<"$part"
    printf '| %s | %s | %d | %d | %d |\n' "$name" "$effort" "${runs[$name]:-0}" "${failures[$name]:-0}" "${spent[$name]:-0}"
  done
} | tee "$summary"
for failed in "${failures[@]}"; do total=$((total + failed)); done
((total == 0)) || die "$total failures; see $log"
