#!/usr/bin/env python3
"""Checks the vectors of presentations, packs and signed queries; exit 0 only if every one holds.

Each file is built anew by what docs/formats.md says, from transactions that are executed anew, and
compared leaf by leaf. What a file chooses (nonces, times, seeds) is counted as given. Then each form
with every byte changed: none may be believed.
"""

import sys

from certchain import address, base45, chain, fields, hpke, packs, presentations, queries, sidechain
from certchain.checks import (
    agree, given, holds, load, public, refused, refused_flips, run, same, signer,
)
from certchain.codec import decode, encode
from certchain.formats import HEADER, OUTCOME
from certchain.proofs import prove_history, prove_state

from scene import DEGREE, degree_root, degree_slots, scene

DAY_MS = 86_400_000


# Presentations.


def package_of(vector: dict) -> bytes:
    """The package that the holder makes of the chosen terms."""
    chosen, slots = vector["message"], degree_slots()
    names = [slots[one["index"]][1] for one in vector["shown"]]
    terms = dict(
        chain_id=scene().degree.id,
        certificate=scene().certificate,
        holder=scene().holder,
        verifier=scene().verifier if chosen["verifier"] else b"",
        challenge=bytes.fromhex(chosen["challenge"]),
        nonce=bytes.fromhex(chosen["nonce"]),
        expires_ms=chosen["expires_ms"])
    same("the holder's seed", scene().holder, address.of(public(vector["seed"])))
    return presentations.build(DEGREE, slots, names, terms, signer(vector["seed"]).sign)


def package_document(vector: dict) -> dict:
    package = package_of(vector)
    content = presentations.read(package)
    encoded = content["presentation"]
    return {
        **given(vector, "seed"),
        "encoded": package,
        "encoded_message": encoded,
        "message": {**content["message"],
                    **given(vector["message"], "challenge", "nonce", "expires_ms")},
        "id": presentations.presentation_id(encoded),
        "signing_hash": presentations.signing_hash(encoded),
        "signature": content["signature"],
        "type": content["type"],
        "commitments": content["commitments"],
        "shown": [{**field, **given(one, "index")}
                  for one, field in zip(vector["shown"], content["shown"])],
        "text": presentations.to_text(package),
        "sealed": sealed_document(vector["sealed"], package),
    }


def sealed_document(vector: dict, package: bytes) -> dict:
    secret = bytes.fromhex(vector["recipient_secret"])
    key = scene().identity(scene().verifier)["present"]["encryption_key"]
    same("the verifier's secret", key, hpke.public_key(secret))
    sealed = presentations.seal(package, key, bytes.fromhex(vector["entropy"]))
    text = presentations.SEALED + base45.encode(sealed)
    same("opened", package, presentations.from_text(text, secret))
    return {**given(vector, "entropy", "recipient_secret"), "encoded": sealed,
            "recipient_key": key, "text": text}


def judge(vectors: dict, package: bytes) -> dict:
    """What the verifier of the vectors sees in a package."""
    terms = dict(chain_id=scene().degree.id, certificate=scene().certificate,
                 holder=scene().holder, verifier=scene().verifier)
    return presentations.verify(
        package, scene().network.types[DEGREE], degree_root(),
        scene().identity(scene().holder)["present"]["public_key"], terms, vectors["now_ms"],
        scene().limits["transaction_window_ms"], scene().timers["clock_bound_ms"])


def check_presentations():
    vectors = load("presentations.json")
    agree("presentations", vectors, {
        "now_ms": scene().degree.blocks[3]["header"]["time_ms"],
        "clock_bound_ms": scene().timers["clock_bound_ms"],
        "window_ms": scene().limits["transaction_window_ms"],
        "field_root": degree_root(),
        "holder_key": scene().identity(scene().holder)["present"]["public_key"],
        "verifier": scene().verifier,
        "packages": [package_document(vector) for vector in vectors["packages"]],
    })
    values = {name: value for _, name, value in degree_slots()}
    for vector in vectors["packages"]:
        package = presentations.from_text(vector["text"])
        names = [one["name"] for one in vector["shown"]]
        same("what is shown", {name: values[name] for name in names}, judge(vectors, package))
    _, body = scene().body(DEGREE, 3, 0)
    first = presentations.read(package_of(vectors["packages"][0]))
    same("the one that the chain has checked", (first["presentation"], first["signature"]),
         (body.record_check.presentation, body.record_check.holder_signature))


def check_damaged_presentations():
    vectors = load("presentations.json")
    for number, vector in enumerate(vectors["packages"]):
        # The smallest byte by byte; signatures take long to refuse.
        every = 1 if number == smallest(vectors["packages"]) else 7
        damage_presentation(vectors, f"package {number}", vector, every)


def smallest(vectors: list) -> int:
    return min(range(len(vectors)), key=lambda number: len(vectors[number]["encoded"]))


def damage_presentation(vectors: dict, what: str, vector: dict, every: int):
    encoded, sealed = bytes.fromhex(vector["encoded"]), vector["sealed"]
    secret = bytes.fromhex(sealed["recipient_secret"])
    refused_flips(what, encoded, lambda bad: judge(vectors, bad), every)
    refused_flips(f"{what}, sealed", bytes.fromhex(sealed["encoded"]),
                  lambda bad: presentations.unseal(bad, secret), every)
    refused_flips(f"{what} as a text", vector["text"].encode(),
                  lambda bad: judge(vectors, presentations.from_text(letters(bad))), every)
    refused(f"{what}, opened by another", presentations.from_text, sealed["text"], bytes(32))
    later = {"now_ms": vectors["now_ms"] + DAY_MS}
    refused(f"{what}, a day later", judge, later, encoded)


def letters(text: bytes) -> str:
    """Bytes that are no ASCII are no text of a presentation."""
    return text.decode("ascii")


# Packs.


def leaf(state: dict, key: bytes) -> dict:
    return {"value": state[key], "proof": prove_state(state, key)}


def pack_document(side_height: int, anchored, link) -> dict:
    """The pack of the degree as of a side block, under main block 3, which anchors side block 3."""
    main, side = scene().main, scene().degree
    state, account = main.states[3], chain.identity_key
    return {
        "version": packs.VERSION,
        "main": main.id,
        "side_chain": side.name,
        "certificate": scene().certificate,
        "record": leaf(side.states[side_height], sidechain.certificate_key(scene().certificate)),
        "side_block": side.blocks[side_height],
        "anchored": anchored,
        "side_chain_record": leaf(state, sidechain.side_chain_key(side.id)),
        "anchor": leaf(state, sidechain.anchor_key(side.id, 3)),
        "issuer": leaf(state, account(scene().agency)),
        "holders": [leaf(state, account(scene().holder))],
        "main_block": main.blocks[3],
        "link": link,
    }


def expected_packs() -> list:
    """For each pack: for whom, its fields, and the height of main that the verifier holds."""
    main, side = scene().main, scene().degree
    later = {"block": side.blocks[3], "proof": prove_history(side.names[:3], 2)}
    return [
        ("for who knows main's validators",
         pack_document(3, None, {"Certificate": main.certificates[3]}), None),
        ("for who holds that block of main", pack_document(2, later, "Held"), 3),
        ("for who holds a later block of main",
         pack_document(3, None, {"Later": prove_history(main.names[:4], 3)}), 4),
    ]


def in_words(value):
    """Proofs are named otherwise in the vectors."""
    if isinstance(value, list):
        return [in_words(one) for one in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"branches", "leaf"}:
        end = value["leaf"]
        return {
            "steps": [{"position": step["bit"], "sibling": step["sibling"]}
                      for step in value["branches"]],
            "leaf": end and {"key": end["key"], "value": end["value_hash"]},
        }
    return {name: in_words(one) for name, one in value.items() if name != "version"}


def verify(encoded: bytes, held_height) -> dict:
    """As somebody does who holds a block of main, or else knows main's validators."""
    if held_height is None:
        return packs.verify(encoded, scene().main.id, scene().ledger.validators)
    return packs.verify(encoded, scene().main.id, held=scene().main.blocks[held_height])


def proven_document(vector: dict, verified: dict) -> dict:
    record = dict(verified["record"])
    record["type_name"] = record.pop("type")
    main = scene().main
    return {
        **given(vector, "at_ms"),
        "anchored_height": verified["anchored_height"],
        "certificate": verified["certificate"],
        "chain": scene().network.id(verified["side_chain"]),
        "holder": scene().holder,
        "main_block": main.names[verified["main_height"]],
        "main_height": verified["main_height"],
        "main_time_ms": verified["main_time"],
        "record": record,
        "result": packs.result(verified, scene().holder, vector["at_ms"]),
        "side_chain": verified["side_chain"],
        "side_height": verified["side_height"],
        "side_time_ms": verified["side_time"],
    }


def whole_pack(vector: dict, what: str, pack: dict, held_height) -> dict:
    encoded = encode(packs.PACK, pack)
    held = held_height and scene().main.blocks[held_height]
    return {
        "what": what,
        "main": scene().main.id,
        "encoded": encoded,
        "fields": in_words(pack),
        "held": held and {"encoded_header": encode(HEADER, held["header"]),
                          "encoded_outcome": encode(OUTCOME, held["outcome"])},
        "proves": proven_document(vector["proves"], verify(encoded, held_height)),
    }


def check_packs():
    vectors = load("packs.json")
    agree("packs", vectors, [
        whole_pack(vector, *expected) for vector, expected in zip(vectors, expected_packs())])
    for vector, (what, _, held_height) in zip(vectors, expected_packs()):
        encoded = bytes.fromhex(vector["encoded"])
        holds(what, len(encoded) <= packs.PACK_BYTES)
        pack = decode(packs.PACK, encoded)
        for other in ({"version": 2}, {"side_chain": "health"}, {"holders": []}, {"link": "Held"}):
            if pack | other != pack:
                refused(f"{what}, with {other}", verify, encode(packs.PACK, pack | other),
                        2 if held_height is None else 1)
        refused(f"{what}, by another block", verify, encoded, 2)


def check_damaged_packs():
    vectors = load("packs.json")
    for number, (what, _, held_height) in enumerate(expected_packs()):
        every = 1 if number == smallest(vectors) else 5
        refused_flips(f"the pack {what}", bytes.fromhex(vectors[number]["encoded"]),
                      lambda bad: verify(bad, held_height), every)


# Signed queries.


def query_document(vector: dict, content: bytes) -> dict:
    topic, asker = vector["topic"], address.of(public(vector["seed"]))
    asked = bytes.fromhex(vector["chain"])
    holds("a chain of the network", asked in (scene().main.id, scene().degree.id))
    nonce = bytes.fromhex(vector["nonce"])
    if topic == queries.PUT_CONTENT:
        nonce = fields.content_hash(content)[:16]
    signed = queries.sign(asked, topic, asker, signer(vector["seed"]).sign, nonce, vector["time_ms"])
    return {
        **given(vector, "seed", "topic", "chain", "time_ms"),
        "address": asker,
        "nonce": nonce,
        "signing_hash": queries.signing_hash(asked, topic, asker, vector["time_ms"], nonce),
        "signature": signed["signature"],
        "encoded_message": queries.encode(signed),
    }


def check_queries():
    vectors = load("queries.json")
    content = bytes.fromhex(vectors["content"]["bytes"])
    agree("queries", vectors, {
        "content": {**given(vectors["content"], "bytes"), "hash": fields.content_hash(content)},
        "queries": [query_document(vector, content) for vector in vectors["queries"]],
    })
    topics = {vector["topic"] for vector in vectors["queries"]}
    same("topics", sorted(topics), list(range(queries.HELD, queries.PUT_CONTENT + 1)))


def check_damaged_queries():
    for number, vector in enumerate(load("queries.json")["queries"]):
        key, encoded = public(vector["seed"]), bytes.fromhex(vector["encoded_message"])
        asked = bytes.fromhex(vector["chain"])
        refused_flips(f"query {number}", encoded, lambda bad: queries.verify(bad, asked, key),
                      every=7 if number else 1)
        refused(f"query {number} for another chain", queries.verify, encoded, bytes(32), key)


if __name__ == "__main__":
    sys.exit(run(globals()))
