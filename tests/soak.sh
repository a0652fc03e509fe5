#!/usr/bin/env bash
# Runs the simulator, and clusters of real nodes, for long:
#
#   tests/soak.sh [--seeds N] [--first SEED] [--cluster-minutes M]
#
# --seeds N            so many seeds of the simulator (100000), from --first SEED (0) on, and a hundredth
#                      of them with whole nodes
# --cluster-minutes M  besides, for M minutes, networks of 4 and of 7 daemons in turn whose processes are
#                      killed and stopped at random under load, each from the next seed, from --first on;
#                      and a network in halves: for 30 minutes if M is at least 120, else for a quarter
#                      of M. The halves come on top of the M minutes.
#
# The last line is `N seeds, V violations`, where V counts whole nodes and failed networks too; the exit code is 0 only if
# there are none. Each violation is told with its seed, the command that replays it, and what happened last.
set -euo pipefail
cd "$(dirname "$0")/.."

seeds=100000
first=0
minutes=0
while [[ $# -gt 0 ]]; do
    case $1 in
    --seeds) seeds=${2:?--seeds takes a number}; shift 2 ;;
    --first) first=${2:?--first takes a number}; shift 2 ;;
    --cluster-minutes) minutes=${2:?--cluster-minutes takes a number}; shift 2 ;;
    *) echo "usage: tests/soak.sh [--seeds N] [--first SEED] [--cluster-minutes M]" >&2; exit 2 ;;
    esac
done
for number in "$seeds" "$first" "$minutes"; do
    [[ $number =~ ^[0-9]+$ ]] || { echo "soak.sh: $number is no number" >&2; exit 2; }
done

log=$(mktemp)
trap 'rm -f "$log"' EXIT
code=0
violations=0

# run VARIABLE=VALUE... PACKAGES TEST FILTER: one test with its output shown and in the log.
run() {
    local settings=()
    while [[ $1 == *=* ]]; do settings+=("$1"); shift; done
    # shellcheck disable=SC2086
    env "${settings[@]}" cargo test --locked $1 --test "$2" "$3" -- --nocapture 2>&1 |
        tee "$log"
}

# The last number that a pattern with one group finds in the log.
told() { sed -nE "s/$1/\\1/p" "$log" | tail -n 1; }

if [[ $minutes -gt 0 ]]; then
    # The daemon that runs is the one of these sources.
    cargo build --locked --workspace --all-targets
    run CLUSTER_MINUTES="$minutes" CLUSTER_SEED="$first" CLUSTER_EVENTS="${CLUSTER_EVENTS:-48}" \
        --workspace cluster_chaos bear_random || code=$?
    # A network that failed has its line; a run that broke off has not both of its sums.
    failed=$(grep -cE '^cluster of [0-9]+, seed [0-9]+: FAILED' "$log" || true)
    sums=$(grep -cE '^clusters of [0-9]+: [0-9]+ networks' "$log" || true)
    violations=$((violations + failed + (sums < 2 ? 1 : 0)))

    halves=$((minutes >= 120 ? 1800 : minutes * 15))
    run PARTITION_SECONDS="$halves" --workspace cluster_links halves ||
        { code=$?; violations=$((violations + 1)); }
fi

run SIMULATOR_SEEDS="$seeds" SIMULATOR_FIRST="$first" SIMULATOR_MINUTES=0 \
    "-p certchain-simulator" seeds every_seed || code=$?
simulated=$(told '^([0-9]+) seeds, [0-9]+ violations$')
found=$(told '^[0-9]+ seeds, ([0-9]+) violations$')
[[ -n $simulated ]] || { echo "soak.sh: the run did not end" >&2; exit 1; }
violations=$((violations + found))

run NETWORK_SEEDS="$((seeds / 100))" NETWORK_FIRST="$first" \
    "-p certchain-network-simulator" seeds whole_nodes || code=$?
found=$(told '^[0-9]+ seeds, ([0-9]+) violations$')
[[ -n $found ]] || { echo "soak.sh: the run of whole nodes did not end" >&2; exit 1; }
violations=$((violations + found))
[[ $violations -eq 0 || $code -ne 0 ]] || code=1
echo "$simulated seeds, $violations violations"
exit "$code"
