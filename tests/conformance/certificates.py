#!/usr/bin/env python3
"""The life of one certificate, told by a program that believes no answer.

Registers a citizen, issues a degree to it, receives and accepts it, shows it to a verifier who
records checks, revokes it, and verifies packs of it off line, each step after docs/formats.md and
the .proto files alone and checked against the genesis file alone. Exit 0 only if everything held;
the last line of the output is one JSON object.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from certchain import address, chain, fields, presentations, queries, sidechain
from certchain.client import Client, Party
from certchain.rpc import Node, Refused
from certchain.rust_client import RustClient
from certchain.steps import expect, refusal, refused_mutations, say

from off_line import OffLine

CHAIN = TYPE = "degree"
CITIZEN, OK = 1, 0
VALUES = {"school": "Fudan University", "subject": "Électrotechnique 电工", "level": "Bachelor",
          "awarded_on": "2026-06-30"}
SHOWN = ("subject", "awarded_on")
PURPOSE = REASON = 1


class Story(OffLine):
    def __init__(self, devnet: dict, target: str):
        genesis = chain.Genesis(Path(devnet["genesis"]).read_text())
        self.network = sidechain.Network(genesis)
        self.client = Client(Node(target), self.network)
        self.side = self.network.sides[CHAIN]
        self.type = self.network.types[TYPE]
        accounts = devnet["accounts"]
        named = {entry["id"]: entry for entry in accounts["agencies"] + accounts["verifiers"]}
        self.agency = Party.of_devnet(accounts["agency"])
        self.registrar = Party.of_devnet(accounts["registrar"])
        self.issuer = Party.of_devnet(named["education"])
        self.verifier = Party.of_devnet(named["city-inspection"])
        self.other_verifier = Party.of_devnet(named["harbour-bank"])
        self.holder = Party.new()

    def check_network(self):
        call, first = self.client.call, self.network.blocks
        for name in ["main", *sidechain.NAMES]:
            expect(f"id of {name}", self.network.id(name), call("GetStatus", chain=name).chain_id)
            zero = call("GetBlock", chain=name, height=0, header_only=True).block.header
            expect(f"first block of {name}",
                   (first[name]["header"], first[name]["outcome"], first[name]["id"]),
                   (zero.encoded_header, zero.encoded_outcome, zero.block_id))
            if call("GetStatus", chain=name).height:
                answer = call("GetHistoryProof", chain=name, height=0)
                expect(f"first block of {name}", first[name]["id"], answer.block_id)
                self.client.block(name, answer.block).prove_earlier(answer.block_id, answer.proof)
        (answer,) = call("GetCatalogue", chain=CHAIN).types
        expect("type", (TYPE, CHAIN, self.side), (answer.name, answer.chain, answer.chain_id))
        kinds = dict(text=1, date=2, number=3, address=4)
        expect("fields of the type",
               [(f["name"], f["title"], kinds[f["kind"]], f["max_bytes"], f["required"])
                for f in self.type["fields"]],
               [(f.name, f.title, f.kind, f.max_bytes, f.required) for f in answer.fields])
        say("the genesis file gives the ids and first blocks of all six chains, and the catalogue")

    def register(self):
        slots = [(os.urandom(32), "name", "Ada Conformance")]
        slots += [(os.urandom(32), "", "") for _ in range(15)]
        receipt, block = self.client.submit("main", "register_identity", dict(
            kind=CITIZEN,
            public_key=self.holder.public,
            encryption_key=self.holder.encryption_key,
            attribute_root=chain.attribute_root(slots),
            tag=os.urandom(32),
            tag_key_version=self.network.genesis.content["tag_key_version"],
            agency=self.agency.address,
            registrar=self.registrar.address,
        ), self.agency, self.registrar, self.holder)
        expect("subject", self.holder.address, receipt["subject"])
        self.registered = block.height
        say(f"registered the citizen {address.to_text(self.holder.address)} in main block "
            f"{block.height}")

    def draft(self, **other):
        """A draft, its id and its slots."""
        slots = fields.make(self.type, VALUES)
        root, nonce = fields.root(TYPE, fields.commitments(slots)), os.urandom(16)
        name = sidechain.certificate_id(self.side, self.issuer.address, TYPE, root, nonce)
        recipient = self.client.identity(self.holder.address)["present"]["encryption_key"]
        expect("encryption key", self.holder.encryption_key, recipient)
        encapsulated, ciphertext = fields.seal(
            self.side, name, 0, recipient, fields.to_plaintext(TYPE, slots))
        draft = dict(type=TYPE, holders=[self.holder.address], field_root=root, nonce=nonce,
                     encrypted=[dict(recipient_key=recipient, encapsulated_key=encapsulated,
                                     ciphertext=ciphertext)])
        return {**draft, **other}, name, slots

    def send(self, draft, signer):
        message = dict(issuer=signer.address, certificate=draft)
        transaction, name = self.client.transaction(CHAIN, "issue_certificate", message, signer)
        answer = self.client.call("SendCertificate", chain=CHAIN, transaction=transaction)
        return answer, name, transaction["body"]

    def issue(self):
        draft, _, _ = self.draft()
        expect("issued by another agency", "CODE_NOT_ACCREDITED",
               refusal(self.send, draft, self.agency))
        expect("of an unknown type", "CODE_UNKNOWN_TYPE",
               refusal(self.send, {**draft, "type": "knighthood"}, self.issuer))
        wrong = [{**draft["encrypted"][0], "recipient_key": self.verifier.encryption_key}]
        expect("encrypted to another", "CODE_WRONG_RECIPIENT",
               refusal(self.send, {**draft, "encrypted": wrong}, self.issuer))
        draft, self.certificate, self.slots = self.draft()
        answer, self.issued_by, body = self.send(draft, self.issuer)
        (sent,) = answer.certificates
        expect("the id", (OK, self.certificate), (sent.code, sent.certificate))
        expect("the issuer's code", "EDUCATION", answer.organisation_code)
        receipt, block = self.client.proven_transaction(CHAIN, self.issued_by, body)
        expect("subject", self.certificate, receipt["subject"])
        expect("block", (block.height, block.id), (answer.receipt.height, answer.receipt.block_id))
        if block.header["checkpoint"]["height"] < self.registered:
            raise ValueError("the block's checkpoint is below the holder's registration")
        expect("sent again", "CODE_CERTIFICATE_TAKEN", refusal(self.send, draft, self.issuer))
        self.draft_sent, self.issued_height = draft, block.height
        say(f"issued degree no. {sent.serial} {self.certificate.hex()} in block {block.height} of "
            f"'{CHAIN}', whose checkpoint is main block {block.header['checkpoint']['height']}")

    def record(self):
        """The certificate's record, proven, and the block that proves it."""
        answer = self.client.call("GetCertificate", chain=CHAIN, certificate=self.certificate,
                                  with_proof=True)
        key = sidechain.certificate_key(self.certificate)
        record, block = self.client.proven_value(CHAIN, answer.evidence, key, sidechain.CERTIFICATE)
        expect("encoded record", answer.evidence.value, answer.encoded_record)
        expect("height", block.height, answer.height)
        words = answer.certificate
        expect("words", (record["issuer"], record["serial"], record["field_root"]),
               (words.issuer, words.serial, words.field_root))
        expect("status in words", sidechain.STATUS.variants.index((record["status"], None)) + 1,
               words.status)
        return record, block

    def receive(self):
        call = self.client.call
        asked = self.holder.query(self.side, queries.INBOX)
        letter = next(self.client.node.stream("Inbox", chain=CHAIN, authorisation=asked,
                                              from_height=0))
        expect("certificate in the inbox", self.certificate, letter.certificate.certificate)
        found = call("QueryCertificate", chain=CHAIN, holder=self.holder.address,
                     height=self.issued_height, transaction_id=self.issued_by)
        expect("found by block and transaction", (self.certificate, "EDUCATION", letter.fields),
               (found.certificate, found.organisation_code, found.fields))
        plain = fields.unseal(self.holder.secret, self.side, self.certificate,
                              letter.certificate.version, letter.fields.encapsulated_key,
                              letter.fields.ciphertext)
        slots = fields.from_plaintext(self.type, plain)
        expect("fields", self.slots, slots)
        record, _ = self.record()
        root = fields.root(TYPE, fields.commitments(slots))
        expect("field root", root, record["field_root"])
        expect("record", (TYPE, self.issuer.address, "Issued", self.issued_by, 0),
               (record["type"], record["issuer"], record["status"], record["transaction"],
                record["version"]))
        expect("holders", [dict(address=self.holder.address, accepted=None)], record["holders"])

        # Only the account itself may ask, and only once with the same words.
        def ask(**words):
            next(self.client.node.stream("Inbox", chain=CHAIN, authorisation=words, from_height=0))

        expect("the same query again", "ALREADY_EXISTS", refusal(ask, **asked))
        stranger = self.verifier.query(self.side, queries.INBOX)
        expect("a query signed by another", "UNAUTHENTICATED",
               refusal(ask, **{**stranger, "address": self.holder.address}))
        expect("a query for another chain", "UNAUTHENTICATED",
               refusal(ask, **self.holder.query(self.network.main, queries.INBOX)))
        held = call("ListCertificates", chain=CHAIN,
                    authorisation=self.holder.query(self.side, queries.HELD)).entries
        expect("the holder's list", [self.certificate], [e.certificate.certificate for e in held])
        say(f"received it by signed query: the fields open for the holder, their root "
            f"{root.hex()} is the one in the proven record")

    def accept(self):
        message = dict(certificate=self.certificate, holder=self.holder.address)
        transaction, name = self.client.transaction(
            CHAIN, "accept_certificate", message, self.holder)
        envelope = self.client.node.message("SignedTransaction")(**transaction)

        # The node must refuse what this program would: every changed byte.
        def submit(encoded):
            try:
                self.client.node.submit_bytes(CHAIN, encoded)
            except Refused as refused:
                raise ValueError(str(refused)) from refused

        envelope = envelope.SerializeToString(deterministic=True)
        count = refused_mutations(envelope, submit, accept_good=False)
        submit(envelope)
        self.client.call("WaitReceipt", chain=CHAIN, transaction_id=name)
        receipt, block = self.client.proven_transaction(CHAIN, name, transaction["body"])
        expect("subject", self.certificate, receipt["subject"])
        record, _ = self.record()
        expect("status", ("Active", block.header["time_ms"]),
               (record["status"], record["holders"][0]["accepted"]))
        self.accepted_height = block.height
        say(f"accepted it in block {block.height}, after the node refused {count} mutations of that "
            "transaction: the record is active")

    def show(self, verifier, expires_ms=None):
        """A presentation to a verifier, or to whoever bears it, as the text of a QR code."""
        status = self.client.call("GetStatus", chain=CHAIN)
        terms = dict(chain_id=self.side, certificate=self.certificate, holder=self.holder.address,
                     verifier=verifier.address if verifier else b"", challenge=os.urandom(16),
                     nonce=os.urandom(16),
                     expires_ms=expires_ms or status.time_ms + status.transaction_window_ms // 2)
        package = presentations.build(TYPE, self.slots, SHOWN, terms, self.holder.sign)
        message = presentations.read(package)["presentation"]
        library = self.client.node.message("Presentation").FromString(message)
        expect("the message by the .proto file", message,
               library.SerializeToString(deterministic=True))
        return presentations.to_text(package)

    def judge(self, package, record=None):
        """What the verifier sees in a package."""
        record = record or self.record()[0]
        status = self.client.call("GetStatus", chain=CHAIN)
        key = self.client.identity(self.holder.address)["present"]["public_key"]
        terms = dict(chain_id=self.side, certificate=self.certificate, holder=self.holder.address,
                     verifier=self.verifier.address)
        return presentations.verify(package, self.type, record["field_root"], key, terms,
                                    status.time_ms, status.transaction_window_ms,
                                    self.network.genesis.content["timers"]["clock_bound_ms"])

    def submit_check(self, package, verifier, **other):
        content = presentations.read(package)
        message = dict(verifier=verifier.address, presentation=content["presentation"],
                       holder_signature=content["signature"], purpose=PURPOSE, **other)
        transaction, name = self.client.transaction(CHAIN, "record_check", message, verifier)
        answer = self.client.call(
            "Check", chain=CHAIN, transaction=transaction, holder=self.holder.address,
            organisation_code="EDUCATION", with_proof=True)
        return answer, name, transaction["body"]

    def check(self, expected):
        """Shows, reads back, verifies and records; the chain must find `expected`."""
        package = presentations.from_text(self.show(self.verifier))
        expect("what is shown", {name: VALUES[name] for name in SHOWN}, self.judge(package))
        content = presentations.read(package)
        answer, transaction, body = self.submit_check(package, self.verifier)
        receipt, block = self.client.proven_transaction(CHAIN, transaction, body)
        name = presentations.presentation_id(content["presentation"])
        expect("subject", name, receipt["subject"])
        record, _ = self.client.proven_value(CHAIN, answer.evidence, sidechain.check_key(name),
                                             sidechain.CHECK)
        expect("the check", dict(
            certificate=self.certificate,
            holder=self.holder.address,
            verifier=self.verifier.address,
            bearer=False,
            purpose=PURPOSE,
            disclosed=content["message"]["disclosed_hash"],
            result=expected,
            height=block.height,
            time=block.header["time_ms"],
        ), record)
        expect("result in words", sidechain.RESULTS.index(expected) + 1, answer.result)
        say(f"shown, read back, verified and checked in block {block.height}: {expected}")
        return package

    def refuse_checks(self, package):
        """What was recorded, is for another, or was changed, is not recorded."""
        expect("recorded before", "CODE_PRESENTATION_USED",
               refusal(self.submit_check, package, self.verifier))
        other = presentations.from_text(self.show(self.other_verifier))
        expect("for another verifier", "CODE_WRONG_VERIFIER",
               refusal(self.submit_check, other, self.verifier))
        changed = presentations.read(other)
        message = {**changed["message"], "verifier": self.verifier.address}
        presented = dict(verifier=self.verifier.address, purpose=PURPOSE,
                         presentation=presentations.encode_message(message),
                         holder_signature=changed["signature"])
        expect("changed by the verifier", "CODE_BAD_SIGNATURE",
               refusal(self.client.submit, CHAIN, "record_check", presented, self.verifier))
        record, _ = self.record()
        fresh = presentations.from_text(self.show(self.verifier))
        self.judge(fresh, record)
        count = refused_mutations(fresh, lambda bad: self.judge_offline(bad, record))
        sealed = presentations.to_sealed_text(fresh, self.verifier.encryption_key)
        expect("a sealed package", fresh, presentations.from_text(sealed, self.verifier.secret))
        say(f"refused: the same presentation again, one for another verifier, a changed one, "
            f"{count} mutated packages")

    def judge_offline(self, package, record):
        """As `judge`, without asking for keys and times."""
        message = presentations.read(package)["message"]
        terms = dict(chain_id=self.side, certificate=self.certificate, holder=self.holder.address,
                     verifier=self.verifier.address)
        return presentations.verify(package, self.type, record["field_root"], self.holder.public,
                                    terms, message["expires_ms"] - 1, 1, 0)

    def revoke(self):
        message = dict(certificate=self.certificate, authority=self.verifier.address, reason=REASON)
        expect("revoked by another", "CODE_NOT_ENTITLED",
               refusal(self.client.submit, CHAIN, "revoke_certificate", message, self.verifier))
        message["authority"] = self.issuer.address
        _, block = self.client.submit(CHAIN, "revoke_certificate", message, self.issuer)
        record, _ = self.record()
        expect("record", ("Revoked", REASON, block.height),
               (record["status"], record["reason"], record["status_height"]))
        self.revoked_height = block.height
        say(f"revoked by its issuer in block {block.height}")

    def batch(self):
        """Three lines: one issued, one refused, one whose ciphertext lies in the node's store."""
        good, first, _ = self.draft()
        bad, second, _ = self.draft(holders=[self.issuer.address])
        far, third, slots = self.draft()
        (sealed,) = far["encrypted"]
        content = sealed.pop("ciphertext")
        name = fields.content_hash(content)
        asked = self.issuer.query(self.network.main, queries.PUT_CONTENT, nonce=name[:16])
        put = self.client.call("PutContent", content=content, authorisation=asked)
        expect("the content's name", (name, len(content)), (put.hash, put.size))
        sealed["reference"] = dict(hash=name, size=len(content),
                                   media_type="application/octet-stream")
        other = self.issuer.query(self.network.main, queries.PUT_CONTENT, nonce=name[:16])
        expect("other content under the same signature", "INVALID_ARGUMENT",
               refusal(self.client.call, "PutContent", content=content + b"!", authorisation=other))

        message = dict(issuer=self.issuer.address, certificates=[good, bad, far])
        transaction, sent = self.client.transaction(CHAIN, "issue_batch", message, self.issuer)
        answer = self.client.call("SendCertificate", chain=CHAIN, transaction=transaction)
        lines = [(line.code, line.certificate) for line in answer.certificates]
        expect("lines", [(OK, first), (OK, third)], [lines[0], lines[2]])
        code = self.client.node.message("SentCertificate")(code=lines[1][0])
        code = code.DESCRIPTOR.fields_by_name["code"].enum_type.values_by_number[lines[1][0]].name
        expect("the second line's certificate", second, lines[1][1])
        receipt, block = self.client.proven_transaction(CHAIN, sent, transaction["body"])
        expect("subject of a batch", sidechain.lines_root(lines), receipt["subject"])

        found = self.client.call("QueryCertificate", chain=CHAIN, holder=self.holder.address,
                                 height=block.height, transaction_id=sent, line=2)
        expect("found by its line", (third, 2), (found.certificate, found.line))
        stored = self.client.call("GetContent", hash=found.fields.reference.hash).content
        expect("hash of the content", name, fields.content_hash(stored))
        plain = fields.unseal(self.holder.secret, self.side, third, 0,
                              found.fields.encapsulated_key, stored)
        expect("its fields", slots, fields.from_plaintext(self.type, plain))
        say(f"issued a batch in block {block.height}: two stand, one of them with its fields off "
            f"the chain; the one for an agency is refused with {code}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devnet", type=Path, metavar="FILE", required=True,
                        help="devnet.json of config/devnet/launch.sh")
    parser.add_argument("--grpc", metavar="HOST:PORT", help="another node than the first")
    parser.add_argument("--save", type=Path, metavar="DIR",
                        help="keep genesis and packs as a recording for check_parts.py")
    parser.add_argument("--without-client", action="store_true",
                        help="do not compare with the command certchain that devnet.json names")
    args = parser.parse_args()
    devnet = json.loads(args.devnet.read_text())
    rust = None
    if not args.without_client:
        rust = RustClient(devnet["programs"]["certchain"], devnet["genesis"])
        if not rust.can_check():
            parser.error(f"{rust.program} has no `check --offline`; give --without-client")
    story = Story(devnet, args.grpc or devnet["nodes"][0]["grpc"])
    story.check_network()
    story.register()
    story.issue()
    story.receive()
    story.check("NotAccepted")
    story.accept()
    story.refuse_checks(story.check("Valid"))
    pack = story.pack(story.accepted_height, "Valid")
    story.mutate(pack)
    older = story.older_pack(pack)
    if rust:
        story.compare(rust, pack, older)
    story.batch()
    story.revoke()
    story.check("Revoked")
    last = story.pack(story.revoked_height, "Revoked")
    story.mutate(last)
    story.by_held_block(pack)
    if args.save:
        story.save(args.save, Path(devnet["genesis"]), {"Valid": pack, "Revoked": last})
    print(json.dumps({
        "ok": True,
        "main": story.network.main.hex(),
        "chain": story.side.hex(),
        "holder": address.to_text(story.holder.address),
        "certificate": story.certificate.hex(),
    }))


if __name__ == "__main__":
    try:
        main()
    except (Refused, ValueError, OSError) as error:
        sys.exit(f"failed: {error}")
