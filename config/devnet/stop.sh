#!/usr/bin/env bash
# Ends the nodes of a development network cleanly. What they hold stays; launch.sh starts them again.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

dir=
while [ $# -gt 0 ]; do
    case $1 in
    --dir) dir=${2:-}; shift 2 || fail "--dir needs a folder" ;;
    *) echo "usage: config/devnet/stop.sh --dir DIR" >&2; exit 2 ;;
    esac
done
[ -n "$dir" ] || dir="$here/../../devnet"
[ -d "$dir" ] || fail "there is no folder $dir"
dir=$(absolute_dir "$dir")
[ -e "$dir/nodes.list" ] || fail "$dir holds no development network"
lock_dir "$dir"

# Seconds that a node may take: it ends its streams, then closes its store.
deadline=$((SECONDS + 30))
declare -A ending=()
for name in $(node_names "$dir"); do
    if pid=$(running_pid "$dir" "$name"); then
        kill -TERM "$pid" 2>/dev/null || true
        ending[$name]=$pid
    else
        rm -f "$dir/nodes/$name/pid"
    fi
done
for name in "${!ending[@]}"; do
    while running_pid "$dir" "$name" >/dev/null; do
        [ "$SECONDS" -lt "$deadline" ] ||
            fail "$name (pid ${ending[$name]}) does not end; see $dir/nodes/$name/log"
        sleep 0.1
    done
    rm -f "$dir/nodes/$name/pid"
done
say "Stopped ${#ending[@]} nodes in $dir"
