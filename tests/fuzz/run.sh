#!/usr/bin/env bash
# Fuzzes every target, or those that are named, for some seconds each.
#
#   tests/fuzz/run.sh [--seconds N] [TARGET...]     10 seconds each
#   tests/fuzz/run.sh --replay FILE TARGET          one input once more
#
# Stable Rust is enough: the coverage that libFuzzer needs is a flag of the stable compiler; only the
# sanitizers need another one. They are left out (`--sanitizer none`): this code holds no `unsafe`,
# and overflow checks, debug assertions and panics are on.
set -euo pipefail
cd "$(dirname "$0")/../.."
. config/setup/environment.sh

seconds=10 replay=""
targets=()
while [ $# -gt 0 ]; do
    case $1 in
    --seconds) seconds=$2; shift 2 ;;
    --replay) replay=$2; shift 2 ;;
    -*) sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    *) targets+=("$1"); shift ;;
    esac
done
if [ ${#targets[@]} -eq 0 ]; then
    for file in tests/fuzz/fuzz_targets/*.rs; do targets+=("$(basename "$file" .rs)"); done
fi

# cargo-fuzz is built from source once per machine, into the cache, as cargo-deny is.
version=0.13.2
tools="${XDG_CACHE_HOME:-$HOME/.cache}/certchain/tools"
if [ "$(cargo-fuzz --version 2>/dev/null || true)" != "cargo-fuzz $version" ]; then
    PATH="$tools/bin:$PATH"
    if [ "$(cargo-fuzz --version 2>/dev/null || true)" != "cargo-fuzz $version" ]; then
        echo "fuzz: building cargo-fuzz $version, once per machine"
        cargo install --quiet --debug --locked --no-default-features --force --root "$tools" \
            --target-dir "$tools/build" "cargo-fuzz@$version"
        rm -rf "$tools/build"
    fi
fi

# A target folder of its own: nothing is shared with the workspace, whose flags differ.
built="$CARGO_TARGET_DIR/fuzz"
host=$(rustc -vV | sed -n 's/^host: //p')
# The lock is part of the repository; cargo-fuzz cannot say --locked.
lock=$(cksum <tests/fuzz/Cargo.lock)
only=()
[ ${#targets[@]} -ne 1 ] || only=("${targets[0]}")
cargo fuzz build --fuzz-dir tests/fuzz --sanitizer none --target "$host" --target-dir "$built" \
    "${only[@]}"
[ "$lock" = "$(cksum <tests/fuzz/Cargo.lock)" ] ||
    { echo "fuzz: tests/fuzz/Cargo.lock was not up to date" >&2; exit 1; }
programs="$built/$host/release"

if [ -n "$replay" ]; then
    exec "$programs/${targets[0]}" "$replay"
fi

passed=0 failed=0
for target in "${targets[@]}"; do
    # What it finds is kept beside the programs and read again by the next run; the seeds of the
    # repository stay as they are.
    found="$built/found/$target" crashes="$built/crashes/$target" log="$built/$target.log"
    mkdir -p "$found" "$crashes"
    sizes=()
    # A schedule needs room for some heights from the start; longer ones only take longer.
    [ "$target" != step ] || sizes=(-max_len=800 -len_control=0)
    if "$programs/$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 \
        "${sizes[@]}" -print_final_stats=1 -artifact_prefix="$crashes/" \
        "$found" "tests/fuzz/corpus/$target" >"$log" 2>&1; then
        passed=$((passed + 1))
        sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1 |
            xargs printf 'fuzz: %-14s %9s inputs, ' "$target"
        sed -n 's/^stat::average_exec_per_sec: *//p' "$log" | tail -n 1 | xargs printf '%6s a second, '
        grep -o 'cov: [0-9]* ft: [0-9]*' "$log" | tail -n 1
    else
        failed=$((failed + 1))
        tail -n 40 "$log"
        file=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
        echo "fuzz: $target failed; the whole log is $log"
        echo "fuzz: replay with: tests/fuzz/run.sh --replay ${file:-FILE} $target"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
