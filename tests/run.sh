#!/usr/bin/env bash
# Sets up, builds and passes all tests. Arguments go to `cargo test`.
set -euo pipefail
cd "$(dirname "$0")/.."
config/setup/setup.sh
. config/setup/environment.sh

# The build of all targets comes first, so that the tests with real processes find the binaries and
# compiling takes nothing from their deadlines.
cargo build --locked --workspace --all-targets
# The same selection of packages and features as the build: nothing is compiled twice.
exec cargo test --locked --workspace --no-fail-fast "$@"
