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
    note "$2 is registered in block $registered_in of main: $(address_of "$id")"
}

# enrol_company ID NAME NODE
enrol_company() {
    local id="$1-$run_number" url
    url="http://$(grpc_of "$3")"
    wallet "$id" "$2" organisation "COMPANY-$run_number"
    register "$id" "$url" charter "$run_number$RANDOM$RANDOM" "name=$2"
    note "$2 is registered in block $registered_in of main: $(address_of "$id")"
}

# The programs of a person or an office: the wallet's commands, with this network's passphrase.
as() {
    local who=$1
    shift
    "$client" "$@" --wallet "$dir/wallets/$who.wallet" --passphrase-file "$dir/passphrase" \
        --node "$url" --json
}

# shown TITLE HOLDER FIELDS: the holder shows fields as a QR code, the inspector reads and checks it.
# Sets `result` and `block`.
shown() {
    local title=$1 holder=$2 fields=$3 picture answer status=0
    picture="$dir/$type-$run_number-$((++pictures)).png"
    as "$holder" certificate present "$id" --chain "$chain" --show "$fields" \
        --verifier "$(address_of "$inspector")" --png "$picture" >/dev/null
    answer=$(as "$inspector" check --qr "$picture" --purpose 1) || status=$?
    result=$(field result <<<"$answer")
    block=$(bare_field height <<<"$answer")
    [ -n "$result" ] || fail "the check of $picture gave no result (exit $status): $answer"
    note "$title shows $fields as a QR code (${picture##*/})."
}

# life TYPE CHAIN OFFICE NAMES FIELDS_SHOWN HOLDER... -- FIELD...: one certificate's life.
life() {
    type=$1 chain=$2
    local office=$3 names=$4 shows=$5 holders=() fields=() to=() holder answer height
    shift 5
    while [ "$1" != -- ]; do holders+=("$1"); shift; done
    shift
    for holder in "$@"; do fields+=(--field "$holder"); done
    for holder in "${holders[@]}"; do
        # The spouses stand before the registrar and sign too.
        if [ "$type" = marriage ]; then
            to+=(--holder-wallet "$dir/wallets/$holder.wallet")
        else
            to+=(--holder "$(address_of "$holder")")
        fi
    done
    answer=$(as "$office" certificate issue --type "$type" "${to[@]}" "${fields[@]}")
    id=$(field certificate <<<"$answer")
    note "issued by the ${titles[$office]} as number $(bare_field serial <<<"$answer"), in block $(bare_field height <<<"$answer") of chain $chain."
    for holder in "${holders[@]}"; do
        as "$holder" certificate open "$id" --chain "$chain" >/dev/null
        height=$(as "$holder" certificate accept "$id" --chain "$chain" | bare_field height)
    done
    note "$names opened it with a key that nobody else has, and accepted: block $height."
    shown "$names" "${holders[0]}" "$shows"
    [ "$result" = valid ] || fail "the check says $result"
    note "The ${verifier_titles[$inspector]} reads the code and checks it: VALID, block $block."
    height=$(as "$office" certificate revoke "$id" --chain "$chain" --reason 4 | bare_field height)
    note "revoked by the ${titles[$office]}: block $height."
    shown "$names" "${holders[0]}" "$shows"
    [ "$result" = revoked ] || fail "the check says $result, not revoked"
    note "The ${verifier_titles[$inspector]} checks again: REFUSED, it was revoked; block $block."
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
url="http://$(grpc_of "$first")"
inspector=city-inspection
pictures=0
today=$(date +%Y-%m-%d)
say ""
say "This is a network of ${#names[@]} offices. Each runs a node; none of them alone decides anything."

step "Three people and a company come to the ${titles[$first]} and get a digital identity."
note "The office checks the papers and drafts the identity, the information centre reviews it,"
note "and the holder signs with a key that only the holder has."
enrol zhang-wei "Zhang Wei" "$first" 1990-04-12
enrol li-na "Li Na" "$first" 1985-11-30
enrol wang-fang "Wang Fang" "$first" 2001-02-08
enrol_company harbour-tea "Harbour Tea Company" "$first"

step "Zhang Wei and Li Na marry."
life marriage marriage civil-affairs "Zhang Wei and Li Na" registered_on,office \
    "zhang-wei-$run_number" "li-na-$run_number" -- \
    "spouse_a=$(address_of "zhang-wei-$run_number")" "spouse_b=$(address_of "li-na-$run_number")" \
    "registered_on=$today" "office=Bureau of Civil Affairs"

step "Li Na buys a flat and gets the title to it."
life property property land-registry "Li Na" parcel,use "li-na-$run_number" -- \
    "parcel=P-$run_number" "location=12 Harbour Road" area_cm2=860000 "use=dwelling"

step "Wang Fang has passed her examinations."
life degree degree education "Wang Fang" school,subject,level "wang-fang-$run_number" -- \
    "school=Northern University" "subject=Civil Engineering" "level=Bachelor" "awarded_on=$today"

step "Harbour Tea Company gets its business licence."
life business_licence business market-regulation "Harbour Tea Company" company,scope \
    "harbour-tea-$run_number" -- "company=Harbour Tea Company" \
    "legal_representative=$(address_of "zhang-wei-$run_number")" capital=500000 "scope=Sale of tea"

step "Wang Fang is examined for work in a kitchen."
life health_certificate health health "Wang Fang" occupation,examined_on "wang-fang-$run_number" -- \
    "occupation=cook" "examined_on=$today" "clinic=First City Clinic"

asked=${names[$((${#names[@]} - 1))]}
step "Somebody asks the ${titles[$asked]} about Li Na, and believes only what can be proven."
shown=$("$client" identity show "$(address_of "li-na-$run_number")" --node "http://$(grpc_of "$asked")" \
    --verify --genesis "$dir/genesis.toml" --json)
[ "$(bare_field verified <<<"$shown")" = true ] || fail "the proof was not checked"
note "status: $(field status <<<"$shown"); proven by block $(bare_field proven_by_height <<<"$shown") of main, which a quorum of the offices signed."
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

step "Main anchors every side chain, so that no office can rewrite its own."
deadline=$((SECONDS + ready_deadline))
until anchor=$("$client" chain anchor health --node "$url" --json) &&
    [ "$(bare_field lag_blocks <<<"$anchor")" = 0 ]; do
    [ "$SECONDS" -lt "$deadline" ] || fail "chain health is not anchored in time: $anchor"
    sleep 0.3
done
note "block $(bare_field height <<<"$anchor") of chain health stands in block $(bare_field main_height <<<"$anchor") of main."

step "Wang Fang's health certificate is proven off line, from one file and the network's genesis."
pack="$dir/health-$run_number.pack"
"$client" certificate pack "$id" --chain health --holder "$(address_of "wang-fang-$run_number")" \
    --out "$pack" --node "$url" >/dev/null
status=0
proven=$("$client" check --offline "$pack" --genesis "$dir/genesis.toml" --json) || status=$?
[ "$(bare_field verified <<<"$proven")" = true ] || fail "the pack was not verified (exit $status): $proven"
note "$(wc -c <"$pack") bytes; every proof holds; the certificate is $(field status <<<"$proven")."

step "The auditor replays everything that this node holds, all six chains from their first blocks on."
"$node" audit --dir "$dir/nodes/$first/data" --genesis "$dir/genesis.toml" --certificate "$id" |
    sed 's/^/   /'

write_json "${names[@]}"
step "The network goes on running."
for name in "${names[@]}"; do
    note "$(printf '%-36s gRPC %s' "${titles[$name]}" "$(grpc_of "$name")")"
done
say ""
say "Look around:  $client chain status --node http://$(grpc_of "$first")"
say "For programs: $dir/devnet.json"
say "Stop it with: config/devnet/stop.sh --dir $dir"
