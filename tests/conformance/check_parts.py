#!/usr/bin/env python3
"""Checks, without a network, what check_vectors.py has no vectors of: HPKE, Base45, fields,
presentations, packages, side chains, packs. Exit 0 only if all holds.

The pinned digests are those that the Rust workspace pins in its own tests of the same inputs.
"""

import json
import os
import random
import sys
from pathlib import Path

import blake3

from certchain import (
    address, base45, chain, checks, fields, hpke, packs, presentations, queries, sidechain,
)
from certchain.checks import refused, run, same
from certchain.codec import decode, encode
from certchain.formats import HEADER, IDENTITY_RECORD
from certchain.hashing import derive
from certchain.proofs import history_root, merkle_root, prove_history, prove_state, state_root

RECORDING = Path(__file__).resolve().parent / "recording"


def signer(seed: int):
    seed = bytes([seed]) * 32
    return checks.signer(seed), checks.public(seed)


def check_hpke():
    # RFC 9180, A.2.1.
    known = {name: bytes.fromhex(value) for name, value in {
        "info": "4f6465206f6e2061204772656369616e2055726e",
        "ikmE": "909a9b35d3dc4713a5e72a4da274b55d3d3821a37e5d099e74a647db583a904b",
        "pkEm": "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a",
        "skEm": "f4ec9b33b792c372c1d2c2063507b684ef925b8c75a42dbcbf57d63ccd381600",
        "ikmR": "1ac01f181fdf9f352797655161c58b75c656a6cc2716dcb66372da835542e1df",
        "pkRm": "4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a",
        "skRm": "8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb",
        "shared": "0bbe78490412b4bbea4812666f7916932b828bba79942424abb65244930d69a7",
        "key": "ad2744de8e17f4ebba575b3f5f5a8fa1f69c2a07f6e7500bc60ca6e3e3ec1c91",
        "nonce": "5c4d98150661b848853b547f",
        "pt": "4265617574792069732074727574682c20747275746820626561757479",
        "aad": "436f756e742d30",
        "ct": "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db"
              "21993c62ce81883d2dd1b51a28",
    }.items()}
    same("ephemeral pair", (known["skEm"], known["pkEm"]), hpke.key_pair(known["ikmE"]))
    same("recipient's pair", (known["skRm"], known["pkRm"]), hpke.key_pair(known["ikmR"]))
    dh = hpke._exchange(known["skEm"], known["pkRm"])
    shared = hpke.shared_secret(dh, known["pkEm"], known["pkRm"])
    same("shared secret", known["shared"], shared)
    same("key and nonce", (known["key"], known["nonce"]), hpke.schedule(shared, known["info"]))
    sealed = hpke.seal(known["pkRm"], known["info"], known["aad"], known["pt"], known["ikmE"])
    same("sealed", (known["pkEm"], known["ct"]), sealed)
    same("opened", known["pt"],
         hpke.unseal(known["skRm"], sealed[0], known["info"], known["aad"], sealed[1]))
    for what, arguments in {
        "another key": (known["skEm"], sealed[0], known["info"], known["aad"], sealed[1]),
        "other info": (known["skRm"], sealed[0], b"", known["aad"], sealed[1]),
        "other associated data": (known["skRm"], sealed[0], known["info"], b"", sealed[1]),
        "a changed ciphertext": (known["skRm"], sealed[0], known["info"], known["aad"],
                                 sealed[1][:-1] + b"\0"),
        "a key of small order": (known["skRm"], bytes(32), known["info"], known["aad"], sealed[1]),
    }.items():
        refused(what, hpke.unseal, *arguments)


def check_base45():
    # RFC 9285, 4.3 and 4.4.
    for data, text in ((b"AB", "BB8"), (b"Hello!!", "%69 VD92EX0"), (b"base-45", "UJCLQE7W581"),
                       (b"ietf!", "QED8WEX0"), (b"", "")):
        same(text, text, base45.encode(data))
        same(text, data, base45.decode(text))
    for text in ("GGW", "A", "BB8B", "bb8", "::", ":::"):
        refused(f"'{text}'", base45.decode, text)
    for length in range(64):
        data = os.urandom(length)
        same("base45", data, base45.decode(base45.encode(data)))


PROPERTY = {
    "chain": "property",
    "name": "property",
    "title": "Title deed",
    "validity_days": None,
    "fields": [
        dict(name=name, title="Title", kind=kind, max_bytes=most, required=required)
        for name, kind, most, required in (
            ("parcel", "text", 64, True),
            ("area", "number", 20, True),
            ("owner", "address", 64, True),
            ("ends", "date", 10, False),
            ("note", "text", 4096, False),
        )
    ],
}
VALUES = {
    "parcel": "浦东-0042",
    "area": "120",
    "owner": address.to_text(b"\7" * 32),
    "ends": "2090-02-28",
}


def slots():
    return fields.make(PROPERTY, VALUES, [bytes([n]) * 32 for n in range(1, 6)])


def check_fields():
    root = fields.root("property", fields.commitments(slots()))
    same("field root", "0754d82c09375f298fffae929f9e838074ecc09fbc162b7aeba65c08a140c9e5", root)
    plain = fields.to_plaintext("property", slots())
    same("plaintext", slots() == fields.from_plaintext(PROPERTY, plain), True)
    for name, value in (
        ("area", ""), ("area", "012"), ("area", "-1"), ("area", "1" * 21), ("area", "²"),
        ("parcel", "x" * 65), ("parcel", "e\u0301"), ("owner", VALUES["owner"].upper()),
        ("owner", "cc1"), ("ends", "2090-02-29"), ("ends", "2090-2-1"), ("ends", "20900201"),
        ("colour", "red"),
    ):
        refused(f"{name} = {value[:20]}", fields.make, PROPERTY, {**VALUES, name: value})
    secret, public = hpke.key_pair(b"\5" * 32)
    scope = (b"\1" * 32, b"\2" * 32)
    encapsulated, ciphertext = fields.seal(*scope, 0, public, plain)
    same("unsealed", plain, fields.unseal(secret, *scope, 0, encapsulated, ciphertext))
    refused("another version", fields.unseal, secret, *scope, 1, encapsulated, ciphertext)
    refused("another chain", fields.unseal, secret, scope[1], scope[1], 0, encapsulated, ciphertext)


NOW = 1_800_000_000_000


def package(names=("ends", "parcel"), **other):
    key, holder = signer(1)
    terms = {
        "chain_id": b"\5" * 32,
        "certificate": b"\6" * 32,
        "holder": address.of(holder),
        "verifier": address.of(signer(2)[1]),
        "challenge": b"\3" * 32,
        "nonce": b"\4" * 16,
        "expires_ms": NOW + 30_000,
        **other,
    }
    return presentations.build("property", slots(), names, terms, key.sign)


def judge(encoded, **other):
    _, holder = signer(1)
    terms = {
        "chain_id": b"\5" * 32,
        "certificate": b"\6" * 32,
        "holder": address.of(holder),
        "verifier": address.of(signer(2)[1]),
        **other,
    }
    root = fields.root("property", fields.commitments(slots()))
    return presentations.verify(encoded, PROPERTY, root, holder, terms, NOW, 3_600_000, 1_000)


def check_presentations():
    encoded = package()
    message = presentations.read(encoded)["presentation"]
    same("bytes of a package", 625, len(encoded))
    same("presentation", "795513f972c5de8173788eb844508fd19cd8153cc8079bf5d4cf0695bf09461f",
         blake3.blake3(message).digest())
    same("package", "24384273c984ab1a6f06a24fb16a1e653b19b47a913f8117630ddca15eac6e4d",
         blake3.blake3(encoded).digest())
    recipient = bytes.fromhex("4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a")
    sealed = presentations.seal(encoded, recipient, b"\x08" * 32)
    same("sealed package", "aa5d77858eb2983181964f10a291695259fa5b79bf2553ef7d6ee75b8b49e4d1",
         blake3.blake3(sealed).digest())
    same("shown", {"parcel": "浦东-0042", "ends": "2090-02-28"}, judge(encoded))
    same("nothing shown", {}, judge(package(())))
    same("that a field is left out", {"note": ""}, judge(package(("note",))))
    same("text", encoded, presentations.from_text(presentations.to_text(encoded)))
    secret, public = hpke.key_pair(b"\x09" * 32)
    text = presentations.to_sealed_text(encoded, public)
    same("sealed text", encoded, presentations.from_text(text, secret))
    refused("without the secret", presentations.from_text, text)
    refused("another verifier's secret", presentations.from_text, text, b"\1" * 32)
    refused("a foreign text", presentations.from_text, "https://example.org/")
    refused("a later release's text", presentations.from_text, "CC3:BB8")
    refused("an expired one", judge, package(expires_ms=NOW))
    refused("one that ends too late", judge, package(expires_ms=NOW + 3_601_001))
    same("a bearer's", 1, len(judge(package(("area",), verifier=b"", expires_ms=NOW + 61_000))))
    refused("a bearer's that ends too late", judge, package(verifier=b"", expires_ms=NOW + 61_001))
    for name in ("chain_id", "certificate", "holder", "verifier"):
        refused(f"another {name}", judge, encoded, **{name: bytes(32)})
    refused("padding in the message", presentations.decode_message, message + b"\x3a\0")
    refused("a field twice", presentations.decode_message, message + message)
    refused("an unknown field", presentations.decode_message, message + b"\x48\1")
    mutations(encoded, judge, 1000)


def mutations(good, accept, count):
    """Changes one byte at a time; nothing changed may be accepted."""
    accept(good)
    chosen = random.Random(7)
    for _ in range(count):
        spoiled = bytearray(good)
        place = chosen.randrange(len(good))
        spoiled[place] ^= chosen.randrange(1, 256)
        refused(f"byte {place} changed", accept, bytes(spoiled))
    for end in (0, 1, len(good) // 2, len(good) - 1):
        refused("bytes that end early", accept, good[:end])
    refused("bytes left over", accept, good + b"\0")


# A small network: four validators, a side chain, one certificate, built here from the documents.


def state_proof(leaves, key):
    return {"value": leaves[key], "proof": prove_state(leaves, key)}


def block(chain_id, height, leaves, history, validators, checkpoint=None):
    header = dict(
        protocol=1, chain=chain_id, epoch=0, height=height, view=0, proposer=0, offset=0,
        parent=history[-1], parent_commit=bytes(32), parent_view=0, time_ms=NOW + height,
        tx_root=merkle_root([]), tx_count=0, history_root=history_root(history),
        checkpoint=checkpoint)
    outcome = dict(state_root=state_root(leaves), receipts_root=merkle_root([]),
                   next_validators=validators.digest())
    return {"header": header, "outcome": outcome}


class World:
    def __init__(self, status="Active", frozen=None):
        keys = [signer(seed) for seed in range(1, 5)]
        self.validators = chain.ValidatorSet(0, [(key, key) for _, key in keys])
        self.main = b"\x11" * 32
        self.holder, self.issuer = address.of(signer(5)[1]), address.of(signer(6)[1])
        creation = dict(height=0, time=NOW, epoch=0, validators=self.validators.digest())
        self.side = sidechain.side_chain_id(self.main, "degree", creation)
        self.certificate = b"\x22" * 32
        record = dict(
            type="degree", issuer=self.issuer, serial=1,
            holders=[dict(address=self.holder, accepted=NOW)], field_root=b"\x33" * 32, claim=None,
            issued_height=1, issued_time=NOW, transaction=bytes(32), line=0, valid_from=NOW,
            valid_until=NOW + 1000, version=0, status=status, status_height=1, status_time=NOW,
            reason=0)
        side_leaves = {
            sidechain.certificate_key(self.certificate): encode(sidechain.CERTIFICATE, record),
            sidechain.serials_key(self.issuer, "degree"): (1).to_bytes(8, "big"),
            chain.VALIDATORS_KEY: self.validators.encode(),
        }
        genesis = bytes([9]) * 32
        at = dict(height=1, block=b"\x44" * 32, state_root=b"\x55" * 32)
        self.side_block = block(self.side, 1, side_leaves, [genesis], self.validators, at)
        history = [genesis, packs.block_id(self.side_block)]
        self.anchored = block(self.side, 2, side_leaves, history, self.validators, at)
        known = dict(name="degree", creation=creation, genesis=genesis, epoch=0, newest=0, last_anchor=2,
                     frozen=frozen)
        anchor = dict(height=2, block=packs.block_id(self.anchored), epoch=0, time=NOW,
                      state_root=self.anchored["outcome"]["state_root"], checkpoint=at,
                      main_height=2)
        leaves = {
            chain.VALIDATORS_KEY: self.validators.encode(),
            sidechain.side_chain_key(self.side): encode(sidechain.SIDE_CHAIN, known),
            sidechain.anchor_key(self.side, 2): encode(sidechain.ANCHOR, anchor),
            chain.identity_key(self.holder): self.identity("Citizen", 5),
            chain.identity_key(self.issuer): self.identity("Agency", 6),
        }
        self.main_block = block(self.main, 2, leaves, [genesis, b"\x66" * 32], self.validators)
        history = [genesis, b"\x66" * 32, packs.block_id(self.main_block)]
        self.later = block(self.main, 3, leaves, history, self.validators)
        names = packs.digests(self.main_block)
        commit = dict(epoch=0, height=2, view=1, header=names[0], outcome=names[1], signatures=[])
        hashed = chain.commit_hash(self.main, commit)
        commit["signatures"] = [
            dict(validator=place, signature=keys[place][0].sign(hashed)) for place in (0, 2, 3)]
        self.commit = commit
        self.pack = dict(
            version=1, main=self.main, side_chain="degree", certificate=self.certificate,
            record=state_proof(side_leaves, sidechain.certificate_key(self.certificate)),
            side_block=self.side_block,
            anchored=dict(block=self.anchored, proof=prove_history(
                [genesis, packs.block_id(self.side_block)], 1)),
            side_chain_record=state_proof(leaves, sidechain.side_chain_key(self.side)),
            anchor=state_proof(leaves, sidechain.anchor_key(self.side, 2)),
            issuer=state_proof(leaves, chain.identity_key(self.issuer)),
            holders=[state_proof(leaves, chain.identity_key(self.holder))],
            main_block=self.main_block, link={"Certificate": commit})
        self.held = prove_history(history, 2)

    def identity(self, kind, seed):
        return encode(IDENTITY_RECORD, dict(
            kind=kind, registered_height=0, registered_time=NOW, agency=bytes(32),
            registrar=bytes(32), organisation_code="", attribute_root=bytes(32), tag=bytes(32),
            tag_key_version=0, may_issue=[], present=dict(
                sequence=0, from_height=0, from_time=NOW, public_key=signer(seed)[1],
                encryption_key=b"\7" * 32, status="Active", reason=0, devices=[])))

    def encode(self, **other):
        return encode(packs.PACK, {**self.pack, **other})

    def by_validators(self, encoded):
        return packs.verify(encoded, self.main, self.validators)


def check_packs():
    world = World()
    encoded = world.encode()
    verified = world.by_validators(encoded)
    same("record", "degree", verified["record"]["type"])
    for moment, expected in ((NOW, "Valid"), (NOW - 1, "NotYetValid"), (NOW + 1000, "Expired")):
        same("result", expected, packs.result(verified, world.holder, moment))
    revoked = World("Revoked")
    verified = revoked.by_validators(revoked.encode())
    same("result", "Revoked", packs.result(verified, revoked.holder, NOW))
    packs.verify(world.encode(link="Held"), world.main, held=world.main_block)
    packs.verify(world.encode(link={"Later": world.held}), world.main, held=world.later)
    refused("a certificate and no validators", packs.verify, encoded, world.main)
    refused("another block held", packs.verify, world.encode(link="Held"), world.main,
            held=world.later)
    refused("another main chain", packs.verify, encoded, bytes(32), world.validators)
    others = chain.ValidatorSet(0, [(signer(s)[1], signer(s)[1]) for s in range(11, 15)])
    refused("other validators", packs.verify, encoded, world.main, others)
    frozen = dict(main_height=1, height=2, first=bytes(32), second=bytes(32))
    refused("a frozen chain", world.by_validators, World(frozen=frozen).encode())
    above = World(frozen={**frozen, "height": 3})
    above.by_validators(above.encode())
    refused("a block that is not anchored", world.by_validators, world.encode(anchored=None))
    refused("another name", world.by_validators, world.encode(side_chain="health"))
    refused("no holders", world.by_validators, world.encode(holders=[]))
    few = {**world.commit, "signatures": world.commit["signatures"][:2]}
    refused("too few signers", world.by_validators, world.encode(link={"Certificate": few}))
    mutations(encoded, world.by_validators, 1000)


def check_queries():
    key, public = signer(3)
    signed = queries.sign(b"\1" * 32, queries.INBOX, address.of(public), key.sign)
    hashed = derive("sign query", b"\1" * 32 + b"\5" + signed["address"]
                    + signed["time_ms"].to_bytes(8, "little") + signed["nonce"])
    key.public_key().verify(signed["signature"], hashed)
    same("length of a nonce", 16, len(signed["nonce"]))


def check_recording():
    """What nodes of a development network computed: ids, first blocks, packs."""
    recording = json.loads((RECORDING / "recording.json").read_text())
    genesis = chain.Genesis((RECORDING / "genesis.toml").read_text())
    network = sidechain.Network(genesis)
    for name, expected in recording["chains"].items():
        same(f"id of {name}", expected, network.id(name))
        header = decode(HEADER, network.blocks[name]["header"])
        same(f"chain of the first block of {name}", expected, header["chain"])
    for name, expected in recording["first_blocks"].items():
        same(f"first block of {name}", expected, network.blocks[name]["id"])
    holder = address.from_text(recording["holder"])

    def verify(encoded):
        return packs.verify(encoded, network.main, genesis.validators)

    for expected, pack in recording["packs"].items():
        encoded = bytes.fromhex(pack)
        verified = verify(encoded)
        same("certificate", recording["certificate"], verified["certificate"])
        result = packs.result(verified, holder, verified["main_time"])
        same("result of a recorded pack", expected, result)
        mutations(encoded, verify, 1000)


if __name__ == "__main__":
    sys.exit(run(globals()))
