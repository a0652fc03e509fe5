#!/usr/bin/env python3
"""Checks tests/vectors by what docs/formats.md says; exit 0 only if every vector holds."""

import re
import sys
import tomllib
import unicodedata

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from google.protobuf.message import DecodeError

from certchain import address, chain, ed25519, formats, proofs
from certchain.checks import (
    VECTORS, hexes, holds, load, public, refused, run, same, signer, structure,
)
from certchain.codec import decode, encode
from certchain.hashing import derive
from certchain.messages import canonical, fill, schema
from certchain.sidechain import Network
from certchain.wallet import open_wallet

DOCUMENT = VECTORS.parent.parent / "docs" / "formats.md"


def check_hashes():
    vectors = load("hashes.json")
    long = bytes(range(256)) * 12
    for vector in vectors["contexts"]:
        context = vector["context"].removeprefix("certchain v1 ")
        same(context, vector["of_nothing"], derive(context))
        same(context, vector["of_abc"], derive(context, b"abc"))
        same(context, vector["of_long"], derive(context, long[:3000]))
    block = vectors["block_id"]
    header, outcome = bytes.fromhex(block["header"]), bytes.fromhex(block["outcome"])
    same("block id", block["id"], chain.block_id(header, outcome))
    value = vectors["value_hash"]
    same("value hash", value["hash"], proofs.value_hash(bytes.fromhex(value["value"])))
    main = vectors["chain_id"]
    encoding = bytes.fromhex(main["genesis_encoding"])
    same("chain id", main["chain_id"], derive("chain-id main", encoding))


def check_keys():
    vectors = load("keys.json")
    for vector in vectors["keys"]:
        key = public(vector["seed"])
        same("public key", vector["public_key"], key)
        same("address", vector["address"], address.of(key))
        same("address text", vector["address_text"], address.to_text(address.of(key)))
        same("address read", vector["address"], address.from_text(vector["address_text"]))
        message = bytes.fromhex(vector["signed_hash"])
        same("signature", vector["signature"], signer(vector["seed"]).sign(message))
        holds("signature", ed25519.verify(key, message, bytes.fromhex(vector["signature"])))
    for vector in vectors["refused_public_keys"]:
        same(vector["why"], False, ed25519.is_public_key(bytes.fromhex(vector["public_key"])))
    for vector in vectors["encryption_keys"]:
        key = bytes.fromhex(vector["encryption_key"])
        same("encryption key", vector["taken"], ed25519.is_encryption_key(key))
    for text in vectors["refused_addresses"]:
        refused(f"address '{text}'", address.from_text, text)
    for number, vector in enumerate(load("ed25519_edge_cases.json")):
        parts = (bytes.fromhex(vector[name]) for name in ("public_key", "message", "signature"))
        same(f"edge case {number}", vector["zip215"], ed25519.zip215(*parts))


def not_canonical(message, encoded):
    """Whether the bytes are an envelope, but it or its body is not in canonical form."""
    try:
        if canonical(message("SignedTransaction"), encoded) != encoded:
            return True
        envelope = message("SignedTransaction").FromString(encoded)
        body = message("TransactionBody").FromString(envelope.body)
        code = body.register_identity.organisation_code
        form = unicodedata.normalize("NFC", code)
        return canonical(message("TransactionBody"), envelope.body) != envelope.body or form != code
    except DecodeError:
        return False


def check_transactions():
    vectors = load("transactions.json")
    message = schema(vectors["schema"])
    for vector in vectors["transactions"]:
        what = vector["kind"]
        body = message("TransactionBody")()
        fill(body, {name: vector[name] for name in ("chain_id", "nonce", "valid_until_ms")})
        inner = getattr(body, what)
        inner.SetInParent()
        fill(inner, vector["message"])
        encoded = body.SerializeToString(deterministic=True)
        same(f"{what} body", vector["body"], encoded)
        same(f"{what} id", vector["transaction_id"], chain.transaction_id(encoded))
        holds(f"{what} is canonical", canonical(message("TransactionBody"), encoded) == encoded)
        hashed = chain.signing_hash(encoded)
        same(f"{what} signing hash", vector["signing_hash"], hashed)
        envelope = message("SignedTransaction")(body=encoded)
        pairs = []
        for one in vector["signatures"]:
            key, signature = public(one["seed"]), signer(one["seed"]).sign(hashed)
            same(f"{what} signer", one["public_key"], key)
            same(f"{what} signature", one["signature"], signature)
            pairs.append((key, signature))
            envelope.signatures.add(public_key=key, signature=signature)
        same(f"{what} signatures", vector["signatures_hash"], chain.signatures_hash(pairs))
        same(f"{what} witness id", vector["witness_id"], chain.witness_id(encoded, pairs))
        same(f"{what} envelope", vector["encoded"], envelope.SerializeToString(deterministic=True))
    same("no signatures", vectors["signatures_hash_of_none"], chain.signatures_hash([]))
    for vector in vectors["refused"]:
        same(vector["why"], vector["code"] == "CODE_NOT_CANONICAL",
             not_canonical(message, bytes.fromhex(vector["encoded"])))


def check_blocks():
    vectors = load("blocks.json")
    chain_id = bytes.fromhex(load("genesis.json")["chain_id"])
    encoded = structure("validator set", formats.VALIDATOR_SET, vectors["validator_set"])
    same("validator set", vectors["validator_set"]["digest"], derive("validator-set", encoded))
    for vector in vectors["headers"]:
        encoded = structure("header", formats.HEADER, vector)
        same("header digest", vector["digest"], chain.header_digest(encoded))
    for vector in vectors["outcomes"]:
        encoded = structure("outcome", formats.OUTCOME, vector)
        same("outcome digest", vector["digest"], chain.outcome_digest(encoded))
    for vector in vectors["certificates"]:
        encoded = structure("certificate", formats.CERTIFICATE, vector)
        same("certificate digest", vector["digest"], derive("commit-certificate", encoded))
        value = decode(formats.CERTIFICATE, encoded)
        same("certificate", vector["block_id"], chain.block_id(value["header"], value["outcome"]))
    encoded = structure("prepare vote", formats.PREPARE_VOTE, vectors["prepare_vote"])
    same("prepare", vectors["prepare_vote"]["signing_hash"], derive("sign prepare", encoded))
    encoded = structure("commit vote", formats.COMMIT_VOTE, vectors["commit_vote"])
    same("commit", vectors["commit_vote"]["signing_hash"], derive("sign commit", encoded))

    genesis = chain.Genesis((VECTORS / "genesis.toml").read_text())
    block = decode(
        formats.SEALED_BLOCK,
        structure("sealed block", formats.SEALED_BLOCK, vectors["sealed_block"]),
    )
    certificate = block["commit_certificate"]
    chain.check_certificate(chain_id, genesis.validators, certificate)
    header, outcome = encode(formats.HEADER, block["header"]), encode(formats.OUTCOME, block["outcome"])
    same("its header", certificate["header"].hex(), chain.header_digest(header))
    same("its outcome", certificate["outcome"].hex(), chain.outcome_digest(outcome))
    name = chain.block_id(certificate["header"], certificate["outcome"])
    same("its name", vectors["sealed_block"]["id"], name)
    parent = block["parent_certificate"]
    same("its parent", block["header"]["parent_commit"].hex(), chain.certificate_digest(parent))
    first = load("transactions.json")["transactions"][0]
    same("its transactions", [first["encoded"]], [one.hex() for one in block["transactions"]])
    same("its tx_root", block["header"]["tx_root"].hex(),
         proofs.merkle_root([bytes.fromhex(first["witness_id"])]))
    receipt = bytes.fromhex(load("receipts.json")[0]["hash"])
    same("its receipts", block["outcome"]["receipts_root"].hex(), proofs.merkle_root([receipt]))
    same("its history", block["header"]["history_root"].hex(),
         proofs.history_root([block["header"]["parent"]]))
    for spoil in ({"view": 2}, {"height": 2}, {"signatures": certificate["signatures"][:2]}):
        refused(f"a certificate with {spoil}", chain.check_certificate, chain_id,
                genesis.validators, {**certificate, **spoil})
    for vector in load("receipts.json"):
        encoded = structure("receipt", formats.RECEIPT, vector)
        same("receipt hash", vector["hash"], derive("receipt", encoded))


def check_consensus():
    vectors = load("consensus.json")
    members = chain.Genesis((VECTORS / "genesis.toml").read_text()).validators.members
    for vector in vectors["messages"]:
        what = vector["kind"]
        structure(what, formats.MESSAGE, vector)
        (name, statement), = vector["statement"].items()
        context, kind = formats.STATEMENTS[name]
        encoded = encode(kind, statement)
        same(f"{what} statement", vector["statement_encoded"], encoded)
        hashed = derive(context, encoded)
        same(f"{what} signing hash", vector["signing_hash"], hashed)
        signature = bytes.fromhex(vector["signature"])
        holds(f"{what} signature", ed25519.verify(members[vector["signer"]][0], hashed, signature))
        content = next(iter(vector["fields"].values()))
        if name == "PrePrepare":
            bound = derive("proposal contents", encode(formats.CONTENTS, content["contents"]))
            same("proposal contents", statement["contents"], bound)
        if name == "NewView":
            bound = derive("view-change", encode(formats.CLAIMS, content["claims"]))
            same("new-view claims", statement["claims"], bound)
    for name, kind, context in (
        ("contents", formats.CONTENTS, "proposal contents"),
        ("claims", formats.CLAIMS, "view-change"),
    ):
        encoded = structure(name, kind, vectors[name])
        same(name, vectors[name]["digest"], derive(context, encoded))
    structure("prepared", formats.PREPARED_CERTIFICATE, vectors["prepared_certificate"])
    structure("indexed signature", formats.INDEXED_SIGNATURE, vectors["indexed_signature"])
    structure("equivocation", formats.EQUIVOCATION, vectors["equivocation"])
    for vector in vectors["journal_records"]:
        structure("journal record", formats.JOURNAL_RECORD, vector)


def check_trees():
    for vector in load("merkle.json"):
        items, root = hexes(vector["items"]), bytes.fromhex(vector["root"])
        same("merkle root", vector["root"], proofs.merkle_root(items))
        for proof in vector["proofs"]:
            index, siblings = proof["index"], hexes(proof["siblings"])
            args = (index, proof["count"], siblings)
            holds("merkle proof", proofs.check_merkle(root, items[index], *args))
            holds("other leaf", not proofs.check_merkle(root, bytes(31) + b"\xff", *args))
            moved = (index, proof["count"], siblings + [bytes(32)])
            holds("longer path", not proofs.check_merkle(root, items[index], *moved))
    blocks = [bytes([height + 1]) * 32 for height in range(11)]
    for vector in load("history.json")["histories"]:
        size, root = vector["size"], bytes.fromhex(vector["root"])
        same("history root", vector["root"], proofs.history_root(blocks[:size]))
        for proof in vector["proofs"]:
            height = proof["height"]
            path = (size, hexes(proof["siblings"]), hexes(proof["peaks"]))
            same("history path", (height, *path),
                 tuple(proofs.prove_history(blocks[:size], height).values()))
            holds("history proof", proofs.check_history(root, blocks[height], height, *path))
            wrong = blocks[(height + 1) % 11]
            holds("other block", not proofs.check_history(root, wrong, height, *path))


def state_proof(root, proof, values):
    key = bytes.fromhex(proof["key"])
    branches = [(step["bit"], bytes.fromhex(step["sibling"])) for step in proof["branches"]]
    leaf = proof["leaf_key"] and hexes([proof["leaf_key"], proof["leaf_value_hash"]])
    shown = proofs.check_state(root, key, branches, leaf)
    path = proofs.prove_state(values, key)
    same("branches", branches, [(step["bit"], step["sibling"]) for step in path["branches"]])
    same("leaf", leaf, path["leaf"] and [path["leaf"]["key"], path["leaf"]["value_hash"]])
    same("presence", proof["present"], shown is not None)
    if shown is not None:
        same("value", proofs.value_hash(values[key]).hex(), shown)
    for bit, (position, sibling) in enumerate(branches):
        spoiled = branches[:bit] + [(position, bytes(32))] + branches[bit + 1 :]
        refused("a spoiled proof", proofs.check_state, root, key, spoiled, leaf)


def check_state():
    vectors = load("state.json")
    for vector in vectors["states"]:
        leaves = {bytes.fromhex(leaf["key"]): bytes.fromhex(leaf["value"]) for leaf in vector["leaves"]}
        same(vector["state"], vector["root"], proofs.state_root(leaves))
        for proof in vector["proofs"]:
            state_proof(bytes.fromhex(vector["root"]), proof, leaves)
    numbers = [number.to_bytes(4, "little") for number in range(300)]
    leaves = {chain.tag_key(proofs.value_hash(number)): number for number in numbers}
    large = vectors["large"]
    same("300 leaves", large["root"], proofs.state_root(leaves))
    for proof in large["proofs"]:
        state_proof(bytes.fromhex(large["root"]), proof, leaves)


def check_records():
    vectors = load("records.json")
    kinds = {
        "identity": formats.IDENTITY_RECORD,
        "past_version": formats.PAST_VERSION,
        "recovery": formats.RECOVERY,
        "restart_notice": formats.RESTART_NOTICE,
        "parameters": formats.PARAMETERS,
    }
    for vector in vectors["records"]:
        encoded = structure(vector["record"], kinds[vector["record"]], vector)
        same(vector["record"], vector["value_hash"], proofs.value_hash(encoded))
    keys = vectors["keys"]
    person = bytes.fromhex(keys["address"])
    same("identity key", keys["identity"], chain.identity_key(person))
    same("tag key", keys["tag"], chain.tag_key(b"\x53" * 32))
    same("past key", keys["past_sequence_258"], chain.past_key(person, 258))
    code = chain.organisation_key("91440300-MA5")
    same("organisation key", keys["organisation_91440300-MA5"], code)
    same("rotated key", keys["rotated_key"], chain.rotated_key(person))
    same("parameters key", keys["parameters"], chain.PARAMETERS_KEY)
    same("validators key", keys["validators"], chain.VALIDATORS_KEY)
    same("recovery key", keys["recovery"], chain.recovery_key(person))
    same("restart key", keys["restart_epoch_3_validator_2"], chain.restart_key(3, 2))


def check_governance():
    vectors = load("governance.json")
    kinds = {
        "proposal": formats.PROPOSAL,
        "rules": formats.RULES,
        "proposals": formats.PROPOSALS,
        "offers": formats.OFFERS,
        "registrars": formats.REGISTRARS,
        "types": formats.TYPES,
        "members": formats.MEMBERS,
    }
    for vector in vectors["records"]:
        encoded = structure(vector["record"], kinds[vector["record"]], vector)
        same(vector["record"], vector["value_hash"], proofs.value_hash(encoded))
    keys = vectors["keys"]
    proposal, vote_key, agency = hexes([keys[n] for n in ("proposal_id", "vote_key", "agency")])
    same("rules key", keys["rules"], chain.RULES_KEY)
    same("proposal key", keys["proposal"], chain.proposal_key(proposal))
    same("open key", keys["open"], chain.open_key(vote_key))
    same("due key", keys["due_258"], chain.due_key(258))
    same("offers key", keys["offers"], chain.offers_key(agency))
    same("registrars key", keys["registrars"], chain.REGISTRARS_KEY)
    same("members key", keys["members"], chain.MEMBERS_KEY)
    application = {name: bytes.fromhex(value) if name.endswith(("_key", "_signature")) else value
                   for name, value in vectors["application"]["fields"].items()}
    content = {"chain": bytes.fromhex(vectors["application"]["chain"]),
               **{name: application[name] for name in formats.APPLICATION_CONTENT.fields
                  if name != "chain"}}
    hashed = derive("sign application", encode(formats.APPLICATION_CONTENT, content))
    for name in ("vote", "network"):
        key, signature = application[f"{name}_key"], application[f"{name}_signature"]
        holds(f"application, {name}", ed25519.verify(key, hashed, signature))
    same("types key", keys["types"], chain.TYPES_KEY)


def check_people():
    vectors = load("attributes.json")
    slots = [(bytes.fromhex(s["salt"]), s["name"], s["value"]) for s in vectors["slots"]]
    for slot, vector in zip(slots, vectors["slots"]):
        same("commitment", vector["commitment"], chain.field_commitment(*slot))
    same("attribute root", vectors["root"], chain.attribute_root(slots))
    for vector in load("tags.json"):
        document = (vector["country"], vector["type"], vector["number"])
        tag = chain.identity_tag(bytes.fromhex(vector["key"]), vector["key_version"], *document)
        same("tag", vector["tag"], tag)


def check_wallet():
    text = (VECTORS / "wallet.toml").read_text()
    opened = open_wallet(text, "correct horse battery staple")
    same("key in the wallet", opened["public_key"], public(opened["seed"].hex()))
    encryption = X25519PrivateKey.from_private_bytes(opened["encryption_secret"])
    same("encryption key in the wallet", opened["encryption_key"],
         encryption.public_key().public_bytes_raw())
    key = bytes.fromhex(opened["public_key"])
    same("address in the wallet", opened["address"], address.to_text(address.of(key)))
    for spoiled, passphrase in (
        (text, "another"),
        (text.replace("Ada", "Eve"), "correct horse battery staple"),
    ):
        refused("an altered wallet or another passphrase", open_wallet, spoiled, passphrase)


def check_genesis():
    vectors = load("genesis.json")
    genesis = chain.Genesis((VECTORS / vectors["file"]).read_text())
    same("genesis", vectors["encoded"], genesis.encoded)
    same("chain id", vectors["chain_id"], genesis.chain_id)
    digest = genesis.validators.digest()
    same("first validators", vectors["validator_set_digest"], digest)
    block = vectors["block"]
    header = encode(formats.HEADER, block["header"])
    same("genesis header", block["encoded_header"], header)
    same("genesis header", block["header_digest"], chain.header_digest(header))
    outcome = encode(formats.OUTCOME, block["outcome"])
    same("genesis outcome", block["encoded_outcome"], outcome)
    same("genesis outcome", block["outcome_digest"], chain.outcome_digest(outcome))
    names = chain.header_digest(header), chain.outcome_digest(outcome)
    same("genesis block", block["id"], chain.block_id(*names))
    certificate = chain.genesis_certificate(*names)
    same("genesis certificate", block["encoded_certificate"], encode(formats.CERTIFICATE, certificate))
    same("genesis certificate", block["certificate_digest"], chain.certificate_digest(certificate))
    same("its next validators", block["outcome"]["next_validators"], digest)

    # The whole block from the file alone.
    built = Network(genesis).blocks["main"]
    same("genesis leaves", {leaf["key"]: leaf["value"] for leaf in block["leaves"]},
         {key.hex(): value.hex() for key, value in built["leaves"].items()})
    same("genesis header, built", block["encoded_header"], built["header"])
    same("genesis outcome, built", block["encoded_outcome"], built["outcome"])

    member = tomllib.loads((VECTORS / "member.toml").read_text())
    application = {name: member[name] for name in formats.MEMBER.fields}
    hashed = derive("sign member", encode(formats.MEMBER, application))
    for name in ("vote", "network"):
        key, signature = hexes([member[f"{name}_key"], member[f"{name}_signature"]])
        holds(f"member {name} signature", ed25519.verify(key, hashed, signature))


def check_worked_example():
    """Every longer value of the document's example stands in the vectors."""
    vectors = "".join(file.read_text() for file in sorted(VECTORS.glob("*.json")))
    example = DOCUMENT.read_text().partition("## 16 Worked example")[2]
    values = re.findall(r"\b[0-9a-f]{16,}\b", example)
    holds("there are values", len(values) > 30)
    for value in values:
        holds(f"{value} of the worked example", value in vectors)


if __name__ == "__main__":
    sys.exit(run(globals()))
