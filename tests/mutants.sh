#!/usr/bin/env bash
# Changes the code at one place at a time (cargo-mutants) and lists the changes that no test notices.
#
#   tests/mutants.sh [--seeds N] [--jobs N] [--fresh] [PACKAGE...]     consensus, proto and ledger
#
# What is changed stands in .cargo/mutants.toml. There are two passes. First each mutant is judged by
# the tests of its package, those of proto by the tests of consensus as well; that takes seconds for
# each. What they let through is judged by the simulator: every way to misbehave, some hundred seeds,
# twins and a small flood; that takes a minute for each. Of the ledger only the verifier of signatures
# is changed, without the store, so that no database is compiled; the simulator does not reach it.
#
# What has been judged is kept in the target folder: a run that was interrupted, or follows new tests,
# looks at the rest only. --fresh begins anew. The survivors of each package are listed before the last
# line, which gives the totals.
set -euo pipefail
cd "$(dirname "$0")/.."
. config/setup/environment.sh

usage() { sed -n '2,4s/^# \{0,1\}//p' "$0" >&2; exit 2; }
seeds=300 jobs=1 fresh="" packages=()
while [ $# -gt 0 ]; do
    case $1 in
    --seeds) seeds=${2:?--seeds takes a number}; shift 2 ;;
    --jobs) jobs=${2:?--jobs takes a number}; shift 2 ;;
    --fresh) fresh=1; shift ;;
    consensus | proto | ledger) packages+=("$1"); shift ;;
    *) usage ;;
    esac
done
for number in "$seeds" "$jobs"; do [[ $number =~ ^[1-9][0-9]*$ ]] || usage; done
[ ${#packages[@]} -gt 0 ] || packages=(consensus proto ledger)

# Built from source once per machine, into the cache, as cargo-fuzz is.
version=27.1.0
tools="${XDG_CACHE_HOME:-$HOME/.cache}/certchain/tools"
PATH="$tools/bin:$PATH"
if [ "$(cargo-mutants --version 2>/dev/null || true)" != "cargo-mutants $version" ]; then
    echo "mutants: building cargo-mutants $version, once per machine"
    cargo install --quiet --debug --locked --force --root "$tools" \
        --target-dir "$tools/build" "cargo-mutants@$version"
    rm -rf "$tools/build"
fi

results="$CARGO_TARGET_DIR/mutants-results"
[ -z "$fresh" ] || rm -rf "$results"
mkdir -p "$results"
# One job builds in the target folder, which knows the dependencies already; several must not share it.
[ "$jobs" -eq 1 ] || unset CARGO_TARGET_DIR
# A mutant that loops while it takes memory must not take all of it.
ulimit -v $((12 * 1024 * 1024))
export RUST_BACKTRACE=0 SIMULATOR_SEEDS=$seeds TWINS_ROUNDS=2 TWINS_SAMPLES=100 FLOOD_VOTES=100000

# Adds what a pass found to what is known of the package; $1 is the package's folder.
collect() {
    local list judge
    [ -d "$1/mutants.out" ] || return 0
    judge=$(cat "$1/judge")
    for list in caught timeout unviable; do
        cat "$1/mutants.out/$list.txt" >>"$1/$list-$judge.txt" 2>/dev/null || true
    done
    cp "$1/mutants.out/missed.txt" "$1/survivors.txt" 2>/dev/null || true
    rm -rf "$1/mutants.out" "$1/mutants.out.old"
}

# One pass over what has not been judged yet: the package, who judges, arguments of cargo-mutants.
pass() {
    local package=$1 judge=$2 folder="$results/$1" status=0
    shift 2
    collect "$folder"
    mkdir -p "$folder/mutants.out"
    echo "$judge" >"$folder/judge"
    cat "$folder"/{caught,timeout,unviable}-*.txt >"$folder/mutants.out/previously_caught.txt" \
        2>/dev/null || true
    cargo mutants -p "certchain-$package" --iterate --jobs "$jobs" --output "$folder" "$@" || status=$?
    # 2: some survive; 3: some run out of time.
    case $status in 0 | 2 | 3) collect "$folder" ;; *) exit "$status" ;; esac
}

simulator=(--test-package certchain-simulator)
for test in seeds twins flood; do simulator+=(--cargo-arg "--test=$test"); done
for package in "${packages[@]}"; do
    case $package in
    consensus)
        pass consensus tests --cargo-arg=--tests
        pass consensus simulator "${simulator[@]}"
        ;;
    proto)
        pass proto tests --cargo-arg=--tests \
            --test-package certchain-proto --test-package certchain-consensus
        pass proto simulator "${simulator[@]}"
        ;;
    ledger) pass ledger tests --no-default-features --cargo-arg=--lib -- signatures:: ;;
    esac
done

# The code may have changed since some were judged: only what is there now counts.
now=$(mktemp)
trap 'rm -f "$now"' EXIT
for package in "${packages[@]}"; do
    cargo mutants --list -p "certchain-$package" >>"$now"
done
of() {
    local package files=()
    for package in "${packages[@]}"; do files+=("$results/$package"/$1.txt); done
    cat "${files[@]}" 2>/dev/null | sort -u | grep -Fxf "$now" || true
}
number() { of "$1" | grep -c . || true; }
of survivors
echo "$(wc -l <"$now") mutants: $(number caught-tests) caught by tests, $(number caught-simulator) by" \
    "the simulator, $(number 'timeout-*') run out of time, $(number 'unviable-*') do not compile," \
    "$(number survivors) survive"
