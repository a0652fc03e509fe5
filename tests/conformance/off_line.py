"""The part of the story that needs no node once the packs are there."""

import json
import time

from certchain import address, chain, packs, presentations, sidechain
from certchain.client import Party
from certchain.codec import decode, encode
from certchain.steps import MUTATIONS, expect, mutated, refused_mutations, say


class OffLine:
    """Packs of the certificate of a story, which the other part of the class tells."""

    def pack(self, height, expected):
        return self.office.pack(self.issued, self.holder, height, expected)

    def mutate(self, encoded):
        count = mutate(self.network, encoded)
        say(f"refused: {count} mutated packs, and the pack under other validators")

    def older_pack(self, encoded):
        """A pack put together here: the record as of its issue, below the anchored block."""
        issued, pack = self.issued, decode(packs.PACK, encoded)
        answer = self.client.call("GetStateProof", chain=issued.chain, at_height=issued.height,
                                  key=sidechain.certificate_key(issued.name))
        block = self.client.block(issued.chain, answer.block)
        anchored = pack["anchored"]["block"] if pack["anchored"] else pack["side_block"]
        proof = self.client.call("GetHistoryProof", chain=issued.chain, height=block.height,
                                 at_height=anchored["header"]["height"]).proof
        branches = [dict(bit=step.bit, sibling=step.sibling) for step in answer.proof.branches]
        leaf = dict(key=answer.proof.leaf_key, value_hash=answer.proof.leaf_value_hash)
        older = encode(packs.PACK, {
            **pack,
            "record": dict(value=answer.value, proof=dict(branches=branches, leaf=leaf)),
            "side_block": dict(header=block.header, outcome=block.outcome),
            "anchored": dict(block=anchored, proof=history(proof)),
        })
        verified = packs.verify(older, self.network.main, self.network.genesis.validators)
        expect("as of its issue", ("Issued", issued.height, anchored["header"]["height"]),
               (verified["record"]["status"], verified["side_height"], verified["anchored_height"]))
        say(f"put a pack together as of its issue in side block {block.height}, in the history of "
            f"block {anchored['header']['height']}")
        self.mutate(older)
        return older

    def by_held_block(self, encoded):
        """The pack for a verifier who holds a later block of main and knows no validators."""
        pack = decode(packs.PACK, encoded)
        height = pack["main_block"]["header"]["height"]
        tip = self.client.block("main", self.client.call("GetBlock", header_only=True).block.header)
        if tip.height == height:
            raise ValueError("main has no later block than the pack's")
        held = dict(header=tip.header, outcome=tip.outcome)
        proof = self.client.call("GetHistoryProof", height=height, at_height=tip.height).proof
        later = encode(packs.PACK, {**pack, "link": {"Later": history(proof)}})
        packs.verify(later, self.network.main, held=held)
        count = refused_mutations(
            later, lambda bad: packs.verify(bad, self.network.main, held=held))
        say(f"main block {tip.height} alone proves the pack of main block {height}; refused: "
            f"{count} mutations")

    def compare(self, rust, encoded, older, count):
        """The command `certchain` must judge packs and presentations as this program does."""

        def shown():
            now = time.time_ns() // 1_000_000
            return self.show(None, expires_ms=now + 30_000)

        def judged(pack, package=None):
            return rust.check(pack, package and presentations.to_text(package))

        expect("the command's result of the pack", "valid", judged(encoded))
        expect("its result of the older pack", "not_accepted", judged(older))
        expect("its result with a presentation", "valid", judged(encoded, shown()))
        for _ in range(count):
            bad, place, change = mutated(encoded)
            expect(f"its result of a pack with byte {place} changed by {change}", None, judged(bad))
            bad, place, change = mutated(shown())
            expect(f"its result of a package with byte {place} changed by {change}", None,
                   judged(encoded, bad))
        say(f"the command certchain agrees about both packs and a presentation; it refuses "
            f"{count} mutated packs and {count} mutated presentations")

    def save(self, folder, genesis, found):
        """What the nodes computed, and this program has checked, for checks without a network."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "genesis.toml").write_text(genesis.read_text())
        names = ["main", *sidechain.NAMES]
        (folder / "recording.json").write_text(json.dumps({
            "chains": {name: self.network.id(name).hex() for name in names},
            "first_blocks": {name: self.network.blocks[name]["id"].hex()
                             for name in ("main", self.issued.chain)},
            "certificate": self.issued.name.hex(),
            "holder": address.to_text(self.holder.address),
            "packs": {result: encoded.hex() for result, encoded in found.items()},
        }, indent=1) + "\n")


def mutate(network, encoded: bytes, count=MUTATIONS) -> int:
    """How many mutations of a pack are refused: all; and so is the pack under other validators."""
    validators = network.genesis.validators
    refused_mutations(encoded, lambda bad: packs.verify(bad, network.main, validators), count=count)
    others = chain.ValidatorSet(0, [(Party.new().public,) * 2 for _ in validators.members])
    try:
        packs.verify(encoded, network.main, others)
    except ValueError:
        return count
    raise ValueError("the pack is believed under other validators")


def history(proof) -> dict:
    """A HistoryProof message as it stands in packs."""
    return dict(height=proof.height, size=proof.size, siblings=list(proof.siblings),
                peaks=list(proof.peaks))
