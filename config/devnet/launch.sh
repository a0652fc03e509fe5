#!/usr/bin/env bash
# Starts a development network on this machine: one daemon per agency, in the background, on free
# loopback ports, and waits until every chain on every node is ready. Run again with the same DIR it
# starts what is not running and leaves the rest.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

usage() {
    cat <<'TEXT'
usage: config/devnet/launch.sh [--nodes N] [--dir DIR] [--demo]

  --nodes N   number of nodes: 1, or 4 to 10 (default 5)
  --dir DIR   where the network lives (default: devnet/ in the checkout)
  --demo      walk through the main job afterwards, telling each step

DIR/devnet.json tells programs where everything is; config/devnet/stop.sh --dir DIR ends the nodes.
CERTCHAIN_BIN names a folder with ready binaries; without it they are built first.
TEXT
}

nodes=
dir=
demo=
while [ $# -gt 0 ]; do
    case $1 in
    --nodes) nodes=${2:-}; shift 2 || fail "--nodes needs a number" ;;
    --dir) dir=${2:-}; shift 2 || fail "--dir needs a folder" ;;
    --demo) demo=yes; shift ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
    esac
done
case $nodes in
'' | 1 | 4 | 5 | 6 | 7 | 8 | 9 | 10) ;;
*) fail "--nodes takes 1 or 4 to 10; '$nodes' is none of them" ;;
esac

# In the order in which they join; the first is the agency that certifies identities here.
agencies=(civil-affairs land-registry education market-regulation health
    taxation transport social-security immigration customs)
declare -A titles=(
    [civil-affairs]="Bureau of Civil Affairs" [land-registry]="Land Registry"
    [education]="Bureau of Education" [market-regulation]="Bureau for Market Regulation"
    [health]="Health Commission" [taxation]="Taxation Bureau" [transport]="Bureau of Transport"
    [social-security]="Social Security Bureau" [immigration]="Immigration Office"
    [customs]="Customs House")
declare -A may_issue=(
    [civil-affairs]=marriage [land-registry]=property [education]=degree
    [market-regulation]=business_licence [health]=health_certificate)
verifiers=(city-inspection harbour-bank)
declare -A verifier_titles=([city-inspection]="City Inspection Office" [harbour-bank]="Harbour Bank")

# Every node follows main and all side chains.
chains=(main marriage property degree business health)

upper() { printf '%s' "$1" | tr '[:lower:]' '[:upper:]'; }

# Seconds that the network may take to become ready.
ready_deadline=${CERTCHAIN_READY_SECONDS:-180}

prepare_programs() {
    if [ -n "${CERTCHAIN_BIN:-}" ]; then
        bin=$(cd "$CERTCHAIN_BIN" && pwd)
    else
        "$here/../setup/setup.sh"
        . "$here/../setup/environment.sh"
        say "Building (the first time takes a while: RocksDB is compiled too) ..."
        (cd "$root" && cargo build --quiet --locked --workspace --bins)
    fi
    node="$bin/certchain-node"
    client="$bin/certchain"
    [ -x "$node" ] && [ -x "$client" ] || fail "$bin holds no certchain-node and certchain"
}

# A loopback port on which nothing listens and that this run has not given away. Below the range
# from which the system takes ports for outgoing connections.
declare -A given=()
free_port() {
    local try port hex
    for try in $(seq 1 500); do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
        [ -z "${given[$port]:-}" ] || continue
        printf -v hex '%04X' "$port"
        if ! grep -qsE "^ *[0-9]+: [0-9A-F]+:$hex " /proc/net/tcp /proc/net/tcp6; then
            given[$port]=yes
            chosen=$port
            return
        fi
    done
    fail "no free port found"
}

secret_file() {
    [ -s "$1" ] && return
    (umask 077 && head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >"$1.new" && echo >>"$1.new")
    mv "$1.new" "$1"
}

# wallet NAME TITLE KIND CODE: makes the wallet and its public half, if they are not there.
wallet() {
    local file="$dir/wallets/$1.wallet" account="$dir/wallets/$1.account.toml" code=()
    [ -z "$4" ] || code=(--organisation-code "$4")
    if [ ! -e "$file" ]; then
        "$client" wallet new --wallet "$file" --name "$2" --kind "$3" "${code[@]}" \
            --passphrase-file "$dir/passphrase" >/dev/null
    fi
    [ -e "$account" ] || "$client" wallet export --wallet "$file" --out "$account" >/dev/null
}

# Makes keys, configurations and the genesis. Here one machine plays all parts; in a real network
# each agency runs `init` itself and hands out its member.toml only.
set_up() {
    local count=${nodes:-5} name accounts=() members=() arguments=() listen grpc metrics
    say "Setting up $count nodes in $dir"
    mkdir -p "$dir/nodes" "$dir/wallets"
    chmod 700 "$dir/wallets"
    secret_file "$dir/passphrase"
    secret_file "$dir/tag.key"
    wallet registrar "Information Centre" registrar INFORMATION-CENTRE
    for name in "${agencies[@]:0:$((count > 5 ? count : 5))}"; do
        wallet "$name" "${titles[$name]}" agency "$(upper "$name")"
        accounts+=("$dir/wallets/$name.account.toml${may_issue[$name]:+=${may_issue[$name]}}")
    done
    for name in "${verifiers[@]}"; do
        wallet "$name" "${verifier_titles[$name]}" verifier "$(upper "$name")"
    done
    for name in "${agencies[@]:0:$count}"; do
        if [ ! -e "$dir/nodes/$name/node.toml" ]; then
            free_port; listen=$chosen
            free_port; grpc=$chosen
            free_port; metrics=$chosen
            "$node" init --dir "$dir/nodes/$name" --name "$name" \
                --organisation-code "$(upper "$name")" --genesis ../../genesis.toml \
                --listen "/ip4/127.0.0.1/tcp/$listen" --grpc "127.0.0.1:$grpc" \
                --metrics "127.0.0.1:$metrics" >/dev/null
        fi
        members+=("$dir/nodes/$name/member.toml")
    done
    for name in "${agencies[@]:0:$count}"; do
        "$node" peers --config "$dir/nodes/$name/node.toml" --member "${members[@]}" >/dev/null
    done
    printf '%s\n' "${agencies[@]:0:$count}" >"$dir/nodes.list"
    # Last: its presence says that the set-up is complete.
    arguments=(--network devnet --member "${members[@]}"
        --registrar "$dir/wallets/registrar.account.toml" --agency "${accounts[@]}"
        --catalogue "$here/catalogue.toml" --out "$dir/genesis.toml")
    arguments+=(--parameters "${CERTCHAIN_PARAMETERS:-$here/parameters.toml}")
    "$node" genesis "${arguments[@]}" >/dev/null
}

# start NAME: starts a node unless it runs.
start() {
    local name=$1 home="$dir/nodes/$1"
    if running_pid "$dir" "$name" >/dev/null; then
        return
    fi
    # A session of its own, so that closing the terminal or Ctrl-C there does not end it.
    setsid "$node" run --config "$home/node.toml" </dev/null >>"$home/log" 2>&1 9>&- &
    printf '%s\n' "$!" >"$home/pid"
    # Not this shell's job any more: its end is nothing that this shell would tell of.
    disown "$!"
    say "  started $name (pid $!)"
}

grpc_of() { "$node" show --config "$dir/nodes/$1/node.toml" --json | field grpc; }

# await_ready DEADLINE NAME...: until every chain on these nodes is ready.
await_ready() {
    local deadline=$((SECONDS + $1)) name url chain
    shift
    for name in "$@"; do
        url="http://$(grpc_of "$name")"
        for chain in "${chains[@]}"; do
            await_chain "$deadline" "$name" "$url" "$chain"
        done
    done
}

# await_chain DEADLINE NAME URL CHAIN
await_chain() {
    local deadline=$1 name=$2 url=$3 chain=$4 answer
    until answer=$("$client" chain status --chain "$chain" --node "$url" --json 2>/dev/null) &&
        [ "$(bare_field ready <<<"$answer")" = true ]; do
        if ! is_daemon "$(cat "$dir/nodes/$name/pid")" "$dir/nodes/$name/node.toml"; then
            tail -n 20 "$dir/nodes/$name/log" >&2
            fail "$name has ended; the last lines of $dir/nodes/$name/log are above"
        fi
        if [ "$SECONDS" -ge "$deadline" ]; then
            tail -n 20 "$dir/nodes/$name/log" >&2
            fail "the chain $chain of $name is not ready in time; see $dir/nodes/$name/log"
        fi
        sleep 0.2
    done
}

address_of() { "$client" wallet show --wallet "$dir/wallets/$1.wallet" --json | field address; }

# register NAME URL KIND NUMBER [ATTRIBUTE...]: the way of a registration, with all its parts.
register() {
    local name=$1 url=$2 kind=$3 number=$4 home="$dir/wallets" draft attributes=() attribute
    shift 4
    for attribute in "$@"; do attributes+=(--attribute "$attribute"); done
    draft=$(mktemp -d "$dir/draft.XXXXXX")
    # At the agency's counter: the document is checked, the identity drafted and signed.
    "$client" identity draft --node "$url" --agency-wallet "$home/civil-affairs.wallet" \
        --passphrase-file "$dir/passphrase" --registrar "$(address_of registrar)" \
        --holder-account "$home/$name.account.toml" "${attributes[@]}" --document-country CN \
        --document-type "$kind" --document-number "$number" --tag-key "$dir/tag.key" \
        --attributes-out "$draft/attributes.toml" --out "$draft/drafted.toml" >/dev/null
    # At the information centre: reviewed and signed.
    "$client" identity review --wallet "$home/registrar.wallet" --in "$draft/drafted.toml" \
        --passphrase-file "$dir/passphrase" --out "$draft/reviewed.toml" >/dev/null
    # The holder signs with the new key and submits.
    "$client" identity register --wallet "$home/$name.wallet" --in "$draft/reviewed.toml" \
        --passphrase-file "$dir/passphrase" --attributes "$draft/attributes.toml" \
        --node "$url" --json >"$draft/receipt"
    registered_in=$(bare_field height <"$draft/receipt")
    rm -rf "$draft"
}

# Verifiers are accounts like others: they stand ready once they are registered.
register_verifiers() {
    local name url status
    url="http://$(grpc_of "$1")"
    for name in "${verifiers[@]}"; do
        status=0
        "$client" identity show "$(address_of "$name")" --node "$url" >/dev/null 2>&1 || status=$?
        case $status in
        0) ;;
        3)
            say "  registering the verifier ${verifier_titles[$name]}"
            register "$name" "$url" business-licence "VERIFIER-$name" "name=${verifier_titles[$name]}"
            ;;
        *) fail "cannot ask $url whether $name is registered (exit $status)" ;;
        esac
    done
}

# The JSON object of an account, from its wallet's public part.
account_json() {
    local json
    json=$("$client" wallet show --wallet "$dir/wallets/$1.wallet" --json)
    printf '{"id":"%s","key_file":"%s","passphrase_file":"%s","account_file":"%s",%s' "$1" \
        "$dir/wallets/$1.wallet" "$dir/passphrase" "$dir/wallets/$1.account.toml" "${json#*\{}"
}

joined() { local IFS=,; printf '%s' "$*"; }

# joined_by TEXT WORD...
joined_by() {
    local between=$1 text=$2 word
    shift 2
    for word in "$@"; do text+="$between$word"; done
    printf '%s' "$text"
}

write_json() {
    local name json list=() agency_list=() verifier_list=() file
    for name in "$@"; do
        json=$("$node" show --config "$dir/nodes/$name/node.toml" --json)
        list+=("$(printf '{"pid":%s,"log":"%s",%s' "$(cat "$dir/nodes/$name/pid")" \
            "$dir/nodes/$name/log" "${json#*\{}")")
    done
    for file in "$dir"/wallets/*.account.toml; do
        name=${file##*/}
        name=${name%.account.toml}
        case " ${agencies[*]} " in *" $name "*) agency_list+=("$(account_json "$name")") ;; esac
    done
    for name in "${verifiers[@]}"; do verifier_list+=("$(account_json "$name")"); done
    {
        printf '{\n"network":"devnet",\n"chains":["%s"],\n' "$(joined_by '","' "${chains[@]}")"
        printf '"nodes":[\n%s\n],\n' "$(joined "${list[@]}")"
        printf '"genesis":"%s",\n"tag_key_file":"%s",\n"tag_key_version":1,\n' \
            "$dir/genesis.toml" "$dir/tag.key"
        printf '"accounts":{\n"registrar":%s,\n' "$(account_json registrar)"
        printf '"agency":%s,\n' "$(account_json civil-affairs)"
        printf '"agencies":[%s],\n' "$(joined "${agency_list[@]}")"
        printf '"verifiers":[%s]\n},\n' "$(joined "${verifier_list[@]}")"
        printf '"programs":{"certchain-node":"%s","certchain":"%s"}\n}\n' "$node" "$client"
    } >"$dir/devnet.json.new"
    mv "$dir/devnet.json.new" "$dir/devnet.json"
}

dir=$(absolute_dir "${dir:-$here/../../devnet}")
prepare_programs
lock_dir "$dir"
if [ -e "$dir/genesis.toml" ]; then
    known=$(node_names "$dir" | wc -l)
    if [ -n "$nodes" ] && [ "$nodes" -ne "$known" ]; then
        fail "$dir holds a network of $known nodes; leave --nodes out, or choose another --dir"
    fi
else
    set_up
fi
mapfile -t names < <(node_names "$dir")

say "Starting ${#names[@]} nodes"
for name in "${names[@]}"; do start "$name"; done
await_ready "$ready_deadline" "${names[@]}"
register_verifiers "${names[0]}"
write_json "${names[@]}"
say "Ready: ${#names[@]} nodes, described in $dir/devnet.json"
if [ -n "$demo" ]; then
    . "$here/demo.sh"
else
    say "Stop them with: config/devnet/stop.sh --dir $dir"
fi
