"""Packs: what proves a certificate to a verifier without a network (formats.md, 15)."""

from . import chain, sidechain
from .chain import digests
from .codec import U8, U16, Bytes, Enum, List, Malformed, Option, Struct, Text, decode
from .formats import CERTIFICATE, HASH, HEADER, HISTORY_PROOF, IDENTITY_RECORD, OUTCOME
from .proofs import check_history, check_state, value_hash

PACK_BYTES = 256 * 1024
VERSION = 1

STATE_PROOF = Struct(
    branches=List(Struct(bit=U16, sibling=HASH)),
    leaf=Option(Struct(key=Bytes(), value_hash=HASH)),
)
LEAF = Struct(value=Bytes(), proof=STATE_PROOF)
BLOCK = Struct(header=HEADER, outcome=OUTCOME)
PACK = Struct(
    version=U8,
    main=HASH,
    side_chain=Text(),
    certificate=HASH,
    record=LEAF,
    side_block=BLOCK,
    anchored=Option(Struct(block=BLOCK, proof=HISTORY_PROOF)),
    side_chain_record=LEAF,
    anchor=LEAF,
    issuer=LEAF,
    holders=List(LEAF),
    main_block=BLOCK,
    link=Enum(Certificate=CERTIFICATE, Held=None, Later=HISTORY_PROOF),
)


def block_id(block: dict) -> bytes:
    return chain.block_id(*digests(block))


def proven(block: dict, key: bytes, leaf: dict) -> bytes:
    """The leaf's value; raises unless it stands under the key after the block."""
    proof = leaf["proof"]
    branches = [(step["bit"], step["sibling"]) for step in proof["branches"]]
    end = proof["leaf"] and (proof["leaf"]["key"], proof["leaf"]["value_hash"])
    shown = check_state(block["outcome"]["state_root"], key, branches, end)
    if shown != value_hash(leaf["value"]):
        raise ValueError("a value is not the proven one")
    return leaf["value"]


def in_history(later: dict, proof: dict, earlier: dict):
    """Raises unless the earlier block stands in the later one's history."""
    header, path = later["header"], (proof["size"], proof["siblings"], proof["peaks"])
    if (proof["height"], proof["size"]) != (earlier["header"]["height"], header["height"]):
        raise ValueError("a history proof is of another place")
    if not check_history(header["history_root"], block_id(earlier), proof["height"], *path):
        raise ValueError("a block is not in the history")


def check_link(pack: dict, main: bytes, validators, held):
    """Raises unless the verifier must believe the pack's block of main."""
    block = pack["main_block"]
    (kind, content), = ({pack["link"]: None} if pack["link"] == "Held" else pack["link"]).items()
    if kind == "Certificate":
        if validators is None:
            raise ValueError("main's validators are needed")
        height = block["header"]["height"]
        if held and held["header"]["height"] == height and block_id(held) != block_id(block):
            raise ValueError("it contradicts the block that the verifier holds")
        chain.check_decided(main, validators, block, content)
    elif held is None:
        raise ValueError("a block of main is needed")
    elif kind == "Held":
        if block_id(held) != block_id(block):
            raise ValueError("the pack's block of main is another one")
    else:
        in_history(held, content, block)


def verify(encoded: bytes, main: bytes, validators=None, held=None) -> dict:
    """What the pack proves to a verifier who knows main's validators, or holds a block of main.

    Signatures come last, since they cost most: nothing is believed before the end.
    """
    if len(encoded) > PACK_BYTES:
        raise Malformed("a pack has at most 256 KiB")
    pack = decode(PACK, encoded)
    if pack["version"] != VERSION:
        raise Malformed("a pack of another version")
    main_block, side_block = pack["main_block"], pack["side_block"]
    if (pack["main"], main_block["header"]["chain"]) != (main, main):
        raise ValueError("the pack is of another main chain")

    side = side_block["header"]["chain"]
    known = decode(sidechain.SIDE_CHAIN,
                   proven(main_block, sidechain.side_chain_key(side), pack["side_chain_record"]))
    if known["name"] != pack["side_chain"]:
        raise ValueError("the side chain has another name")
    if sidechain.side_chain_id(main, known["name"], known["creation"]) != side:
        raise ValueError("the side chain has another id")

    anchored = pack["anchored"]["block"] if pack["anchored"] else side_block
    height = anchored["header"]["height"]
    if anchored["header"]["chain"] != side:
        raise ValueError("the anchored block is of another chain")
    anchor = decode(sidechain.ANCHOR,
                    proven(main_block, sidechain.anchor_key(side, height), pack["anchor"]))
    if anchor["block"] != block_id(anchored):
        raise ValueError("main has anchored another block")
    if pack["anchored"]:
        in_history(anchored, pack["anchored"]["proof"], side_block)
    if known["frozen"] and known["frozen"]["height"] <= height:
        raise ValueError("the side chain is frozen at or below the anchored block")

    record = decode(
        sidechain.CERTIFICATE,
        proven(side_block, sidechain.certificate_key(pack["certificate"]), pack["record"]))

    def identity(address, leaf):
        return decode(IDENTITY_RECORD, proven(main_block, chain.identity_key(address), leaf))

    if len(record["holders"]) != len(pack["holders"]):
        raise ValueError("the pack has another number of holders than the record")
    holders = {holder["address"]: identity(holder["address"], leaf)
               for holder, leaf in zip(record["holders"], pack["holders"])}
    issuer = identity(record["issuer"], pack["issuer"])
    check_link(pack, main, validators, held)
    return {
        "side_chain": known["name"],
        "certificate": pack["certificate"],
        "record": record,
        "side_height": side_block["header"]["height"],
        "side_time": side_block["header"]["time_ms"],
        "anchored_height": height,
        "main_height": main_block["header"]["height"],
        "main_time": main_block["header"]["time_ms"],
        "issuer": issuer,
        "holders": holders,
    }


def result(verified: dict, holder: bytes, time: int) -> str:
    """What the pack proves of the certificate in this holder's hands, for a verifier at a time."""
    status = verified["holders"][holder]["present"]["status"]
    issuer = verified["issuer"]["present"]["status"]
    return sidechain.judge(verified["record"], time, status, issuer)
