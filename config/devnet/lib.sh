# Sourced by launch.sh and stop.sh: what both know about a development network's folder.
#
# DIR/devnet.json         what programs read
# DIR/genesis.toml        the network's genesis
# DIR/nodes.list          names of the nodes, in the order of genesis
# DIR/passphrase          of all wallets here (random; a development network has no better secret)
# DIR/tag.key             the key that turns identity documents into tags
# DIR/nodes/NAME/         node.toml, member.toml, keys/, data/, log, pid
# DIR/wallets/NAME.wallet one wallet an account, and NAME.account.toml, its public half

say() { printf '%s\n' "$*"; }
fail() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# The folder as an absolute path that can stand in JSON and TOML as it is.
absolute_dir() {
    case $1 in
    *[\"\\]* | *$'\n'* | *$'\t'* | *=* | *,*) fail "'$1' cannot be used: choose a folder without quotes, backslashes, '=', ',' or control characters in its name" ;;
    esac
    mkdir -p "$1" && (cd "$1" && pwd -P)
}

# One launch or stop at a time in a folder. Daemons are started with this descriptor closed.
lock_dir() {
    exec 9>"$1/.lock"
    flock -w 300 9 || fail "another launch or stop is at work in $1"
}

# The pid of a node's daemon, if it runs. A recorded number may meanwhile be another program's, so
# the process must be a certchain-node with this configuration.
running_pid() {
    local dir=$1 name=$2 pid
    pid=$(cat "$dir/nodes/$name/pid" 2>/dev/null) || return 1
    case $pid in '' | *[!0-9]*) return 1 ;; esac
    is_daemon "$pid" "$dir/nodes/$name/node.toml" || return 1
    printf '%s\n' "$pid"
}

is_daemon() {
    local pid=$1 config=$2 words=()
    mapfile -d '' -t words 2>/dev/null <"/proc/$pid/cmdline" || return 1
    [ "${#words[@]}" -ge 2 ] && [ "${words[0]##*/}" = certchain-node ] || return 1
    local word
    for word in "${words[@]:1}"; do
        [ "$word" = "$config" ] && return 0
    done
    return 1
}

# The names of the nodes of a network, or nothing if there is none yet.
node_names() { cat "$1/nodes.list" 2>/dev/null || true; }

# The text of a field of a JSON answer; for flat answers of our own commands.
field() { sed -n 's/^.*"'"$1"'" *: *"\([^"]*\)".*$/\1/p' | head -n1; }
# The same for a number or a truth value.
bare_field() { sed -n 's/^.*"'"$1"'" *: *\([0-9a-z]*\).*$/\1/p' | head -n1; }
