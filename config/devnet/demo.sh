# Sourced by launch.sh --demo, once the network is ready: walks through the main job, one line a
# step, in the words of the people who do it.

step_number=0
step() { step_number=$((step_number + 1)); printf '\n%d. %s\n' "$step_number" "$*"; }
note() { printf '   %s\n' "$*"; }

status_of() { "$client" chain status --node "http://$(grpc_of "$1")" --json; }
block_id() { "$client" chain block "$2" --node "http://$(grpc_of "$1")" --json | field block_id; }

# Everybody in this walk-through is new, however often it is run.
run_number=$(date +%s)

# enrol ID NAME NODE BORN
enrol() {
    local id="$1-$run_number" url
    url="http://$(grpc_of "$3")"
    wallet "$id" "$2" citizen ""
    register "$id" "$url" id "$run_number$RANDOM$RANDOM" "name=$2" "born=$4"
    note "$2 is registered: $(address_of "$id")"
}

# same_block NODE...: until all have the same block at the greatest height among them.
same_block() {
    local deadline=$((SECONDS + ready_deadline)) name height top id other
    while :; do
        top=0
        for name in "$@"; do
            height=$(status_of "$name" 2>/dev/null | bare_field height) || height=0
            [ "${height:-0}" -le "$top" ] || top=$height
        done
        id=$(block_id "$1" "$top" 2>/dev/null) || id=
        for name in "${@:2}"; do
            [ -n "$id" ] || break
            other=$(block_id "$name" "$top" 2>/dev/null) || other=
            [ "$other" = "$id" ] || id=
        done
        if [ -n "$id" ]; then
            note "all ${#} nodes hold block $top: $id"
            return
        fi
        [ "$SECONDS" -lt "$deadline" ] || fail "the nodes do not come to the same block"
        sleep 0.3
    done
}

first=${names[0]}
say ""
say "This is a network of ${#names[@]} offices. Each runs a node; none of them alone decides anything."

step "Three people come to the ${titles[$first]} and get a digital identity."
note "The office checks the person and drafts the identity, the information centre reviews it,"
note "and the person signs with a key that only this person holds."
enrol zhang-wei "Zhang Wei" "$first" 1990-04-12
enrol li-na "Li Na" "$first" 1985-11-30
enrol wang-fang "Wang Fang" "$first" 2001-02-08

asked=${names[$((${#names[@]} - 1))]}
step "Somebody asks the ${titles[$asked]} about Li Na, and believes only what can be proven."
shown=$("$client" identity show "$(address_of "li-na-$run_number")" --node "http://$(grpc_of "$asked")" \
    --verify --genesis "$dir/genesis.toml" --json)
[ "$(bare_field verified <<<"$shown")" = true ] || fail "the proof was not checked"
note "status: $(field status <<<"$shown"); proven by block $(bare_field proven_by_height <<<"$shown"), which a quorum of the offices signed."
note "Name and day of birth are not on the chain: it holds salted hashes of them only."

pid=$(running_pid "$dir" "$first")
step "The node of the ${titles[$first]} loses its power (kill -9 $pid)."
kill -KILL "$pid"
while is_daemon "$pid" "$dir/nodes/$first/node.toml"; do sleep 0.05; done
if [ "${#names[@]}" -ge 4 ]; then
    other=${names[1]}
    note "The others go on: Chen Jie is registered through the node of the ${titles[$other]}."
    enrol chen-jie "Chen Jie" "$other" 1978-07-19
else
    note "It is the only node here, so the network waits for it."
fi

step "The power is back; the node starts and catches up by itself."
start "$first"
await_ready "$ready_deadline" "$first"
same_block "${names[@]}"
if [ "${#names[@]}" -lt 4 ]; then
    enrol chen-jie "Chen Jie" "$first" 1978-07-19
fi

step "The auditor replays everything that this node holds, from the first block on."
"$node" audit --dir "$dir/nodes/$first/data" --genesis "$dir/genesis.toml" | sed 's/^/   /'

write_json "${names[@]}"
step "The network goes on running."
for name in "${names[@]}"; do
    note "$(printf '%-36s gRPC %s' "${titles[$name]}" "$(grpc_of "$name")")"
done
say ""
say "Look around:  $client chain status --node http://$(grpc_of "$first")"
say "For programs: $dir/devnet.json"
say "Stop it with: config/devnet/stop.sh --dir $dir"
