# Sourced by the scripts: where to build, and with which programs.
#
# The target folder lies outside the checkout, so that a clean clone finds what an earlier one
# built: RocksDB alone takes over ten minutes on two cores. CARGO_TARGET_DIR is honoured.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
if ! command -v cargo >/dev/null 2>&1 && [ -r "$HOME/.cargo/env" ]; then
    # shellcheck disable=SC1091
    . "$HOME/.cargo/env"
fi
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/certchain/target}"
case $CARGO_TARGET_DIR in /*) ;; *) CARGO_TARGET_DIR="$PWD/$CARGO_TARGET_DIR" ;; esac
export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-auto}"
mkdir -p "$CARGO_TARGET_DIR"
# The one profile of the workspace: optimised, with overflow checks.
# shellcheck disable=SC2034
bin="$CARGO_TARGET_DIR/debug"
