"""A node over gRPC, known by reflection alone: no generated code."""

import grpc
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from . import chain
from .codec import decode
from .formats import CERTIFICATE, HEADER, OUTCOME, RECEIPT
from .proofs import check_history, check_merkle, check_state, value_hash

PACKAGE = "certchain.v1."
DEADLINE = 30


class Refused(Exception):
    """The node refused: its stable code and its sentence."""

    def __init__(self, error: grpc.RpcError):
        metadata = dict(error.trailing_metadata() or ())
        self.code = metadata.get("certchain-code", "")
        self.status = error.code()
        super().__init__(f"{self.code or self.status.name}: {error.details()}")


class Node:
    def __init__(self, target: str):
        self.channel = grpc.insecure_channel(target)
        grpc.channel_ready_future(self.channel).result(timeout=DEADLINE)
        database = ProtoReflectionDescriptorDatabase(self.channel)
        self.services = sorted(database.get_services())
        self.pool = descriptor_pool.DescriptorPool(database)
        self.methods = {}
        for name in self.services:
            if name.startswith(PACKAGE):
                for method in self.pool.FindServiceByName(name).methods:
                    self.methods[method.name] = (name, method)

    def message(self, name: str):
        """The class of a message."""
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(PACKAGE + name))

    def call(self, name: str, **fields):
        """Calls a method with the fields of its request; raises Refused."""
        service, method = self.methods[name]
        request = message_factory.GetMessageClass(method.input_type)(**fields)
        stub = self.channel.unary_unary(f"/{service}/{name}", **_codec(method))
        try:
            return stub(request, timeout=DEADLINE)
        except grpc.RpcError as error:
            raise Refused(error) from error

    def submit_bytes(self, chain_name: str, envelope: bytes):
        """Submits bytes that may be no transaction; raises Refused."""
        service, method = self.methods["Submit"]
        # Fields 1, chain, and 2, transaction, of SubmitRequest.
        request = b"\x0a" + bytes([len(chain_name)]) + chain_name.encode()
        length = len(envelope)
        request += b"\x12" + bytes([length & 0x7F | 0x80, length >> 7]) + envelope
        stub = self.channel.unary_unary(
            f"/{service}/Submit", **{**_codec(method), "request_serializer": bytes})
        try:
            return stub(request, timeout=DEADLINE)
        except grpc.RpcError as error:
            raise Refused(error) from error

    def stream(self, name: str, **fields):
        """The answers of a method that streams them; raises Refused. Ends after DEADLINE."""
        service, method = self.methods[name]
        request = message_factory.GetMessageClass(method.input_type)(**fields)
        stub = self.channel.unary_stream(f"/{service}/{name}", **_codec(method))
        answers = stub(request, timeout=DEADLINE)
        try:
            yield from answers
        except grpc.RpcError as error:
            raise Refused(error) from error
        finally:
            answers.cancel()


def _codec(method):
    return dict(
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
    )


class Block:
    """A block that the validators of the genesis decided; trusts only the encoded bytes.

    `chain_id` is left out for main. `first` is the id of the chain's first block, which nobody
    signed: it follows from the genesis file.
    """

    def __init__(self, genesis: chain.Genesis, message, chain_id: bytes = None,
                 first: bytes = None):
        chain_id = chain_id or genesis.chain_id
        self.header = decode(HEADER, message.encoded_header)
        self.outcome = decode(OUTCOME, message.encoded_outcome)
        certificate = decode(CERTIFICATE, message.encoded_certificate)
        header = chain.header_digest(message.encoded_header)
        outcome = chain.outcome_digest(message.encoded_outcome)
        self.id = chain.block_id(header, outcome)
        if self.header["chain"] != chain_id:
            raise ValueError("the block is of another chain")
        if (certificate["header"], certificate["outcome"]) != (header, outcome):
            raise ValueError("the certificate is for another block")
        if certificate["height"] != self.header["height"]:
            raise ValueError("the certificate is for another height")
        if certificate["view"] < self.header["view"]:
            raise ValueError("the certificate is of a view before the block's")
        if (certificate["epoch"], self.header["epoch"]) != (0, 0):
            raise ValueError("this client knows the validators of genesis only")
        if self.id != first:
            chain.check_certificate(chain_id, genesis.validators, certificate)
        if message.block_id != self.id or message.height != self.header["height"]:
            raise ValueError("the node's words contradict its proofs")

    @property
    def height(self) -> int:
        return self.header["height"]

    def prove_state(self, key: bytes, proof):
        """The value hash that a StateProof message shows under a key; None: absent."""
        branches = [(branch.bit, branch.sibling) for branch in proof.branches]
        leaf = (proof.leaf_key, proof.leaf_value_hash) if proof.leaf_key else None
        return check_state(self.outcome["state_root"], key, branches, leaf)

    def prove_value(self, key: bytes, value: bytes, proof):
        """Raises unless the state holds this value under the key."""
        if self.prove_state(key, proof) != value_hash(value):
            raise ValueError("the value is not the proven one")

    def prove_transaction(self, answer):
        """Raises unless a GetTransactionResponse's transaction and receipt stand in this block."""
        one, other = answer.transaction_proof, answer.receipt_proof
        if (one.index, one.count) != (other.index, other.count) or one.count != self.header["tx_count"]:
            raise ValueError("transaction and receipt are proven for different places")
        pairs = [(s.public_key, s.signature) for s in answer.transaction.signatures]
        witness = chain.witness_id(answer.transaction.body, pairs)
        root = self.header["tx_root"]
        if not check_merkle(root, witness, one.index, one.count, one.siblings):
            raise ValueError("the transaction is not in the block")
        receipt = decode(RECEIPT, answer.receipt.encoded_receipt)
        root = self.outcome["receipts_root"]
        if not check_merkle(root, chain.receipt_hash(receipt), other.index, other.count, other.siblings):
            raise ValueError("the receipt is not in the block")
        if receipt["transaction"] != chain.transaction_id(answer.transaction.body):
            raise ValueError("the receipt is for another transaction")
        return receipt

    def prove_earlier(self, block_id: bytes, proof):
        """Raises unless a HistoryProof message shows the block in this one's history."""
        path = (proof.height, proof.size, proof.siblings, proof.peaks)
        if proof.size != self.height:
            raise ValueError("the history proof is of another size than the block's history")
        if not check_history(self.header["history_root"], block_id, *path):
            raise ValueError("the block is not in the history")
