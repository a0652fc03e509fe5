#!/bin/sh
# Measures a network of four nodes on this machine: tests/bench/run.sh [--json FILE] [...]
# Builds what it needs; further options are those of certchain-bench (--help lists them).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
# A file that is named relative to where the user is.
start=$(pwd)
cd "$root"
# The same selection as the tests: nothing is compiled twice.
cargo build --quiet --workspace --all-targets
target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
cd "$start"
exec "$target/debug/certchain-bench" "$@"
