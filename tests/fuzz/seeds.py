#!/usr/bin/env python3
"""Cuts the seeds of the decoders from the golden vectors: `tests/fuzz/seeds.py` writes corpus/.

Needs nothing but Python. Seeds of `step` are not written here: they are inputs that the fuzzer found
and `cargo fuzz cmin` kept.
"""

import json
import pathlib

HERE = pathlib.Path(__file__).resolve().parent
VECTORS = HERE.parent / "vectors"


def load(name):
    return json.loads((VECTORS / f"{name}.json").read_text())


def encodings(value, path=""):
    """Every `encoded...` of a vector file, with where it stands."""
    if isinstance(value, dict):
        for name, part in value.items():
            if isinstance(part, str) and name.startswith("encoded"):
                yield f"{path}-{name}".strip("-"), bytes.fromhex(part)
            else:
                yield from encodings(part, f"{path}-{name}")
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from encodings(part, f"{path}-{place}")


def write(target, name, data):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name.replace("encoded_", "").removesuffix("-encoded")).write_bytes(data)


def every(target, file, keep=lambda name: True):
    for name, data in encodings(load(file)):
        if keep(name):
            write(target, f"{file}-{name}", data)


def number(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def message(*fields):
    """A protobuf message of (number, value) fields; zeros and empty ones are left out."""
    out = b""
    for place, value in fields:
        if isinstance(value, int):
            out += number(place << 3) + number(value) if value else b""
        elif value:
            out += number(place << 3 | 2) + number(len(value)) + value
    return out


def main():
    every("transactions", "transactions", lambda name: not name.startswith("refused"))
    refused = load("transactions")["refused"]
    for place, entry in enumerate(refused):
        if 0 < len(entry["encoded"]) <= 1000:
            write("transactions", f"refused-{place}", bytes.fromhex(entry["encoded"]))
    every("transactions", "queries", lambda name: name.startswith("queries-0"))

    every("consensus", "blocks")
    every("consensus", "consensus")

    every("ledger", "records")
    every("ledger", "governance")
    every("ledger", "receipts")
    every("ledger", "side_chains", lambda name: name.startswith(("records", "creation", "anchor")))
    every("ledger", "certificates", lambda name: name.startswith("batch"))
    answers()

    every("sidechain", "certificates", lambda name: not name.startswith("batch"))
    every("sidechain", "presentations")
    every("sidechain", "packs", lambda name: name == "0-encoded")
    for place, package in enumerate(load("presentations")["packages"]):
        write("sidechain", f"text-{place}", package["text"].encode())
        write("sidechain", f"text-sealed-{place}", package["sealed"]["text"].encode())

    write("configuration", "genesis", bytes.fromhex(load("genesis")["encoded"]))
    for name in ["genesis.toml", "member.toml"]:
        write("configuration", name, (VECTORS / name).read_bytes())
    write("configuration", "node.toml", NODE.encode())

    keys = load("keys")
    taken = next(entry for entry in keys["encryption_keys"] if entry["taken"])
    account = ACCOUNT.format(**keys["keys"][0], **taken)
    write("configuration", "account.toml", account.encode())

    for place, entry in enumerate(keys["keys"][:3]):
        write("keys", f"address-{place}", bytes.fromhex(entry["address"]))
        write("keys", f"address-text-{place}", entry["address_text"].encode())
        write("keys", f"public-key-{place}", bytes.fromhex(entry["public_key"]))
        write("keys", f"public-key-text-{place}", entry["public_key"].encode())
    for place, entry in enumerate(load("ed25519_edge_cases")):
        # As `item` in fuzz_targets/keys.rs cuts it: way, seed, place, with; then what is checked.
        parts = [bytes.fromhex(entry[name]) for name in ("message", "public_key", "signature")]
        write("keys", f"edge-{place}", bytes([5, 0, 0, 0]) + b"".join(parts))
    write("keys", "right-twisted-damaged", bytes([0, 1, 0, 0, 2, 1, 3, 0, 6, 2, 5, 9, 3, 3, 1, 0]))


def answers():
    """Protobuf messages around the proofs of a pack."""
    pack = load("packs")[0]["fields"]
    leaf = pack["record"]
    proof = message(
        *[
            (1, message((1, step["position"]), (2, bytes.fromhex(step["sibling"]))))
            for step in leaf["proof"]["steps"]
        ],
        (2, bytes.fromhex(leaf["proof"]["leaf"]["key"])),
        (3, bytes.fromhex(leaf["proof"]["leaf"]["value"])),
    )
    write("ledger", "answer-state-proof", proof)
    siblings = [bytes([place]) * 32 for place in range(1, 4)]
    merkle = message((1, 2), (2, 5), *[(3, sibling) for sibling in siblings])
    write("ledger", "answer-merkle-proof", merkle)
    history = message((1, 3), (2, 6), (3, siblings[0]), (3, siblings[1]), (4, siblings[2]))
    write("ledger", "answer-history-proof", history)
    part = load("genesis")["block"]
    block = message(
        (14, bytes.fromhex(part["encoded_header"])),
        (15, bytes.fromhex(part["encoded_outcome"])),
        (16, bytes.fromhex(part["encoded_certificate"])),
    )
    write("ledger", "answer-block", block)
    key, value = bytes.fromhex(leaf["proof"]["leaf"]["key"]), bytes.fromhex(leaf["value"])
    write("ledger", "answer-state", message((1, key), (2, value), (3, proof), (4, block)))
    write("ledger", "answer-history", message((1, siblings[0]), (2, history), (3, block)))
    receipt = bytes.fromhex(load("receipts")[0]["encoded"])
    write("ledger", "answer-receipt", message((7, receipt)))


NODE = """\
name = "education"
data_dir = "data"
genesis = "genesis.toml"
listen = "/ip4/0.0.0.0/tcp/7000"
grpc = "127.0.0.1:7100"
metrics = "127.0.0.1:7200"
chains = ["main", "degree"]

[keys]
vote_key = "vote.key"
network_key = "network.key"

[log]
filter = "info"
format = "json"

[[peers]]
name = "health"
network_key = "ca93ac1705187071d67b83c7ff0efe8108e8ec4530575d7726879333dbdabe7c"
address = "/ip4/127.0.0.1/tcp/7001"
"""

ACCOUNT = """\
name = "Office"
kind = "agency"
organisation_code = "CODE-1"
address = "{address_text}"
public_key = "{public_key}"
encryption_key = "{encryption_key}"
"""


if __name__ == "__main__":
    main()
