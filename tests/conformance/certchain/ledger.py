"""What blocks do to the states of main and a side chain, as far as vectors need it (formats.md, 5 to
9 and 14).

A model, not a node: it keeps every state as a whole, and knows the kinds of transactions that the
vectors hold.
"""

from . import address, chain, ed25519, sidechain
from .codec import decode, encode
from .formats import HEADER, IDENTITY_RECORD, MEMBERS, OUTCOME, PARAMETERS
from .presentations import decode_message, presentation_id
from .presentations import signing_hash as presentation_hash
from .proofs import history_root, merkle_root, state_root

KINDS = ["Citizen", "Organisation", "Agency", "Verifier", "Auditor"]


class Chain:
    """Blocks, their names, the state after each, and the certificate of each, from height 0."""

    def __init__(self, name: str, chain_id: bytes, first: dict):
        self.name, self.id = name, chain_id
        header, outcome = decode(HEADER, first["header"]), decode(OUTCOME, first["outcome"])
        names = chain.header_digest(first["header"]), chain.outcome_digest(first["outcome"])
        self.certificates = [chain.genesis_certificate(*names)]
        self.blocks = [{"header": header, "outcome": outcome}]
        self.names, self.states = [first["id"]], [first["leaves"]]
        self.receipts = [[]]

    @property
    def state(self) -> dict:
        return self.states[-1]


class Execution:
    """One block that is being executed; raises where a node would refuse the transaction."""

    def __init__(self, ledger, keeper: Chain, time: int, checkpoint):
        self.ledger, self.chain, self.time = ledger, keeper, time
        self.height = len(keeper.blocks)
        self.leaves = dict(keeper.state)
        # What questions about identities are answered from.
        self.accounts = self.leaves if checkpoint is None else ledger.main.states[checkpoint]

    def identity(self, account: bytes) -> dict:
        return decode(IDENTITY_RECORD, self.accounts[chain.identity_key(account)])

    def key_of(self, account: bytes) -> bytes:
        return self.identity(account)["present"]["public_key"]

    def put(self, key: bytes, kind, record: dict):
        self.leaves[key] = encode(kind, record)

    def execute(self, envelope: bytes) -> dict:
        """The receipt of a transaction that takes effect."""
        message = self.ledger.message
        signed = message("SignedTransaction").FromString(envelope)
        body = message("TransactionBody").FromString(signed.body)
        if body.chain_id != self.chain.id or not self.time < body.valid_until_ms:
            raise ValueError("for another chain, or too late")
        kind = body.WhichOneof("kind")
        content = getattr(body, kind)
        hashed = chain.signing_hash(signed.body)
        keys = [one.public_key for one in signed.signatures]
        if keys != getattr(self, f"signers_of_{kind}")(content):
            raise ValueError(f"other signers than {kind} has")
        if not all(ed25519.verify(one.public_key, hashed, one.signature)
                   for one in signed.signatures):
            raise ValueError("a signature does not hold")
        name = chain.transaction_id(signed.body)
        subject = getattr(self, kind)(content, name)
        return {"transaction": name, "code": 0, "subject": subject}

    def note_signers(self, parent: dict):
        """The end of main's block: who signed the block before (formats.md, 9)."""
        record = decode(MEMBERS, self.leaves[chain.MEMBERS_KEY])
        places = {one["validator"] for one in parent["signatures"]}
        timers = decode(PARAMETERS, self.leaves[chain.PARAMETERS_KEY])["timers"]
        window = len(record["members"]) * timers["rotation_blocks"]
        for place, member in enumerate(record["members"]):
            new = member["signed"] == 0 or member["signed"] // window < parent["height"] // window
            if place in places and new:
                member["signed"] = parent["height"]
        self.put(chain.MEMBERS_KEY, MEMBERS, record)

    # Kinds, each with its signers in order.

    def signers_of_register_identity(self, content):
        return [self.key_of(content.agency), self.key_of(content.registrar), content.public_key]

    def register_identity(self, content, _) -> bytes:
        name = address.of(content.public_key)
        key, tag = chain.identity_key(name), chain.tag_key(content.tag)
        if key in self.leaves or tag in self.leaves:
            raise ValueError("the key or the document has an identity already")
        self.put(key, IDENTITY_RECORD, dict(
            kind=KINDS[content.kind - 1], registered_height=self.height, registered_time=self.time,
            agency=content.agency, registrar=content.registrar,
            organisation_code=content.organisation_code, attribute_root=content.attribute_root,
            tag=content.tag, tag_key_version=content.tag_key_version, may_issue=[],
            present=dict(sequence=0, from_height=self.height, from_time=self.time,
                         public_key=content.public_key, encryption_key=content.encryption_key,
                         status="Active", reason=0, devices=[])))
        self.leaves[tag] = name
        if content.organisation_code:
            self.leaves[chain.organisation_key(content.organisation_code)] = name
        return name

    def signers_of_submit_anchor(self, _):
        """Any validator of the side chain may; the vectors' is the second."""
        return [self.ledger.validators.members[1][0]]

    def submit_anchor(self, content, _) -> bytes:
        key = sidechain.side_chain_key(content.chain_id)
        known = decode(sidechain.SIDE_CHAIN, self.leaves[key])
        before = known["genesis"]
        if known["last_anchor"]:
            at = sidechain.anchor_key(content.chain_id, known["last_anchor"])
            before = decode(sidechain.ANCHOR, self.leaves[at])["block"]
        anchor = sidechain.check_anchor(
            content.chain_id, self.ledger.validators, known["last_anchor"], before,
            content.sealed_header, content.history_proof)
        self.put(sidechain.anchor_key(content.chain_id, anchor["height"]), sidechain.ANCHOR,
                 {**anchor, "main_height": self.height})
        self.put(key, sidechain.SIDE_CHAIN, {**known, "last_anchor": anchor["height"]})
        return anchor["block"]

    def signers_of_issue_certificate(self, content):
        return [self.key_of(content.issuer)]

    def issue_certificate(self, content, transaction) -> bytes:
        code, name = self.issue(content.issuer, content.certificate, transaction, 0)
        if code:
            raise ValueError(f"the certificate is refused with {code}")
        return name

    signers_of_issue_batch = signers_of_issue_certificate

    def issue_batch(self, content, transaction) -> bytes:
        lines = [self.issue(content.issuer, draft, transaction, line)
                 for line, draft in enumerate(content.certificates)]
        self.ledger.lines[transaction] = lines
        return sidechain.lines_root(lines)

    def issue(self, issuer: bytes, draft, transaction: bytes, line: int):
        """Code and id of one line; a record if it stands."""
        code = self.ledger.codes.values_by_name
        if not draft.holders or len(draft.encrypted) != len(draft.holders):
            return code["CODE_BAD_FIELD"].number, bytes(32)
        name = sidechain.certificate_id(
            self.chain.id, issuer, draft.type, draft.field_root, draft.nonce)
        recipients = [self.identity(holder)["present"]["encryption_key"] for holder in draft.holders]
        if recipients != [one.recipient_key for one in draft.encrypted]:
            return code["CODE_WRONG_RECIPIENT"].number, name
        if draft.type not in self.identity(issuer)["may_issue"]:
            raise ValueError("the issuer is not accredited")
        self.put(sidechain.certificate_key(name), sidechain.CERTIFICATE, dict(
            type=draft.type, issuer=issuer, serial=self.next_serial(issuer, draft.type),
            holders=[dict(address=holder, accepted=None) for holder in draft.holders],
            field_root=draft.field_root, claim=draft.claim or None, issued_height=self.height,
            issued_time=self.time, transaction=transaction, line=line,
            valid_from=draft.valid_from_ms or self.time, valid_until=draft.valid_until_ms or None,
            version=0, status="Issued", status_height=self.height, status_time=self.time, reason=0))
        return 0, name

    def next_serial(self, issuer: bytes, type_name: str) -> int:
        key = sidechain.serials_key(issuer, type_name)
        serial = int.from_bytes(self.leaves.get(key, bytes(8)), "big") + 1
        self.leaves[key] = serial.to_bytes(8, "big")
        return serial

    def signers_of_accept_certificate(self, content):
        return [self.key_of(content.holder)]

    def accept_certificate(self, content, _) -> bytes:
        key = sidechain.certificate_key(content.certificate)
        record = decode(sidechain.CERTIFICATE, self.leaves[key])
        for holder in record["holders"]:
            if holder["address"] == content.holder:
                holder["accepted"] = self.time
        if all(holder["accepted"] is not None for holder in record["holders"]):
            record |= dict(status="Active", status_height=self.height, status_time=self.time)
        self.put(key, sidechain.CERTIFICATE, record)
        return content.certificate

    def signers_of_record_check(self, content):
        return [self.key_of(content.verifier)]

    def record_check(self, content, _) -> bytes:
        shown = decode_message(content.presentation)
        name, hashed = presentation_id(content.presentation), presentation_hash(content.presentation)
        if not ed25519.verify(self.key_of(shown["holder"]), hashed, content.holder_signature):
            raise ValueError("the holder's signature does not hold")
        record = decode(sidechain.CERTIFICATE,
                        self.leaves[sidechain.certificate_key(shown["certificate"])])
        holder, issuer = (self.identity(account)["present"]["status"]
                          for account in (shown["holder"], record["issuer"]))
        self.put(sidechain.check_key(name), sidechain.CHECK, dict(
            certificate=shown["certificate"], holder=shown["holder"], verifier=content.verifier,
            bearer=not shown["verifier"], purpose=content.purpose,
            disclosed=shown["disclosed_hash"], height=self.height, time=self.time,
            result=sidechain.judge(record, self.time, holder, issuer)))
        return name


class Ledger:
    """Main and the side chains from a genesis on, with the seeds of its validators."""

    def __init__(self, network: sidechain.Network, message, signers):
        self.network, self.message, self.signers = network, message, signers
        self.validators = network.genesis.validators
        self.codes = message("SignedTransaction").DESCRIPTOR.file.enum_types_by_name["Code"]
        self.chains = {name: Chain(name, network.id(name), first)
                       for name, first in network.blocks.items()}
        self.main = self.chains["main"]
        # Code and certificate of each line, by a batch's transaction.
        self.lines = {}

    def witness(self, envelope: bytes) -> bytes:
        signed = self.message("SignedTransaction").FromString(envelope)
        pairs = [(one.public_key, one.signature) for one in signed.signatures]
        return chain.witness_id(signed.body, pairs)

    def checkpoint(self, height: int) -> dict:
        outcome = self.main.blocks[height]["outcome"]
        return dict(height=height, block=self.main.names[height], state_root=outcome["state_root"])

    def append(self, name: str, envelopes, time: int, checkpoint, places) -> dict:
        """Executes and seals the next block of a chain; the validators at these places sign."""
        keeper = self.chains[name]
        height, parent = len(keeper.blocks), keeper.certificates[-1]
        execution = Execution(self, keeper, time, checkpoint)
        receipts = [execution.execute(envelope) for envelope in envelopes]
        if name == "main":
            execution.note_signers(parent)
        header = dict(
            protocol=1, chain=keeper.id, epoch=0, height=height, view=0, proposer=0, offset=0,
            parent=keeper.names[-1], parent_commit=chain.certificate_digest(parent), parent_view=0,
            time_ms=time, tx_root=merkle_root([self.witness(one) for one in envelopes]),
            tx_count=len(envelopes), history_root=history_root(keeper.names),
            checkpoint=None if checkpoint is None else self.checkpoint(checkpoint))
        outcome = dict(
            state_root=state_root(execution.leaves),
            receipts_root=merkle_root([chain.receipt_hash(one) for one in receipts]),
            next_validators=self.validators.digest())
        block = dict(header=header, outcome=outcome)
        certificate = self.seal(keeper.id, block, places)
        keeper.blocks.append(block)
        keeper.certificates.append(certificate)
        keeper.names.append(chain.block_id(certificate["header"], certificate["outcome"]))
        keeper.states.append(execution.leaves)
        keeper.receipts.append(receipts)
        return dict(header=header, parent_certificate=parent, transactions=list(envelopes),
                    outcome=outcome, commit_certificate=certificate)

    def seal(self, chain_id: bytes, block: dict, places) -> dict:
        certificate = dict(
            epoch=0, height=block["header"]["height"], view=block["header"]["view"],
            signatures=[])
        certificate["header"], certificate["outcome"] = chain.digests(block)
        hashed = chain.commit_hash(chain_id, certificate)
        certificate["signatures"] = [
            dict(validator=place, signature=self.signers[place].sign(hashed)) for place in places]
        return certificate

