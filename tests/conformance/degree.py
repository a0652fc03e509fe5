"""The whole life of one degree, with every refusal on its way."""

import os

from certchain import address, fields, presentations, queries, sidechain
from certchain.client import Party
from certchain.rpc import Refused
from certchain.steps import expect, refusal, refused_mutations, say

from off_line import OffLine
from office import OK, PURPOSE, REASON, Office

CHAIN = TYPE = "degree"
VALUES = {"school": "Fudan University", "subject": "Électrotechnique 电工", "level": "Bachelor",
          "awarded_on": "2026-06-30"}
SHOWN = ("subject", "awarded_on")


class Degree(OffLine):
    def __init__(self, office: Office):
        self.office, self.client, self.network = office, office.client, office.network
        self.side, self.type = self.network.sides[CHAIN], self.network.types[TYPE]
        self.issuer, self.verifier = office.setting.issuer(TYPE), office.verifier
        self.holder = office.register("Ada Conformance")
        say(f"registered the citizen {address.to_text(self.holder.address)} in main block "
            f"{office.registered}")

    def draft(self, *holders):
        return self.office.draft(TYPE, self.issuer, holders or [self.holder], VALUES)

    def issue(self):
        draft, _, _ = self.draft()

        def refused(what, code, changed, signer=self.issuer, **more):
            expect(what, code, refusal(self.office.send, CHAIN, changed, signer, **more))

        refused("issued by another agency", "CODE_NOT_ACCREDITED", draft, self.office.newcomer)
        refused("of an unknown type", "CODE_UNKNOWN_TYPE", {**draft, "type": "knighthood"})
        wrong = [{**draft["encrypted"][0], "recipient_key": Party.new().encryption_key}]
        refused("encrypted to another", "CODE_WRONG_RECIPIENT", {**draft, "encrypted": wrong})
        refused("with a claim", "CODE_BAD_FIELD", {**draft, "claim": os.urandom(32)})
        self.issued = issued = self.office.issue(TYPE, [self.holder], VALUES)
        refused("sent again", "CODE_CERTIFICATE_TAKEN", issued.draft)
        say(f"issued degree no. {issued.serial} {issued.name.hex()} in block {issued.height} of "
            f"'{CHAIN}'")

    def receive(self):
        asked = self.office.receive(self.issued, self.holder)

        # Only the account itself may ask, and only once with the same words.
        def ask(**words):
            next(self.client.node.stream("Inbox", chain=CHAIN, authorisation=words, from_height=0))

        expect("the same query again", "ALREADY_EXISTS", refusal(ask, **asked))
        stranger = self.verifier.query(self.side, queries.INBOX)
        expect("a query signed by another", "UNAUTHENTICATED",
               refusal(ask, **{**stranger, "address": self.holder.address}))
        expect("a query for another chain", "UNAUTHENTICATED",
               refusal(ask, **self.holder.query(self.network.main, queries.INBOX)))
        held = self.client.call(
            "ListCertificates", chain=CHAIN,
            authorisation=self.holder.query(self.side, queries.HELD)).entries
        expect("the holder's list", [self.issued.name], [e.certificate.certificate for e in held])
        say("received it by signed query: the fields open for the holder, their root is the one in "
            "the proven record")

    def accept(self):
        transaction, name = self.office.acceptance(self.issued, self.holder)
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
        expect("subject", self.issued.name, receipt["subject"])
        self.office.check_accepted(self.issued, self.holder, block)
        self.accepted_height = block.height
        say(f"accepted it in block {block.height}, after the node refused {count} mutations of that "
            "transaction: the record is active")

    def show(self, verifier, expires_ms=None) -> bytes:
        return self.office.show(self.issued, self.holder, SHOWN, verifier, expires_ms)

    def check(self, expected) -> bytes:
        return self.office.check(self.issued, self.holder, SHOWN, expected)

    def submit_check(self, package):
        return self.office.submit_check(self.issued, self.holder, package, self.verifier)

    def refuse_checks(self, package):
        """What was recorded, is for another, or was changed, is not recorded."""
        expect("recorded before", "CODE_PRESENTATION_USED", refusal(self.submit_check, package))
        other = self.show(self.office.other_verifier)
        expect("for another verifier", "CODE_WRONG_VERIFIER", refusal(self.submit_check, other))
        changed = presentations.read(other)
        message = {**changed["message"], "verifier": self.verifier.address}
        presented = dict(verifier=self.verifier.address, purpose=PURPOSE,
                         presentation=presentations.encode_message(message),
                         holder_signature=changed["signature"])
        expect("changed by the verifier", "CODE_BAD_SIGNATURE",
               refusal(self.client.submit, CHAIN, "record_check", presented, self.verifier))
        record, _ = self.office.record(self.issued)
        fresh = self.show(self.verifier)
        self.office.judge(self.issued, self.holder, fresh, record)
        count = refused_mutations(fresh, lambda bad: self.judge_offline(bad, record))
        key = self.client.identity(self.verifier.address)["present"]["encryption_key"]
        sealed = presentations.to_sealed_text(fresh, key)
        expect("a sealed package", fresh, presentations.from_text(sealed, self.verifier.secret))
        say(f"refused: the same presentation again, one for another verifier, a changed one, "
            f"{count} mutated packages")

    def judge_offline(self, package, record):
        """As `judge`, without asking for keys and times."""
        message = presentations.read(package)["message"]
        terms = dict(chain_id=self.side, certificate=self.issued.name, holder=self.holder.address,
                     verifier=self.verifier.address)
        return presentations.verify(package, self.type, record["field_root"], self.holder.public,
                                    terms, message["expires_ms"] - 1, 1, 0)

    def revoke(self):
        message = dict(certificate=self.issued.name, authority=self.verifier.address, reason=REASON)
        expect("revoked by another", "CODE_NOT_ENTITLED",
               refusal(self.client.submit, CHAIN, "revoke_certificate", message, self.verifier))
        self.revoked_height = self.office.revoke(self.issued).height
        say(f"revoked by its issuer in block {self.revoked_height}")

    def batch(self):
        """Three lines: one issued, one refused, one whose ciphertext lies in the node's store."""
        good, first, _ = self.draft()
        bad, second, _ = self.draft()
        # Encrypted to the holder, but held by an agency.
        bad["holders"] = [self.issuer.address]
        far, third, slots = self.draft()
        (sealed,) = far["encrypted"]
        content = sealed.pop("ciphertext")
        name = self.put_content(content)
        sealed["reference"] = dict(hash=name, size=len(content),
                                   media_type="application/octet-stream")

        message = dict(issuer=self.issuer.address, certificates=[good, bad, far])
        transaction, sent = self.client.transaction(CHAIN, "issue_batch", message, self.issuer)
        answer = self.client.call("SendCertificate", chain=CHAIN, transaction=transaction)
        lines = [(line.code, line.certificate) for line in answer.certificates]
        expect("lines", [(OK, first), (OK, third)], [lines[0], lines[2]])
        code = self.client.node.message("SentCertificate")(code=lines[1][0])
        code = code.DESCRIPTOR.fields_by_name["code"].enum_type.values_by_number[lines[1][0]].name
        expect("the second line", (second, "CODE_NOT_ENTITLED"), (lines[1][1], code))
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

    def put_content(self, content: bytes) -> bytes:
        """Puts a ciphertext into the node's store; gives its name."""
        name = fields.content_hash(content)

        def put(put_content):
            asked = self.issuer.query(self.network.main, queries.PUT_CONTENT, nonce=name[:16])
            return self.client.call("PutContent", content=put_content, authorisation=asked)

        answer = put(content)
        expect("the content's name", (name, len(content)), (answer.hash, answer.size))
        expect("other content under the same signature", "INVALID_ARGUMENT",
               refusal(put, content + b"!"))
        return name
