#!/usr/bin/env bash
# Measures a network of four nodes on this machine: tests/bench/run.sh [--json FILE] [...]
# Builds what it needs; further options are those of certchain-bench (--help lists them).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
# A file that is named relative to where the user is.
start=$(pwd)
cd "$root"
. config/setup/environment.sh
# The same folder and selection as the tests: nothing is compiled twice.
cargo build --quiet --workspace --all-targets
cd "$start"
exec "$bin/certchain-bench" "$@"
