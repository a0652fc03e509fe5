#!/usr/bin/env python3
"""Registers an identity that this program built and signed itself, and believes no answer.

Finds a node's services by gRPC reflection, builds a RegisterIdentity transaction after
docs/formats.md, signs it with the three keys, submits it and waits; then asks for block,
transaction, identity and history with proofs and checks all of them against the genesis file alone.
Exit 0 only if everything held; the last line of the output is one JSON object.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from certchain import address, chain, formats
from certchain.codec import decode
from certchain.rpc import Block, Node, Refused
from certchain.sidechain import Network
from certchain.wallet import open_wallet

CITIZEN = 1


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devnet", type=Path, metavar="FILE",
                        help="devnet.json of config/devnet/launch.sh, which names all that follows")
    parser.add_argument("--grpc", metavar="HOST:PORT")
    parser.add_argument("--genesis", type=Path, metavar="FILE")
    for party in ("agency", "registrar"):
        parser.add_argument(f"--{party}-seed", type=Path, metavar="FILE",
                            help=f"the {party}'s Ed25519 seed, 64 hexadecimal digits")
        parser.add_argument(f"--{party}-wallet", type=Path, metavar="FILE", help="or its wallet")
    parser.add_argument("--passphrase-file", type=Path, metavar="FILE", help="of the wallets")
    parser.add_argument("--holder-seed", type=Path, metavar="FILE", help="left out: a new key")
    parser.add_argument("--tag", metavar="HEX", help="the document's tag; left out: a random one")
    args = parser.parse_args()
    if args.devnet:
        devnet = json.loads(args.devnet.read_text())
        args.grpc = args.grpc or devnet["nodes"][0]["grpc"]
        args.genesis = args.genesis or Path(devnet["genesis"])
        for party in ("agency", "registrar"):
            account = devnet["accounts"][party]
            setattr(args, f"{party}_wallet", Path(account["key_file"]))
            args.passphrase_file = Path(account["passphrase_file"])
    if not args.grpc or not args.genesis:
        parser.error("--grpc and --genesis are needed, or --devnet")
    for party in ("agency", "registrar"):
        if not (getattr(args, f"{party}_seed") or getattr(args, f"{party}_wallet")):
            parser.error(f"--{party}-seed or --{party}-wallet is needed")
    return args


def key_pair(seed):
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return key, key.public_key().public_bytes_raw()


def party_key(args, party):
    """A party's key, from its seed file or wallet."""
    file = getattr(args, f"{party}_seed")
    if file:
        return key_pair(bytes.fromhex(file.read_text().strip()))
    passphrase = args.passphrase_file.read_text().splitlines()[0]
    opened = open_wallet(getattr(args, f"{party}_wallet").read_text(), passphrase)
    key, public = key_pair(opened["seed"])
    expect(f"public key in the wallet of the {party}", opened["public_key"], public.hex())
    return key, public


def say(text):
    print(text, flush=True)


def expect(what, expected, actual):
    if expected != actual:
        raise ValueError(f"{what}: expected {expected!r}, got {actual!r}")


def refusal(node, **fields):
    """The code with which a submission is refused."""
    try:
        node.call("Submit", **fields)
    except Refused as refused:
        return refused.code
    return "CODE_OK"


def main():
    args = arguments()
    genesis = chain.Genesis(args.genesis.read_text())
    say(f"chain id from the genesis file: {genesis.chain_id.hex()}")
    node = Node(args.grpc)
    say("services by reflection: " + ", ".join(node.services))
    status = node.call("GetStatus")
    expect("chain id", genesis.chain_id, status.chain_id)
    expect("quorum", genesis.validators.quorum(), status.quorum)

    # Build and sign.
    agency, agency_key = party_key(args, "agency")
    registrar, registrar_key = party_key(args, "registrar")
    seed = args.holder_seed and bytes.fromhex(args.holder_seed.read_text().strip())
    holder, holder_key = key_pair(seed or os.urandom(32))
    encryption_key = X25519PrivateKey.generate().public_key().public_bytes_raw()
    names = [("name", "Ada Conformance"), ("birth_date", "1990-01-02")] + [("", "")] * 14
    root = chain.attribute_root([(os.urandom(32), *name) for name in names])
    tag = bytes.fromhex(args.tag) if args.tag else os.urandom(32)
    body = node.message("TransactionBody")(
        chain_id=genesis.chain_id,
        nonce=os.urandom(16),
        valid_until_ms=status.time_ms + status.transaction_window_ms // 2,
        register_identity=node.message("RegisterIdentity")(
            kind=CITIZEN,
            public_key=holder_key,
            encryption_key=encryption_key,
            attribute_root=root,
            tag=tag,
            tag_key_version=genesis.content["tag_key_version"],
            agency=address.of(agency_key),
            registrar=address.of(registrar_key),
        ),
    ).SerializeToString(deterministic=True)
    hashed = chain.signing_hash(body)
    pairs = [
        (agency_key, agency.sign(hashed)),
        (registrar_key, registrar.sign(hashed)),
        (holder_key, holder.sign(hashed)),
    ]
    signature = node.message("TransactionSignature")
    signatures = [signature(public_key=key, signature=signed) for key, signed in pairs]
    transaction = node.message("SignedTransaction")(body=body, signatures=signatures)
    name = chain.transaction_id(body)
    subject = address.of(holder_key)

    # Two that must be refused, so that being admitted means something.
    swapped = node.message("SignedTransaction")(
        body=body, signatures=[signatures[1], signatures[0], signatures[2]])
    expect("signers out of order", "CODE_MISSING_SIGNER", refusal(node, transaction=swapped))
    spoiled = signature(public_key=holder_key, signature=bytes(64))
    spoiled = node.message("SignedTransaction")(body=body, signatures=signatures[:2] + [spoiled])
    expect("a wrong signature", "CODE_BAD_SIGNATURE", refusal(node, transaction=spoiled))

    # Submit and wait.
    expect("transaction id", name, node.call("Submit", transaction=transaction).transaction_id)
    receipt = node.call("WaitReceipt", transaction_id=name).receipt
    expect("receipt code", 0, receipt.code)
    say(f"registered {address.to_text(subject)} in block {receipt.height}")
    expect("a replay", "CODE_REPLAYED", refusal(node, transaction=transaction))

    # The transaction and its receipt stand in a block that a quorum decided.
    answer = node.call("GetTransaction", transaction_id=name, with_proof=True)
    block = Block(genesis, answer.block)
    proven = block.prove_transaction(answer)
    expect("receipt", (name, 0, subject), (proven["transaction"], proven["code"], proven["subject"]))
    expect("block of the receipt", (block.height, block.id), (receipt.height, receipt.block_id))
    expect("transaction", body, answer.transaction.body)
    say(f"block {block.height} {block.id.hex()} is decided; it holds transaction and receipt")

    # The identity is what was signed.
    answer = node.call("GetIdentity", address=subject, with_proof=True)
    evidence = answer.evidence
    expect("state key", chain.identity_key(subject), evidence.key)
    at = Block(genesis, evidence.block)
    at.prove_value(evidence.key, evidence.value, evidence.proof)
    record = decode(formats.IDENTITY_RECORD, evidence.value)
    expect("kind", "Citizen", record["kind"])
    expect("status", "Active", record["present"]["status"])
    expect("keys", (holder_key, encryption_key),
           (record["present"]["public_key"], record["present"]["encryption_key"]))
    expect("attributes and tag", (root, tag), (record["attribute_root"], record["tag"]))
    expect("parties", (address.of(agency_key), address.of(registrar_key)),
           (record["agency"], record["registrar"]))
    expect("height", block.height, record["registered_height"])
    expect("words", (holder_key, address.to_text(subject)),
           (answer.identity.public_key, answer.identity.address_text))
    say(f"identity proven under state root {at.outcome['state_root'].hex()} of block {at.height}")

    # The tag leads to it, and nobody else is there.
    answer = node.call("GetStateProof", key=chain.tag_key(tag))
    Block(genesis, answer.block).prove_value(chain.tag_key(tag), subject, answer.proof)
    nobody = chain.identity_key(os.urandom(32))
    answer = node.call("GetStateProof", key=nobody)
    expect("a stranger's presence", (None, False),
           (Block(genesis, answer.block).prove_state(nobody, answer.proof), answer.present))
    say("the tag is taken by it; a stranger is proven absent")

    # The chain's history, back to the genesis block that the file alone gives.
    tip = Block(genesis, node.call("GetBlock", header_only=True).block.header)
    answer = node.call("GetHistoryProof", height=0, at_height=tip.height)
    expect("genesis block", Network(genesis).blocks["main"]["id"], answer.block_id)
    later = Block(genesis, answer.block)
    later.prove_earlier(answer.block_id, answer.proof)
    say(f"block {later.height} stands on the genesis block {answer.block_id.hex()}")
    print(json.dumps({
        "ok": True,
        "chain_id": genesis.chain_id.hex(),
        "address": address.to_text(subject),
        "transaction_id": name.hex(),
        "height": block.height,
        "block_id": block.id.hex(),
        "state_root": at.outcome["state_root"].hex(),
    }))


if __name__ == "__main__":
    try:
        main()
    except (Refused, ValueError, OSError) as error:
        sys.exit(f"failed: {error}")
