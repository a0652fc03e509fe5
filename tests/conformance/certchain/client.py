"""A client of a network: builds, signs and submits transactions, and believes only what is proven."""

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from . import address, chain, hpke, queries
from .codec import decode
from .formats import IDENTITY_RECORD
from .rpc import Block, Node
from .sidechain import Network
from .wallet import open_wallet


class Party:
    """An account's keys; without an encryption secret it can sign, not read."""

    def __init__(self, seed: bytes, encryption_secret: bytes = None):
        self.key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self.key.public_key().public_bytes_raw()
        self.address = address.of(self.public)
        self.secret = encryption_secret
        self.encryption_key = encryption_secret and hpke.public_key(encryption_secret)
        self.sign = self.key.sign

    @classmethod
    def new(cls):
        return cls(os.urandom(32), hpke.key_pair(os.urandom(32))[0])

    @classmethod
    def of_devnet(cls, account: dict):
        """Of an entry of devnet.json, whose wallet never rotated its keys."""
        passphrase = Path(account["passphrase_file"]).read_text().splitlines()[0]
        opened = open_wallet(Path(account["key_file"]).read_text(), passphrase)
        party = cls(opened["seed"], opened["encryption_secret"])
        if opened["address"] != address.to_text(party.address):
            raise ValueError("the wallet's keys are not those of its address")
        return party

    def query(self, chain_id: bytes, topic: int, **more) -> dict:
        """A QueryAuthorisation's fields."""
        return queries.sign(chain_id, topic, self.address, self.sign, **more)


class Client:
    def __init__(self, node: Node, network: Network):
        self.node, self.network = node, network

    def call(self, method: str, **fields):
        return self.node.call(method, **fields)

    def block(self, name: str, message) -> Block:
        """A block of the named chain, decided by its validators."""
        first = self.network.blocks[name]["id"]
        return Block(self.network.genesis, message, self.network.id(name), first)

    def now(self, name: str):
        """Block time, and how much longer a transaction may ask for.

        A side chain without transactions makes no blocks for up to an hour; main's go on.
        """
        side, main = self.call("GetStatus", chain=name), self.call("GetStatus")
        return max(side.time_ms, main.time_ms), side.transaction_window_ms

    def transaction(self, name: str, kind: str, message: dict, *signers: Party):
        """A transaction of the named chain, signed by all signers, and its id."""
        now, window = self.now(name)
        body = self.node.message("TransactionBody")(
            chain_id=self.network.id(name),
            nonce=os.urandom(16),
            valid_until_ms=now + window,
            **{kind: message},
        ).SerializeToString(deterministic=True)
        hashed = chain.signing_hash(body)
        signed = [dict(public_key=one.public, signature=one.sign(hashed)) for one in signers]
        return dict(body=body, signatures=signed), chain.transaction_id(body)

    def submit(self, name: str, kind: str, message: dict, *signers: Party):
        """Submits, waits, and gives the proven receipt with its block."""
        transaction, expected = self.transaction(name, kind, message, *signers)
        self.call("Submit", chain=name, transaction=transaction, wait=True)
        return self.proven_transaction(name, expected, transaction["body"])

    def proven_transaction(self, name: str, transaction_id: bytes, body: bytes):
        """The proven receipt of a decided transaction, and its block."""
        answer = self.call("GetTransaction", chain=name, transaction_id=transaction_id,
                           with_proof=True)
        if answer.transaction.body != body:
            raise ValueError("the node answers with another transaction")
        block = self.block(name, answer.block)
        receipt = block.prove_transaction(answer)
        if receipt["code"] != 0:
            raise ValueError(f"the transaction was refused with code {receipt['code']}")
        return receipt, block

    def proven_value(self, name: str, evidence, key: bytes, kind):
        """The record of a StateEvidence message, and the block that proves it."""
        block = self.block(name, evidence.block)
        if evidence.key != key:
            raise ValueError("the node proves another key")
        block.prove_value(key, evidence.value, evidence.proof)
        return decode(kind, evidence.value), block

    def identity(self, account: bytes) -> dict:
        """An account's present record, proven."""
        evidence = self.call("GetIdentity", address=account, with_proof=True).evidence
        return self.proven_value("main", evidence, chain.identity_key(account), IDENTITY_RECORD)[0]
