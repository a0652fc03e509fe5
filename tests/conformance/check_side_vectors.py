#!/usr/bin/env python3
"""Checks the vectors of side chains and certificates; exit 0 only if every one holds.

Each file is built anew by what docs/formats.md says, from transactions that are executed anew, and
compared leaf by leaf. What a file chooses (salts, nonces, times) is counted as given. Then anchors
with a changed byte: none may be taken.
"""

import sys

from certchain import chain, fields, hpke, sidechain
from certchain.checks import (
    Given, agree, given, load, refused_flips, run, same, structure,
)
from certchain.codec import decode, encode
from certchain.formats import CERTIFICATE, RECEIPT, SEALED_BLOCK
from certchain.hashing import derive
from certchain.messages import canonical, fill
from certchain.proofs import value_hash

from scene import DEGREE, anchor_parts, degree_root, degree_slots, scene, slots_of

MEDIA_TYPE = "application/vnd.certchain.fields"


# Side chains.


def first_block(network, name: str) -> dict:
    block = network.blocks[name]
    names = chain.header_digest(block["header"]), chain.outcome_digest(block["outcome"])
    return {
        "encoded_certificate": encode(CERTIFICATE, chain.genesis_certificate(*names)),
        "encoded_header": block["header"],
        "encoded_outcome": block["outcome"],
        "id": chain.block_id(*names),
        "leaves": [{"key": key, "value": value} for key, value in sorted(block["leaves"].items())],
    }


def block_document(vector: dict) -> dict:
    """A block as computed; what it chooses is that of the vector."""
    chosen = vector["fields"]
    block = scene().blocks[vector["chain"], chosen["header"]["height"]]
    document = {
        **block,
        "header": {**block["header"], **given(chosen["header"], "time_ms")},
        "transactions": Given(chosen["transactions"]),
        "commit_certificate": {**block["commit_certificate"], "signatures": [
            {**computed, **given(one, "validator")} for one, computed in zip(
                chosen["commit_certificate"]["signatures"],
                block["commit_certificate"]["signatures"])]},
    }
    if chosen["header"]["checkpoint"]:
        document["header"]["checkpoint"] = {
            **block["header"]["checkpoint"], **given(chosen["header"]["checkpoint"], "height")}
    return {
        **given(vector, "chain"),
        "encoded": encode(SEALED_BLOCK, block),
        "fields": document,
        "id": chain.block_id(*chain.digests(block)),
    }


def record_document(kind: str, key: bytes, encoded: bytes, content) -> dict:
    return {"encoded": encoded, "fields": content, "key": key, "record": kind,
            "value_hash": value_hash(encoded)}


def proven_record(kind: str, key: bytes, leaves: dict) -> dict:
    """A record that stands in a state that was computed."""
    content = decode(RECORDS[kind], leaves[key])
    if kind == "certificate":
        content["type_name"] = content.pop("type")
    return record_document(kind, key, leaves[key], content)


def chosen_record(kind: str, key: bytes, vector: dict) -> dict:
    """A record with values that the vector chooses."""
    content = dict(vector["fields"])
    if kind == "certificate":
        content["type"] = content.pop("type_name")
    encoded = structure(kind, RECORDS[kind], {**vector, "fields": content})
    return record_document(kind, key, encoded, Given(vector["fields"]))


RECORDS = {
    "side_chain": sidechain.SIDE_CHAIN,
    "activation": sidechain.ACTIVATION,
    "anchor": sidechain.ANCHOR,
    "certificate": sidechain.CERTIFICATE,
    "check": sidechain.CHECK,
}


def main_records(vectors: list) -> list:
    main, side = scene().main, scene().degree.id
    known, first = sidechain.side_chain_key(side), main.states[0]
    return [
        proven_record("side_chain", known, first),
        proven_record("side_chain", known, main.states[3]),
        chosen_record("side_chain", known, vectors[2]),
        proven_record("activation", sidechain.activation_key(side, 0), first),
        chosen_record("activation", sidechain.activation_key(side, 258), vectors[4]),
        proven_record("anchor", sidechain.anchor_key(side, 3), main.states[3]),
    ]


def check_side_chains():
    vectors, network = load("side_chains.json"), scene().network
    first = decode(sidechain.SIDE_CHAIN,
                   scene().main.states[0][sidechain.side_chain_key(scene().degree.id)])
    sealed, proof, encoded_proof = anchor_parts()
    for vector in vectors["blocks"]:
        structure("sealed block", SEALED_BLOCK, vector)
    agree("side_chains", vectors, {
        "main": network.main,
        "creation": {"fields": first["creation"],
                     "encoded": encode(sidechain.CREATION, first["creation"])},
        "chains": [{"name": name, "id": network.sides[name], "block": first_block(network, name)}
                   for name in sidechain.NAMES],
        "blocks": [block_document(vector) for vector in vectors["blocks"]],
        "records": main_records(vectors["records"]),
        "anchor": {"encoded_history_proof": encoded_proof, "encoded_sealed_header": sealed,
                   "history_proof": proof, "proves": scene().degree.names[0]},
    })


def check_transactions():
    """What the blocks' transactions say is what the other vectors hold, in canonical form."""
    for block in scene().blocks.values():
        for envelope in block["transactions"]:
            message = scene().message
            same("envelope", envelope, canonical(message("SignedTransaction"), envelope))
            body = message("SignedTransaction").FromString(envelope).body
            same("body", body, canonical(message("TransactionBody"), body))
    first = load("transactions.json")["transactions"][0]
    same("first registration", first["encoded"], scene().blocks["main", 1]["transactions"][0])
    _, body = scene().body("main", 3, 0)
    sealed, _, proof = anchor_parts()
    same("anchor", (scene().degree.id, sealed, proof),
         (body.submit_anchor.chain_id, body.submit_anchor.sealed_header,
          body.submit_anchor.history_proof))
    _, body = scene().body(DEGREE, 1, 0)
    draft = body.issue_certificate.certificate
    same("draft", draft_of(draft.nonce, draft.valid_until_ms), draft.SerializeToString())
    _, body = scene().body(DEGREE, 2, 0)
    same("acceptance", (scene().certificate, scene().holder),
         (body.accept_certificate.certificate, body.accept_certificate.holder))
    _, body = scene().body(DEGREE, 3, 1)
    good = body.issue_batch.certificates[0]
    same("draft of a line", draft_of(good.nonce, good.valid_until_ms), good.SerializeToString())


def draft_of(nonce: bytes, valid_until_ms: int) -> bytes:
    """The draft of the degree, as its issuer writes it."""
    draft = scene().message("CertificateDraft")(
        type=DEGREE, holders=[scene().holder], field_root=degree_root(), nonce=nonce,
        valid_until_ms=valid_until_ms)
    draft.encrypted.add().ParseFromString(
        ciphertext_document(load("certificates.json")["ciphertexts"][0])["encoded_message"])
    return draft.SerializeToString(deterministic=True)


# Certificates.


def fields_document(vector: dict) -> dict:
    kind, slots = vector["type"], slots_of(vector)
    committed = fields.commitments(slots)
    plain = fields.to_plaintext(kind, slots)
    same("slots", slots, fields.from_plaintext(scene().network.types[kind], plain))
    return {
        **given(vector, "type"),
        "encoded_plaintext": plain,
        "root": fields.root(kind, committed),
        "slots": [{**given(one, "salt", "value"), "name": name, "commitment": commitment}
                  for one, (_, name, _), commitment in zip(vector["slots"], slots, committed)],
    }


def ciphertext_document(vector: dict, chosen_plaintext=False) -> dict:
    side, name = scene().degree.id, scene().certificate
    plain = fields.to_plaintext(DEGREE, degree_slots())
    if chosen_plaintext:
        plain = bytes.fromhex(vector["plaintext"])
    secret, version = bytes.fromhex(vector["recipient_secret"]), vector["version"]
    recipient = hpke.public_key(secret)
    encapsulated, ciphertext = fields.seal(
        side, name, version, recipient, plain, bytes.fromhex(vector["entropy"]))
    same("opened", plain, fields.unseal(secret, side, name, version, encapsulated, ciphertext))
    return {
        **given(vector, "entropy", "recipient_secret", "version"),
        "certificate": name,
        "chain": side,
        "ciphertext": ciphertext,
        "content_hash": fields.content_hash(ciphertext),
        "encapsulated_key": encapsulated,
        "encoded_message": encrypted_message(recipient, encapsulated, ciphertext),
        "plaintext": Given(vector["plaintext"]) if chosen_plaintext else plain,
        "recipient_key": recipient,
    }


def encrypted_message(recipient, encapsulated, ciphertext) -> bytes:
    """EncryptedFields, with the ciphertext or, if that is too long, its name."""
    content = {"ciphertext": ciphertext}
    if len(ciphertext) > fields.INLINE_BYTES:
        content = {"reference": {"hash": fields.content_hash(ciphertext), "size": len(ciphertext),
                                 "media_type": MEDIA_TYPE}}
    message = scene().message("EncryptedFields")()
    fill(message, {"recipient_key": recipient, "encapsulated_key": encapsulated, **content})
    return message.SerializeToString(deterministic=True)


def claims_document(vectors: list) -> list:
    spouse, parcel = scene().subject("main", 1, 0), vectors[1]["parcel"]
    claim = fields.property_claim(parcel)
    return [
        {"type": "marriage", "holder": spouse, "claim": spouse,
         "key": sidechain.claim_key(spouse)},
        {"type": "title", **given(vectors[1], "parcel"), "claim": claim,
         "key": sidechain.claim_key(claim)},
    ]


def batch_document() -> dict:
    receipt = scene().degree.receipts[3][1]
    lines = scene().ledger.lines[receipt["transaction"]]
    names = scene().ledger.codes.values_by_number
    return {
        "encoded_receipt": encode(RECEIPT, receipt),
        "root": receipt["subject"],
        "lines": [{
            "code": code,
            "code_name": names[code].name,
            "certificate": name,
            "line": code.to_bytes(2, "little") + name,
            "hash": derive("receipt line", code.to_bytes(2, "little") + name),
        } for code, name in lines],
    }


def certificate_id_document(vector: dict) -> dict:
    side, issuer, root = scene().degree.id, scene().agency, degree_root()
    nonce = scene().body(DEGREE, 1, 0)[1].issue_certificate.certificate.nonce
    return {"chain": side, "issuer": issuer, "type": DEGREE, "field_root": root, "nonce": nonce,
            "id": sidechain.certificate_id(side, issuer, DEGREE, root, nonce)}


def side_records(vectors: list) -> list:
    states, name = scene().degree.states, scene().certificate
    key, checked = sidechain.certificate_key(name), scene().subject(DEGREE, 3, 0)
    return [
        proven_record("certificate", key, states[1]),
        proven_record("certificate", key, states[2]),
        chosen_record("certificate", sidechain.certificate_key(b"\x93" * 32), vectors[2]),
        proven_record("check", sidechain.check_key(checked), states[3]),
        chosen_record("check", sidechain.check_key(b"\x94" * 32), vectors[4]),
    ]


def check_certificates():
    vectors, issuer = load("certificates.json"), scene().agency
    serials = sidechain.serials_key(issuer, DEGREE)
    sealed = vectors["ciphertexts"]
    agree("certificates", vectors, {
        "fields": [fields_document(vector) for vector in vectors["fields"]],
        "certificate_id": certificate_id_document(vectors["certificate_id"]),
        "ciphertexts": [ciphertext_document(sealed[0]), ciphertext_document(sealed[1], True)],
        "claims": claims_document(vectors["claims"]),
        "keys": {
            "issuer": issuer,
            "certificate": sidechain.certificate_key(scene().certificate),
            "check": sidechain.check_key(scene().subject(DEGREE, 3, 0)),
            "serials_degree": serials,
            "serials_degree_value": scene().degree.states[3][serials],
            "type_degree": sidechain.type_state_key(DEGREE),
        },
        "records": side_records(vectors["records"]),
        "type_keys": [{**given(vector, "type"), "key": fields.type_key(vector["type"])}
                      for vector in vectors["type_keys"]],
        "batch": batch_document(),
    })


def check_damaged_anchors():
    side, first = scene().degree.id, scene().degree.names[0]
    sealed, _, proof = anchor_parts()
    validators = scene().ledger.validators
    refused_flips("the sealed header of an anchor", sealed, lambda bad: sidechain.check_anchor(
        side, validators, 0, first, bad, proof))
    refused_flips("the history proof of an anchor", proof, lambda bad: sidechain.check_anchor(
        side, validators, 0, first, sealed, bad))


if __name__ == "__main__":
    sys.exit(run(globals()))
