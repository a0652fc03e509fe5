"""Side chains: ids, first blocks, checkpoints, records of both states (formats.md, 14)."""

from . import chain
from .codec import U16, U32, U64, Bool, Enum, List, Option, Struct, Text, Versioned, decode, encode
from .fields import type_key
from .formats import (
    CERTIFICATE_TYPE,
    CHECKPOINT,
    HASH,
    HISTORY_PROOF,
    PARAMETERS,
    SEALED_HEADER,
    VALIDATOR_SET,
)
from .hashing import derive
from .proofs import check_history, merkle_root

NAMES = ["marriage", "property", "degree", "business", "health"]

# Main's records.

CREATION = Struct(height=U64, time=U64, epoch=U64, validators=HASH)
FREEZE = Struct(main_height=U64, height=U64, first=HASH, second=HASH)
SIDE_CHAIN = Versioned(1, Struct(
    name=Text(),
    creation=CREATION,
    genesis=HASH,
    epoch=U64,
    newest=U64,
    last_anchor=U64,
    frozen=Option(FREEZE),
))
SIDE_CHAINS = Versioned(1, Struct(chains=List(HASH)))
SIDE_CHAINS_KEY = b"\x0d"
ACTIVATION = Versioned(1, Struct(validators=VALIDATOR_SET, activation=U64))
ANCHOR = Versioned(1, Struct(
    height=U64,
    block=HASH,
    epoch=U64,
    time=U64,
    state_root=HASH,
    checkpoint=CHECKPOINT,
    main_height=U64,
))

# A side chain's records.

STATUS = Enum(Issued=None, Active=None, Declined=None, Revoked=None)
CERTIFICATE = Versioned(1, Struct(
    type=Text(),
    issuer=HASH,
    serial=U64,
    holders=List(Struct(address=HASH, accepted=Option(U64))),
    field_root=HASH,
    claim=Option(HASH),
    issued_height=U64,
    issued_time=U64,
    transaction=HASH,
    line=U32,
    valid_from=U64,
    valid_until=Option(U64),
    version=U32,
    status=STATUS,
    status_height=U64,
    status_time=U64,
    reason=U16,
))
RESULTS = ["Valid", "NotAccepted", "Declined", "Revoked", "Expired", "NotYetValid",
           "HolderNotActive", "IssuerRevoked"]
CHECK = Versioned(1, Struct(
    certificate=HASH,
    holder=HASH,
    verifier=HASH,
    bearer=Bool(),
    purpose=U16,
    disclosed=HASH,
    result=Enum(**{name: None for name in RESULTS}),
    height=U64,
    time=U64,
))


def side_chain_key(side: bytes) -> bytes:
    return b"\x09" + side


def activation_key(side: bytes, epoch: int) -> bytes:
    return b"\x0a" + side + epoch.to_bytes(8, "big")


def anchor_key(side: bytes, height: int) -> bytes:
    return b"\x0b" + side + height.to_bytes(8, "big")


def certificate_key(certificate: bytes) -> bytes:
    return b"\x20" + certificate


def serials_key(issuer: bytes, type_name: str) -> bytes:
    return b"\x21" + issuer + type_key(type_name)


def claim_key(claim: bytes) -> bytes:
    return b"\x22" + derive("claim key", claim)


def check_key(presentation: bytes) -> bytes:
    return b"\x23" + presentation


def type_state_key(type_name: str) -> bytes:
    return b"\x24" + type_key(type_name)


def certificate_id(side: bytes, issuer: bytes, type_name: str, root: bytes, nonce: bytes) -> bytes:
    return derive("certificate-id", side, issuer, type_key(type_name), root, nonce)


def lines_root(lines) -> bytes:
    """The subject of a batch's receipt; of pairs (code, certificate)."""
    return merkle_root(
        [derive("receipt line", code.to_bytes(2, "little"), name) for code, name in lines])


def side_chain_id(main: bytes, name: str, creation: dict) -> bytes:
    name = name.encode()
    return derive("chain-id side", main, len(name).to_bytes(8, "little"), name,
                  encode(CREATION, creation))


def sealed_header(block: dict) -> bytes:
    """What an anchor carries of a sealed block."""
    return encode(SEALED_HEADER, {name: block[name] for name in SEALED_HEADER.fields})


def check_anchor(side: bytes, validators, last_height: int, last: bytes, sealed: bytes,
                 proof: bytes) -> dict:
    """What main records of an anchor but for its own height; raises unless it may.

    `last` is the last anchored block's name, or that of the side chain's first block.
    """
    block, path = decode(SEALED_HEADER, sealed), decode(HISTORY_PROOF, proof)
    header = block["header"]
    if header["chain"] != side or header["height"] <= last_height:
        raise ValueError("the block is of another chain, or not above the last anchored one")
    if (path["height"], path["size"]) != (last_height, header["height"]):
        raise ValueError("the history proof is of another place")
    if not check_history(header["history_root"], last, last_height, path["size"],
                         path["siblings"], path["peaks"]):
        raise ValueError("the last anchored block is not in the history")
    chain.check_decided(side, validators, block, block["commit_certificate"])
    return dict(height=header["height"], block=chain.block_id(*chain.digests(block)),
                epoch=header["epoch"], time=header["time_ms"],
                state_root=block["outcome"]["state_root"], checkpoint=header["checkpoint"])


class Network:
    """Main and the side chains as the genesis file alone gives them."""

    def __init__(self, genesis: chain.Genesis):
        self.genesis, self.main = genesis, genesis.chain_id
        content = genesis.content
        self.types = {entry["name"]: entry for entry in content["catalogue"]}
        creation = {
            "height": 0,
            "time": content["time_ms"],
            "epoch": 0,
            "validators": genesis.validators.digest(),
        }
        self.sides = {name: side_chain_id(self.main, name, creation) for name in NAMES}
        self.blocks, leaves = {}, {}
        for name, side in self.sides.items():
            self.blocks[name] = chain.first_block(genesis, side, self.side_leaves(name))
            record = {
                "name": name,
                "creation": creation,
                "genesis": self.blocks[name]["id"],
                "epoch": 0,
                "newest": 0,
                "last_anchor": 0,
                "frozen": None,
            }
            leaves[side_chain_key(side)] = encode(SIDE_CHAIN, record)
            validators = decode(VALIDATOR_SET, genesis.validators.encode())
            leaves[activation_key(side, 0)] = encode(
                ACTIVATION, {"validators": validators, "activation": 0})
        leaves[SIDE_CHAINS_KEY] = encode(SIDE_CHAINS, {"chains": list(self.sides.values())})
        self.blocks["main"] = chain.genesis_block(genesis, leaves)

    def side_leaves(self, name: str) -> dict:
        content = self.genesis.content
        timers = {**content["timers"], "heartbeat_ms": content["timers"]["side_heartbeat_ms"]}
        parameters = {**{field: content[field] for field in PARAMETERS.fields}, "timers": timers}
        leaves = {
            chain.PARAMETERS_KEY: encode(PARAMETERS, parameters),
            chain.VALIDATORS_KEY: self.genesis.validators.encode(),
        }
        for entry in content["catalogue"]:
            if entry["chain"] == name:
                leaves[type_state_key(entry["name"])] = encode(CERTIFICATE_TYPE, entry)
        return leaves

    def id(self, name: str) -> bytes:
        return self.sides.get(name, self.main)


def judge(record: dict, time: int, holder: str, issuer: str) -> str:
    """What a check finds at a time, given the status of the holder who shows it and the issuer."""
    if record["status"] != "Active":
        return "NotAccepted" if record["status"] == "Issued" else record["status"]
    if record["valid_until"] is not None and time >= record["valid_until"]:
        return "Expired"
    if time < record["valid_from"]:
        return "NotYetValid"
    if holder != "Active":
        return "HolderNotActive"
    return "IssuerRevoked" if issuer == "Revoked" else "Valid"
