"""What agencies, holders and verifiers do with a certificate of any type: each step is built and
signed here, and each answer is believed only if it is proven under the genesis file."""

import os
from dataclasses import dataclass

from certchain import address, chain, fields, packs, presentations, queries, sidechain
from certchain.client import Party
from certchain.steps import expect, say, until

CITIZEN, ORGANISATION, AGENCY, VERIFIER = 1, 2, 3, 4
OK = 0
PURPOSE = REASON = 1
DAY_MS = 86_400_000


@dataclass
class Issued:
    """A certificate that was issued, with what its issuer knows of it."""

    type_name: str
    chain: str
    side: bytes
    name: bytes
    slots: list
    issuer: Party
    holders: list
    draft: dict
    transaction: bytes
    serial: int
    height: int


class Office:
    def __init__(self, setting):
        self.setting, self.network = setting, setting.network
        self.client = setting.connect()
        self.registered = 0
        agency = self.client.identity(setting.agency.address)
        expect("kind of the certifying agency", "Agency", agency["kind"])
        self.verifier = setting.verifier or self.register("Verifier", VERIFIER)
        self.other_verifier = setting.other_verifier or self.register("Verifier", VERIFIER)
        # Any agency of genesis may be accredited for everything; one that is registered is not.
        self.newcomer = self.register("Agency", AGENCY)

    def register(self, title: str, kind: int = CITIZEN) -> Party:
        """Somebody new, with keys made here."""
        somebody = Party.new()
        slots = [(os.urandom(32), "name", title)] + [(os.urandom(32), "", "") for _ in range(15)]
        agency, registrar = self.setting.agency, self.setting.registrar
        code = "" if kind == CITIZEN else f"CONFORMANCE-{os.urandom(6).hex().upper()}"
        receipt, block = self.client.submit("main", "register_identity", dict(
            kind=kind,
            public_key=somebody.public,
            encryption_key=somebody.encryption_key,
            attribute_root=chain.attribute_root(slots),
            tag=os.urandom(32),
            tag_key_version=self.network.genesis.content["tag_key_version"],
            agency=agency.address,
            registrar=registrar.address,
            organisation_code=code,
        ), agency, registrar, somebody)
        expect("subject", somebody.address, receipt["subject"])
        self.registered = block.height
        return somebody

    # Issuing.

    def draft(self, type_name: str, issuer: Party, holders, values: dict, **other):
        """A draft, its id and its slots: the fields encrypted to each holder's proven key."""
        known = self.network.types[type_name]
        side = self.network.sides[known["chain"]]
        slots = fields.make(known, values)
        root, nonce = fields.root(type_name, fields.commitments(slots)), os.urandom(16)
        name = sidechain.certificate_id(side, issuer.address, type_name, root, nonce)
        plain, encrypted = fields.to_plaintext(type_name, slots), []
        for holder in holders:
            recipient = self.client.identity(holder.address)["present"]["encryption_key"]
            encapsulated, ciphertext = fields.seal(side, name, 0, recipient, plain)
            encrypted.append(dict(recipient_key=recipient, encapsulated_key=encapsulated,
                                  ciphertext=ciphertext))
        draft = dict(type=type_name, holders=[holder.address for holder in holders],
                     field_root=root, nonce=nonce, encrypted=encrypted)
        return {**draft, **other}, name, slots

    def send(self, chain_name: str, draft: dict, issuer: Party, *signing, holders_sign=False):
        """Submits a draft; `signing` are the holders who sign it."""
        message = dict(issuer=issuer.address, certificate=draft,
                       holders_sign=holders_sign or bool(signing))
        transaction, name = self.client.transaction(
            chain_name, "issue_certificate", message, issuer, *signing)
        answer = self.client.call("SendCertificate", chain=chain_name, transaction=transaction)
        return answer, name, transaction["body"]

    def issue(self, type_name: str, holders, values: dict, consent=False, **other) -> Issued:
        """Issues a certificate; with `consent` the holders sign too."""
        issuer, keeper = self.setting.issuer(type_name), self.network.types[type_name]["chain"]
        draft, name, slots = self.draft(type_name, issuer, holders, values, **other)
        answer, transaction, body = self.send(
            keeper, draft, issuer, *(holders if consent else []))
        (sent,) = answer.certificates
        expect("the id", (OK, name), (sent.code, sent.certificate))
        code = self.client.identity(issuer.address)["organisation_code"]
        expect("the issuer's code", code, answer.organisation_code)
        receipt, block = self.client.proven_transaction(keeper, transaction, body)
        expect("subject", name, receipt["subject"])
        expect("block", (block.height, block.id), (answer.receipt.height, answer.receipt.block_id))
        if block.header["checkpoint"]["height"] < self.registered:
            raise ValueError("the block's checkpoint is below the holder's registration")
        issued = Issued(type_name, keeper, self.network.sides[keeper], name, slots, issuer,
                        list(holders), draft, transaction, sent.serial, block.height)
        self.check_issued(issued, block, **other)
        return issued

    def check_issued(self, issued: Issued, block, claim=None, valid_from_ms=0, valid_until_ms=0):
        """The record of a certificate that was just issued."""
        record, _ = self.record(issued)
        days, time = self.network.types[issued.type_name]["validity_days"], block.header["time_ms"]
        valid_from = valid_from_ms or time
        # A year's licence that begins tomorrow lasts a year.
        catalogue_says = valid_from + days * DAY_MS if days else None
        expect("record", dict(
            type=issued.type_name,
            issuer=issued.issuer.address,
            serial=issued.serial,
            holders=[dict(address=one.address, accepted=None) for one in issued.holders],
            field_root=fields.root(issued.type_name, fields.commitments(issued.slots)),
            claim=claim,
            issued_height=block.height,
            issued_time=time,
            transaction=issued.transaction,
            line=0,
            valid_from=valid_from,
            valid_until=valid_until_ms or catalogue_says,
            version=0,
            status="Issued",
            status_height=block.height,
            status_time=time,
            reason=0,
        ), record)

    def record(self, issued: Issued):
        """The certificate's record, proven, and the block that proves it."""
        answer = self.client.call("GetCertificate", chain=issued.chain, certificate=issued.name,
                                  with_proof=True)
        key = sidechain.certificate_key(issued.name)
        record, block = self.client.proven_value(
            issued.chain, answer.evidence, key, sidechain.CERTIFICATE)
        expect("encoded record", answer.evidence.value, answer.encoded_record)
        expect("height", block.height, answer.height)
        words = answer.certificate
        expect("words", (record["issuer"], record["serial"], record["field_root"]),
               (words.issuer, words.serial, words.field_root))
        expect("status in words", sidechain.STATUS.variants.index((record["status"], None)) + 1,
               words.status)
        return record, block

    def claimed(self, issued: Issued, claim: bytes):
        """The certificate that holds a claim, proven, or None if it is proven that none does."""
        key = sidechain.claim_key(claim)
        answer = self.client.call("GetStateProof", chain=issued.chain, key=key)
        block = self.client.block(issued.chain, answer.block)
        if not answer.present:
            expect("value under a free claim", None, block.prove_state(key, answer.proof))
            return None
        block.prove_value(key, answer.value, answer.proof)
        return answer.value

    # The holder.

    def receive(self, issued: Issued, holder: Party):
        """The holder opens what was sent to it and compares it with the proven record."""
        asked = holder.query(issued.side, queries.INBOX)
        letters = self.client.node.stream("Inbox", chain=issued.chain, authorisation=asked,
                                          from_height=0)
        letter = next(one for one in letters if one.certificate.certificate == issued.name)
        found = self.client.call("QueryCertificate", chain=issued.chain, holder=holder.address,
                                 height=issued.height, transaction_id=issued.transaction)
        code = self.client.identity(issued.issuer.address)["organisation_code"]
        expect("found by block and transaction", (issued.name, code, letter.fields),
               (found.certificate, found.organisation_code, found.fields))
        plain = fields.unseal(holder.secret, issued.side, issued.name, letter.certificate.version,
                              letter.fields.encapsulated_key, letter.fields.ciphertext)
        slots = fields.from_plaintext(self.network.types[issued.type_name], plain)
        expect("fields", issued.slots, slots)
        record, _ = self.record(issued)
        expect("field root", fields.root(issued.type_name, fields.commitments(slots)),
               record["field_root"])
        return asked

    def acceptance(self, issued: Issued, holder: Party):
        """The signed transaction with which a holder takes the certificate, and its id."""
        message = dict(certificate=issued.name, holder=holder.address)
        return self.client.transaction(issued.chain, "accept_certificate", message, holder)

    def accept(self, issued: Issued, holder: Party, expected="Active"):
        """The holder takes it; gives the block that says so."""
        message = dict(certificate=issued.name, holder=holder.address)
        receipt, block = self.client.submit(issued.chain, "accept_certificate", message, holder)
        expect("subject", issued.name, receipt["subject"])
        self.check_accepted(issued, holder, block, expected)
        return block

    def decline(self, issued: Issued, holder: Party):
        """The holder refuses it; gives the block that says so."""
        message = dict(certificate=issued.name, holder=holder.address, reason=REASON)
        _, block = self.client.submit(issued.chain, "decline_certificate", message, holder)
        self.check_ended(issued, "Declined", block)
        return block

    def check_ended(self, issued: Issued, status: str, block):
        record, _ = self.record(issued)
        expect("record", (status, REASON, block.height),
               (record["status"], record["reason"], record["status_height"]))

    def check_accepted(self, issued: Issued, holder: Party, block, expected="Active"):
        record, _ = self.record(issued)
        (own,) = (one for one in record["holders"] if one["address"] == holder.address)
        expect("status", (expected, block.header["time_ms"]), (record["status"], own["accepted"]))

    def show(self, issued: Issued, holder: Party, names, verifier=None, expires_ms=None) -> bytes:
        """The package of a presentation to a verifier, or to whoever bears it."""
        now, window = self.client.now(issued.chain)
        terms = dict(chain_id=issued.side, certificate=issued.name, holder=holder.address,
                     verifier=verifier.address if verifier else b"", challenge=os.urandom(16),
                     nonce=os.urandom(16), expires_ms=expires_ms or now + window // 2)
        package = presentations.build(issued.type_name, issued.slots, names, terms, holder.sign)
        message = presentations.read(package)["presentation"]
        library = self.client.node.message("Presentation").FromString(message)
        expect("the message by the .proto file", message,
               library.SerializeToString(deterministic=True))
        text = presentations.to_text(package)
        expect("the text of the package", package, presentations.from_text(text))
        return package

    # The verifier.

    def judge(self, issued: Issued, holder: Party, package: bytes, record=None) -> dict:
        """What the verifier sees in a package."""
        record = record or self.record(issued)[0]
        now, window = self.client.now(issued.chain)
        key = self.client.identity(holder.address)["present"]["public_key"]
        terms = dict(chain_id=issued.side, certificate=issued.name, holder=holder.address,
                     verifier=self.verifier.address)
        return presentations.verify(
            package, self.network.types[issued.type_name], record["field_root"], key, terms,
            now, window, self.network.genesis.content["timers"]["clock_bound_ms"])

    def submit_check(self, issued: Issued, holder: Party, package: bytes, verifier: Party):
        content = presentations.read(package)
        message = dict(verifier=verifier.address, presentation=content["presentation"],
                       holder_signature=content["signature"], purpose=PURPOSE)
        transaction, name = self.client.transaction(
            issued.chain, "record_check", message, verifier)
        code = self.client.identity(issued.issuer.address)["organisation_code"]
        answer = self.client.call(
            "Check", chain=issued.chain, transaction=transaction, holder=holder.address,
            organisation_code=code, with_proof=True)
        return answer, name, transaction["body"]

    def check(self, issued: Issued, holder: Party, names, expected: str) -> bytes:
        """Shows, reads back, verifies and records; the chain must find `expected`."""
        package = self.show(issued, holder, names, self.verifier)
        values = {name: value for _, name, value in issued.slots if name in names}
        expect("what is shown", values, self.judge(issued, holder, package))
        content = presentations.read(package)
        answer, transaction, body = self.submit_check(issued, holder, package, self.verifier)
        receipt, block = self.client.proven_transaction(issued.chain, transaction, body)
        name = presentations.presentation_id(content["presentation"])
        expect("subject", name, receipt["subject"])
        record, _ = self.client.proven_value(issued.chain, answer.evidence,
                                             sidechain.check_key(name), sidechain.CHECK)
        expect("the check", dict(
            certificate=issued.name,
            holder=holder.address,
            verifier=self.verifier.address,
            bearer=False,
            purpose=PURPOSE,
            disclosed=content["message"]["disclosed_hash"],
            result=expected,
            height=block.height,
            time=block.header["time_ms"],
        ), record)
        expect("result in words", sidechain.RESULTS.index(expected) + 1, answer.result)
        say(f"{issued.type_name}: shown, read back, verified and checked in block {block.height}: "
            f"{expected}")
        return package

    def revoke(self, issued: Issued):
        """Its issuer ends it; gives the block that says so."""
        message = dict(certificate=issued.name, authority=issued.issuer.address, reason=REASON)
        _, block = self.client.submit(issued.chain, "revoke_certificate", message, issued.issuer)
        self.check_ended(issued, "Revoked", block)
        return block

    # Off line.

    def pack(self, issued: Issued, holder: Party, height: int, expected: str) -> bytes:
        """Waits until the side chain is anchored at `height` or above; verifies a pack of then."""

        def anchored():
            answer = self.client.call("GetAnchor", chain=issued.chain, with_proof=True)
            expect("chain and state", (issued.side, False), (answer.chain_id, answer.frozen))
            return answer if answer.height >= height else None

        answer = until("the anchor", anchored)
        key = sidechain.anchor_key(issued.side, answer.height)
        anchor, _ = self.client.proven_value("main", answer.evidence, key, sidechain.ANCHOR)
        expect("the anchor", (answer.height, answer.block_id, answer.main_height),
               (anchor["height"], anchor["block"], anchor["main_height"]))
        answer = self.client.call("GetPack", chain=issued.chain, certificate=issued.name,
                                  holder=holder.address)
        encoded, validators = answer.encoded_pack, self.network.genesis.validators
        verified = packs.verify(encoded, self.network.main, validators)
        expect("the pack", (issued.chain, issued.name, answer.height, answer.main_height),
               (verified["side_chain"], verified["certificate"], verified["side_height"],
                verified["main_height"]))
        expect("its holders", [one.address for one in issued.holders], list(verified["holders"]))
        if verified["side_height"] < height:
            raise ValueError("the pack is as of an earlier block than the anchored one")
        expect("its result", expected,
               packs.result(verified, holder.address, verified["main_time"]))
        say(f"{issued.type_name}: block {anchor['height']} is anchored in main block "
            f"{anchor['main_height']}; off line the pack of {len(encoded)} bytes proves: {expected}, "
            f"as of side block {verified['side_height']} and main block {verified['main_height']}")
        return encoded


def named(party: Party) -> str:
    return address.to_text(party.address)
