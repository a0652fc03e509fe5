"""The small network of the vectors, executed anew from its genesis file and its transactions.

`side_chains.json` gives the transactions, the times, the checkpoints' heights and who signs; every
state, receipt, header and certificate is computed here.
"""

from functools import cache

from certchain import chain, fields, sidechain
from certchain.checks import VECTORS, hexes, load, signer
from certchain.codec import decode, encode
from certchain.formats import HISTORY_PROOF, IDENTITY_RECORD
from certchain.ledger import Ledger
from certchain.messages import schema
from certchain.proofs import prove_history

# The validators' seeds, one byte repeated, in their places (formats.md, 16).
VALIDATOR_SEEDS = [bytes([number]) * 32 for number in range(1, 5)]
DEGREE = "degree"


class Scene:
    def __init__(self):
        genesis = chain.Genesis((VECTORS / "genesis.toml").read_text())
        self.network = sidechain.Network(genesis)
        self.message = schema(load("transactions.json")["schema"])
        self.ledger = Ledger(self.network, self.message, [signer(s) for s in VALIDATOR_SEEDS])
        self.main, self.degree = self.ledger.main, self.ledger.chains[DEGREE]
        self.timers, self.limits = genesis.content["timers"], genesis.content["limits"]
        self.blocks = {}
        # A block may stand on those of the other chain that are older.
        for vector in sorted(load("side_chains.json")["blocks"], key=time_of):
            block = self.append(vector)
            self.blocks[vector["chain"], block["header"]["height"]] = block

    def append(self, vector: dict) -> dict:
        given = vector["fields"]
        checkpoint = given["header"]["checkpoint"]
        places = [one["validator"] for one in given["commit_certificate"]["signatures"]]
        return self.ledger.append(
            vector["chain"], hexes(given["transactions"]), given["header"]["time_ms"],
            checkpoint and checkpoint["height"], places)

    def body(self, name: str, height: int, place: int):
        """A transaction of a block, as bytes and as a message."""
        envelope = self.blocks[name, height]["transactions"][place]
        encoded = self.message("SignedTransaction").FromString(envelope).body
        return encoded, self.message("TransactionBody").FromString(encoded)

    def identity(self, account: bytes) -> dict:
        return decode(IDENTITY_RECORD, self.main.state[chain.identity_key(account)])

    def subject(self, name: str, height: int, place: int) -> bytes:
        return self.ledger.chains[name].receipts[height][place]["subject"]

    @property
    def agency(self) -> bytes:
        return self.body(DEGREE, 1, 0)[1].issue_certificate.issuer

    @property
    def holder(self) -> bytes:
        return self.subject("main", 2, 0)

    @property
    def verifier(self) -> bytes:
        return self.subject("main", 2, 1)

    @property
    def certificate(self) -> bytes:
        return self.subject(DEGREE, 1, 0)


def time_of(vector: dict) -> int:
    return vector["fields"]["header"]["time_ms"]


@cache
def scene() -> Scene:
    return Scene()


def slots_of(vector: dict) -> list:
    """The slots of chosen values and salts, named as the catalogue does."""
    known = scene().network.types[vector["type"]]
    names = [definition["name"] for definition in known["fields"]]
    values = dict(zip(names, (slot["value"] for slot in vector["slots"])))
    return fields.make(known, values, hexes(slot["salt"] for slot in vector["slots"]))


@cache
def degree_slots() -> list:
    """Of the certificate that the blocks issue."""
    return slots_of(load("certificates.json")["fields"][0])


def degree_root() -> bytes:
    return fields.root(DEGREE, fields.commitments(degree_slots()))


@cache
def anchor_parts():
    """The sealed header of side block 3, and the proof that the first block is in its history."""
    proof = prove_history(scene().degree.names[:3], 0)
    return sidechain.sealed_header(scene().blocks[DEGREE, 3]), proof, encode(HISTORY_PROOF, proof)
