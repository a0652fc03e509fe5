#!/usr/bin/env bash
# Runs the simulator for long: tests/soak.sh [--seeds N] [--first SEED]
#
# The last line is `N seeds, V violations`; the exit code is 0 only if there are none. Each violation
# is told with its seed, the command that replays it, and what happened last.
set -euo pipefail
cd "$(dirname "$0")/.."

seeds=100000
first=0
while [[ $# -gt 0 ]]; do
    case $1 in
    --seeds) seeds=${2:?--seeds takes a number}; shift 2 ;;
    --first) first=${2:?--first takes a number}; shift 2 ;;
    *) echo "usage: tests/soak.sh [--seeds N] [--first SEED]" >&2; exit 2 ;;
    esac
done
for number in "$seeds" "$first"; do
    [[ $number =~ ^[0-9]+$ ]] || { echo "soak.sh: $number is no number" >&2; exit 2; }
done

log=$(mktemp)
trap 'rm -f "$log"' EXIT
code=0
SIMULATOR_SEEDS=$seeds SIMULATOR_FIRST=$first SIMULATOR_MINUTES=0 \
    cargo test --locked -p certchain-simulator --test seeds every_seed -- --nocapture 2>&1 |
    tee "$log" || code=$?
# The sums come before the test's own last lines.
grep -E '^[0-9]+ seeds, [0-9]+ violations$' "$log" || { echo "soak.sh: the run did not end" >&2; exit 1; }
exit "$code"
