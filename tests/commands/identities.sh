#!/usr/bin/env bash
# The life of an identity as a clerk and a holder live it, with the commands of docs/identities.md on a
# network of one node: registration over three desks, devices, a lost phone, a thief, a death. Every
# answer is compared; the first that is not as it should be ends the run.
#
# usage: tests/commands/identities.sh DIR    (CERTCHAIN_BIN names the folder with the programs)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
dir=$1
bin=${CERTCHAIN_BIN:?names the folder with certchain and certchain-node}

fail() { echo "identities.sh: $*" >&2; exit 1; }
field() { sed -n 's/^.*"'"$1"'" *: *"\{0,1\}\([^",}]*\).*$/\1/p' | head -n 1; }

"$root/config/devnet/launch.sh" --nodes 1 --dir "$dir" >/dev/null
trap '"$root/config/devnet/stop.sh" --dir "$dir" >/dev/null' EXIT
url="http://$("$bin/certchain-node" show --config "$dir/nodes/civil-affairs/node.toml" --json | field grpc)"
w="$dir/wallets"
cd "$dir"

# certchain, with this network's passphrase and node.
c() { "$bin/certchain" "$@" --passphrase-file "$dir/passphrase" --node "$url" --json; }
# refused CODE ARGUMENTS...: the chain refuses with this code.
refused() {
    local code=$1 answer
    shift
    if answer=$(c "$@" 2>&1); then
        fail "'$*' should have been refused with $code, and was not"
    fi
    grep -q "$code" <<<"$answer" || fail "'$*' should have been refused with $code: $answer"
}
# shows FIELD VALUE: what the chain shows of Anna.
shows() {
    local actual
    actual=$(c identity show "$anna" | field "$1")
    [ "$actual" = "$2" ] || fail "the identity's $1 is '$actual', not '$2'"
}
new_wallet() { c wallet new --wallet "$1" --name Anna --kind citizen --kdf-memory-kib 8 --kdf-passes 1 "${@:2}" | field address; }
registrar=$(c wallet show --wallet "$w/registrar.wallet" | field address)

echo "registration over three desks"
anna=$(new_wallet anna.wallet)
c wallet export --wallet anna.wallet --out anna.toml >/dev/null
draft() {
    c identity draft --agency-wallet "$w/civil-affairs.wallet" --registrar "$registrar" \
        --holder-account "$1" --attribute name=Anna --document-country CN --document-type id \
        --document-number 110101199001011234 --tag-key tag.key --out "$2" >/dev/null
}
draft anna.toml anna.draft
c identity review --wallet "$w/registrar.wallet" --in anna.draft --attributes anna.draft.attributes \
    --out anna.reviewed >/dev/null
c identity register --wallet anna.wallet --in anna.reviewed --attributes anna.draft.attributes >/dev/null
shows status active

echo "the same person comes again under another name"
new_wallet twice.wallet >/dev/null
c wallet export --wallet twice.wallet --out twice.toml >/dev/null
draft twice.toml twice.draft
c identity review --wallet "$w/registrar.wallet" --in twice.draft --out twice.reviewed >/dev/null
refused CODE_TAG_TAKEN identity register --wallet twice.wallet --in twice.reviewed

echo "a tablet is added, signs, and is removed"
c identity add-device --wallet anna.wallet --device-wallet tablet.wallet >/dev/null
again=$(c identity add-device --wallet anna.wallet --device-wallet tablet.wallet)
! grep -q transaction_id <<<"$again" || fail "a device that signs already is added again: $again"
refused CODE_WRONG_KEY identity add-device --wallet tablet.wallet --device-wallet third.wallet
c certificate list --chain degree --wallet tablet.wallet >/dev/null
c identity remove-device --wallet tablet.wallet >/dev/null
if c certificate list --chain degree --wallet tablet.wallet >/dev/null 2>&1; then
    fail "a removed device still reads the holder's lists"
fi
c identity add-device --wallet anna.wallet --device-wallet phone.wallet >/dev/null

# opens NEW: a recovery for the new wallet NEW.wallet.
opens() {
    new_wallet "$1.wallet" --recovers "$anna" >/dev/null
    c wallet export --wallet "$1.wallet" --out "$1.toml" >/dev/null
    c identity recover --agency-wallet "$w/civil-affairs.wallet" --registrar "$registrar" \
        --holder-account "$1.toml" --out "$1.draft" >/dev/null
    c identity review --wallet "$w/registrar.wallet" --in "$1.draft" --out "$1.reviewed" >/dev/null
    c identity register --wallet "$1.wallet" --in "$1.reviewed" >/dev/null
}
decides() {
    c identity decide-recovery "$anna" --wallet "$w/$1.wallet" "$2" \
        --registrar-wallet "$w/registrar.wallet"
}

echo "a false recovery is objected to from the phone, and rejected"
opens false
shows stage waiting
refused CODE_RECOVERY_OPEN identity rotate --wallet anna.wallet
c identity object --wallet phone.wallet >/dev/null
shows stage contested
refused CODE_NOT_ENTITLED identity decide-recovery "$anna" --wallet "$w/civil-affairs.wallet" \
    --confirm --registrar-wallet "$w/registrar.wallet"
decides land-registry --reject >/dev/null
shows stage rejected

echo "all keys are lost: the account is recovered after the wait"
opens new
refused CODE_RECOVERY_NOT_DUE identity complete-recovery --wallet new.wallet
deadline=$((SECONDS + 60))
until answer=$(c identity complete-recovery --wallet new.wallet 2>&1); do
    grep -q CODE_RECOVERY_NOT_DUE <<<"$answer" || fail "the recovery is refused: $answer"
    [ "$SECONDS" -lt "$deadline" ] || fail "the recovery does not become due"
    sleep 0.3
done
shows stage completed
refused CODE_WRONG_KEY identity suspend "$anna" --wallet phone.wallet --reason 1

echo "the new key stops the account at once, a registrar lifts that"
c identity suspend "$anna" --wallet new.wallet --reason 1 >/dev/null
shows status suspended
c identity reinstate "$anna" --wallet "$w/registrar.wallet" --reason 2 >/dev/null

echo "the holder dies"
refused CODE_BAD_FIELD identity revoke "$anna" --wallet "$w/civil-affairs.wallet" --reason 3 \
    --end closed --registrar-wallet "$w/registrar.wallet"
c identity revoke "$anna" --wallet "$w/civil-affairs.wallet" --reason 3 --end deceased \
    --registrar-wallet "$w/registrar.wallet" >/dev/null
shows status deceased
refused CODE_ENDED identity rotate --wallet new.wallet
c identity key "$anna" --at-height "$(c identity show "$anna" | field registered_height)" >/dev/null
echo "identities.sh: passed"
