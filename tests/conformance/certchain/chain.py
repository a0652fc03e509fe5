"""Chains: genesis, block names, certificates, transaction names, state keys (formats.md, 5 to 10)."""

import tomllib
import unicodedata

from . import address, ed25519
from .codec import decode, encode
from .formats import (
    CERTIFICATE,
    COMMIT_VOTE,
    GENESIS,
    HEADER,
    IDENTITY_RECORD,
    OUTCOME,
    PARAMETERS,
    RECEIPT,
    REGISTRARS,
    RULES,
    MEMBERS,
    TYPES,
    VALIDATOR_SET,
)
from .hashing import derive, keyed
from .proofs import history_root, merkle_root, state_root


class Genesis:
    """What a network's nodes agree on before the first block."""

    def __init__(self, text: str):
        content = tomllib.loads(text)
        content.setdefault("catalogue", [])
        for entry in content["catalogue"]:
            entry.setdefault("validity_days", None)
        self.content = content
        self.encoded = encode(GENESIS, content)
        self.chain_id = derive("chain-id main", self.encoded)
        members = content["validators"]
        self.validators = ValidatorSet(
            0, [(bytes.fromhex(m["vote_key"]), bytes.fromhex(m["network_key"])) for m in members]
        )


class ValidatorSet:
    def __init__(self, epoch, members):
        self.epoch, self.members = epoch, members
        for vote_key, _ in members:
            if not ed25519.is_public_key(vote_key):
                raise ValueError("a vote key is not one")

    def encode(self) -> bytes:
        members = [{"vote_key": vote, "network_key": network} for vote, network in self.members]
        return encode(VALIDATOR_SET, {"epoch": self.epoch, "validators": members})

    def digest(self) -> bytes:
        return derive("validator-set", self.encode())

    def quorum(self) -> int:
        count = len(self.members)
        faulty = (count - 1) // 3
        return (count + faulty + 2) // 2


def header_digest(encoded: bytes) -> bytes:
    return derive("header", encoded)


def outcome_digest(encoded: bytes) -> bytes:
    return derive("outcome", encoded)


def block_id(header: bytes, outcome: bytes) -> bytes:
    return derive("block-id", header, outcome)


def certificate_digest(certificate: dict) -> bytes:
    return derive("commit-certificate", encode(CERTIFICATE, certificate))


def commit_hash(chain_id: bytes, certificate: dict) -> bytes:
    """What each signer of a certificate has signed."""
    names = ("epoch", "height", "view", "header", "outcome")
    vote = {"chain": chain_id, **{name: certificate[name] for name in names}}
    return derive("sign commit", encode(COMMIT_VOTE, vote))


def check_certificate(chain_id: bytes, validators: ValidatorSet, certificate: dict):
    """Raises unless a quorum of the validators signed it."""
    signatures = certificate["signatures"]
    signers = [item["validator"] for item in signatures]
    if certificate["epoch"] != validators.epoch:
        raise ValueError("the certificate is of another epoch")
    if signers != sorted(set(signers)) or any(i >= len(validators.members) for i in signers):
        raise ValueError("signers are not strictly rising members")
    if len(signers) < validators.quorum():
        raise ValueError("too few signers")
    message = commit_hash(chain_id, certificate)
    for item in signatures:
        if not ed25519.verify(validators.members[item["validator"]][0], message, item["signature"]):
            raise ValueError(f"signature of validator {item['validator']} does not hold")


def digests(block: dict):
    """Of a block's header and outcome."""
    header = header_digest(encode(HEADER, block["header"]))
    return header, outcome_digest(encode(OUTCOME, block["outcome"]))


def check_decided(chain_id: bytes, validators: ValidatorSet, block: dict, certificate: dict):
    """Raises unless the certificate decides the block."""
    header = block["header"]
    if (certificate["header"], certificate["outcome"]) != digests(block):
        raise ValueError("the commit certificate is for another block")
    if certificate["height"] != header["height"] or certificate["view"] < header["view"]:
        raise ValueError("the commit certificate is for another height or an earlier view")
    if header["epoch"] != certificate["epoch"]:
        raise ValueError("the commit certificate is of another epoch")
    check_certificate(chain_id, validators, certificate)


def genesis_certificate(header: bytes, outcome: bytes) -> dict:
    """The certificate of a genesis block: nobody signs it."""
    return dict(epoch=0, height=0, view=0, header=header, outcome=outcome, signatures=[])


def header_of(encoded: bytes) -> dict:
    return decode(HEADER, encoded)


def outcome_of(encoded: bytes) -> dict:
    return decode(OUTCOME, encoded)


# Transactions.


def transaction_id(body: bytes) -> bytes:
    return derive("transaction-id", body)


def signing_hash(body: bytes) -> bytes:
    return derive("sign transaction", body)


def signatures_hash(signatures) -> bytes:
    """Of pairs (public key, signature)."""
    return derive("transaction-signatures", *(part for pair in signatures for part in pair))


def witness_id(body: bytes, signatures) -> bytes:
    return derive("witness-id", transaction_id(body), signatures_hash(signatures))


def receipt_hash(receipt: dict) -> bytes:
    return derive("receipt", encode(RECEIPT, receipt))


# Keys of the main chain's state.


def identity_key(address: bytes) -> bytes:
    return b"\x01" + address


def tag_key(tag: bytes) -> bytes:
    return b"\x02" + tag


def past_key(address: bytes, sequence: int) -> bytes:
    return b"\x03" + address + sequence.to_bytes(4, "big")


def organisation_key(code: str) -> bytes:
    return b"\x04" + derive("organisation code", code.encode())


def rotated_key(first_address: bytes) -> bytes:
    return b"\x05" + first_address


PARAMETERS_KEY = b"\x06"
VALIDATORS_KEY = b"\x07"


def recovery_key(account: bytes) -> bytes:
    return b"\x0c" + account


def restart_key(epoch: int, validator: int) -> bytes:
    return b"\x08" + epoch.to_bytes(8, "big") + validator.to_bytes(2, "big")


RULES_KEY = b"\x30"
REGISTRARS_KEY = b"\x35"
TYPES_KEY = b"\x36"
MEMBERS_KEY = b"\x37"


def proposal_key(proposal: bytes) -> bytes:
    return b"\x31" + proposal


def open_key(vote_key: bytes) -> bytes:
    return b"\x32" + vote_key


def due_key(height: int) -> bytes:
    return b"\x33" + height.to_bytes(8, "big")


def offers_key(agency: bytes) -> bytes:
    return b"\x34" + agency


# The genesis block, which every node computes from the genesis.


def genesis_leaves(genesis: Genesis) -> dict:
    content = genesis.content
    leaves = {
        PARAMETERS_KEY: encode(PARAMETERS, {name: content[name] for name in PARAMETERS.fields}),
        VALIDATORS_KEY: genesis.validators.encode(),
        RULES_KEY: encode(RULES, {"rules": content["governance"]}),
        REGISTRARS_KEY: encode(REGISTRARS, {
            "addresses": [address.of(bytes.fromhex(account["public_key"]))
                          for account in content["registrars"]],
        }),
        TYPES_KEY: encode(TYPES, {
            "names": sorted({entry["name"] for entry in content.get("catalogue", [])}),
        }),
        MEMBERS_KEY: encode(MEMBERS, {
            "members": [{"name": one["name"], "organisation_code": one["organisation_code"],
                         "signed": 0} for one in content["validators"]],
            "observers": [],
        }),
    }
    accounts = [("Registrar", account) for account in content["registrars"]]
    accounts += [("Agency", account) for account in content["agencies"]]
    for kind, account in accounts:
        key = bytes.fromhex(account["public_key"])
        record = {
            "kind": kind,
            "registered_height": 0,
            "registered_time": content["time_ms"],
            "agency": bytes(32),
            "registrar": bytes(32),
            "organisation_code": account["organisation_code"],
            "attribute_root": bytes(32),
            "tag": bytes(32),
            "tag_key_version": 0,
            "may_issue": account.get("may_issue", []),
            "present": {
                "sequence": 0,
                "from_height": 0,
                "from_time": content["time_ms"],
                "public_key": key,
                "encryption_key": account["encryption_key"],
                "status": "Active",
                "devices": [],
                "reason": 0,
            },
        }
        leaves[identity_key(address.of(key))] = encode(IDENTITY_RECORD, record)
        leaves[organisation_key(account["organisation_code"])] = address.of(key)
    return leaves


def genesis_block(genesis: Genesis, more: dict) -> dict:
    """Main's first block; `more` are the leaves that name the side chains."""
    return first_block(genesis, genesis.chain_id, {**genesis_leaves(genesis), **more})


def first_block(genesis: Genesis, chain_id: bytes, leaves: dict) -> dict:
    """A chain's block at height 0, with these leaves as its state."""
    header = {
        "protocol": 1,
        "chain": chain_id,
        "epoch": 0,
        "height": 0,
        "view": 0,
        "proposer": 0,
        "offset": 0,
        "parent": bytes(32),
        "parent_commit": bytes(32),
        "parent_view": 0,
        "time_ms": genesis.content["time_ms"],
        "tx_root": merkle_root([]),
        "tx_count": 0,
        "history_root": history_root([]),
        "checkpoint": None,
    }
    outcome = {
        "state_root": state_root(leaves),
        "receipts_root": merkle_root([]),
        "next_validators": genesis.validators.digest(),
    }
    header, outcome = encode(HEADER, header), encode(OUTCOME, outcome)
    name = block_id(header_digest(header), outcome_digest(outcome))
    return {"leaves": leaves, "header": header, "outcome": outcome, "id": name}


# People.


def field_commitment(salt: bytes, name: str, value: str) -> bytes:
    name, value = name.encode(), value.encode()
    lengths = len(name).to_bytes(2, "little"), len(value).to_bytes(4, "little")
    return derive("field commitment", salt, lengths[0], name, lengths[1], value)


def attribute_root(slots) -> bytes:
    """Of 16 triples (salt, name, value)."""
    if len(slots) != 16:
        raise ValueError("an identity has 16 slots")
    return derive("attribute root", *(field_commitment(*slot) for slot in slots))


def identity_tag(key: bytes, version: int, country: str, kind: str, number: str) -> bytes:
    number = unicodedata.normalize("NFKC", number)
    number = "".join(c for c in number if not c.isspace() and c not in "-./").upper()
    parts = b""
    for part in (country.strip().upper(), kind.strip().lower(), number):
        part = part.encode("ascii")
        parts += bytes([len(part)]) + part
    return keyed(key, b"certchain v1 identity tag", version.to_bytes(4, "little"), parts)
