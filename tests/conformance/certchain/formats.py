"""The structures, field by field (formats.md, 6 to 10)."""

from .codec import U16, U32, U64, Bool, Bytes, Enum, Fixed, List, Option, Struct, Text, Versioned

HASH = Fixed(32)
KEY = Fixed(32)
SIGNATURE = Fixed(64)

VALIDATOR_SET = Struct(epoch=U64, validators=List(Struct(vote_key=KEY, network_key=KEY)))

CHECKPOINT = Struct(height=U64, block=HASH, state_root=HASH)

HEADER = Struct(
    protocol=U16,
    chain=HASH,
    epoch=U64,
    height=U64,
    view=U32,
    proposer=U16,
    offset=U64,
    parent=HASH,
    parent_commit=HASH,
    parent_view=U32,
    time_ms=U64,
    tx_root=HASH,
    tx_count=U32,
    history_root=HASH,
    checkpoint=Option(CHECKPOINT),
)

OUTCOME = Struct(state_root=HASH, receipts_root=HASH, next_validators=HASH)

PREPARE_VOTE = Struct(chain=HASH, epoch=U64, height=U64, view=U32, header=HASH)
COMMIT_VOTE = Struct(chain=HASH, epoch=U64, height=U64, view=U32, header=HASH, outcome=HASH)

INDEXED_SIGNATURE = Struct(validator=U16, signature=SIGNATURE)

CERTIFICATE = Struct(
    epoch=U64,
    height=U64,
    view=U32,
    header=HASH,
    outcome=HASH,
    signatures=List(INDEXED_SIGNATURE),
)

SEALED_BLOCK = Struct(
    header=HEADER,
    parent_certificate=CERTIFICATE,
    transactions=List(Bytes()),
    outcome=OUTCOME,
    commit_certificate=CERTIFICATE,
)

# What an anchor carries of a side block.
SEALED_HEADER = Struct(header=HEADER, outcome=OUTCOME, commit_certificate=CERTIFICATE)

HISTORY_PROOF = Struct(height=U64, size=U64, siblings=List(HASH), peaks=List(HASH))

RECEIPT = Struct(transaction=HASH, code=U16, subject=HASH)

# Consensus.

PREPARED_REF = Struct(view=U32, header=HASH)
PRE_PREPARE_VOTE = Struct(chain=HASH, epoch=U64, height=U64, view=U32, header=HASH, contents=HASH)
VIEW_CHANGE_VOTE = Struct(
    chain=HASH, epoch=U64, height=U64, view=U32, prepared=Option(PREPARED_REF)
)
NEW_VIEW_VOTE = Struct(
    chain=HASH, epoch=U64, height=U64, view=U32, claims=HASH, prepared=Option(PREPARED_REF)
)
STATEMENTS = {
    "PrePrepare": ("sign pre-prepare", PRE_PREPARE_VOTE),
    "Prepare": ("sign prepare", PREPARE_VOTE),
    "Commit": ("sign commit", COMMIT_VOTE),
    "ViewChange": ("sign view-change", VIEW_CHANGE_VOTE),
    "NewView": ("sign new-view", NEW_VIEW_VOTE),
}
STATEMENT = Enum(**{name: kind for name, (_, kind) in STATEMENTS.items()})
SIGNED_STATEMENT = Struct(statement=STATEMENT, signer=U16, signature=SIGNATURE)
EQUIVOCATION = Struct(first=SIGNED_STATEMENT, second=SIGNED_STATEMENT)

CONTENTS = Struct(parent_certificate=CERTIFICATE, witness_ids=List(HASH))
PREPARED_CERTIFICATE = Struct(view=U32, header=HEADER, signatures=List(INDEXED_SIGNATURE))
CLAIM = Struct(signer=U16, prepared=Option(PREPARED_REF), signature=SIGNATURE)
CLAIMS = List(CLAIM)
MESSAGE = Enum(
    PrePrepare=Struct(header=HEADER, contents=CONTENTS, signature=SIGNATURE),
    Prepare=Struct(vote=PREPARE_VOTE, signer=U16, signature=SIGNATURE),
    Commit=Struct(vote=COMMIT_VOTE, signer=U16, signature=SIGNATURE),
    ViewChange=Struct(
        vote=VIEW_CHANGE_VOTE,
        signer=U16,
        signature=SIGNATURE,
        certificate=Option(PREPARED_CERTIFICATE),
    ),
    NewView=Struct(
        chain=HASH,
        epoch=U64,
        height=U64,
        view=U32,
        claims=CLAIMS,
        prepared=Option(PREPARED_CERTIFICATE),
        signer=U16,
        signature=SIGNATURE,
    ),
)
JOURNAL_RECORD = Enum(
    Signed=MESSAGE,
    Header=HEADER,
    Prepared=PREPARED_CERTIFICATE,
    Sealed=Struct(height=U64),
    Amnesia=Struct(nonce=HASH),
    Cleared=Struct(height=U64),
)

# Genesis and the main chain's state.

LIMITS = Struct(
    transaction_bytes=U64,
    block_bytes=U64,
    block_transactions=U64,
    transaction_window_ms=U64,
    mempool_transactions=U64,
    mempool_bytes=U64,
    mempool_per_sender=U64,
)
TIMERS = Struct(
    view_timeout_ms=U64,
    view_timeout_cap_ms=U64,
    heartbeat_ms=U64,
    staleness_ms=U64,
    clock_bound_ms=U64,
    clock_bound_cap_ms=U64,
    rotation_blocks=U64,
    block_interval_ms=U64,
    side_heartbeat_ms=U64,
    anchor_interval_ms=U64,
    anchor_blocks=U64,
    recovery_wait_ms=U64,
)
GOVERNANCE = Struct(threshold_percent=U64, voting_period_ms=U64, open_proposals=U64)
FIELD = Struct(
    name=Text(),
    title=Text(),
    kind=Enum(text=None, date=None, number=None, address=None),
    max_bytes=U32,
    required=Bool(),
)
CERTIFICATE_TYPE = Struct(
    chain=Enum(marriage=None, property=None, degree=None, business=None, health=None),
    name=Text(),
    title=Text(),
    validity_days=Option(U32),
    fields=List(FIELD),
)
GENESIS = Struct(
    protocol=U16,
    network=Text(),
    time_ms=U64,
    validators=List(
        Struct(name=Text(), organisation_code=Text(), vote_key=KEY, network_key=KEY)
    ),
    registrars=List(
        Struct(name=Text(), organisation_code=Text(), public_key=KEY, encryption_key=KEY)
    ),
    agencies=List(
        Struct(
            name=Text(),
            organisation_code=Text(),
            public_key=KEY,
            encryption_key=KEY,
            may_issue=List(Text()),
        )
    ),
    catalogue=List(CERTIFICATE_TYPE),
    limits=LIMITS,
    timers=TIMERS,
    tag_key_version=U32,
    governance=GOVERNANCE,
)
MEMBER = Struct(
    name=Text(), organisation_code=Text(), vote_key=KEY, network_key=KEY, listen=Text()
)

IDENTITY_VERSION = Struct(
    sequence=U32,
    from_height=U64,
    from_time=U64,
    public_key=KEY,
    encryption_key=KEY,
    status=Enum(Active=None, Suspended=None, Revoked=None, Deceased=None, Closed=None),
    reason=U16,
    devices=List(KEY),
)
# First byte of the records of identities.
RECORD_VERSION = 1

IDENTITY_RECORD = Versioned(
    RECORD_VERSION,
    Struct(
        kind=Enum(
            Citizen=None,
            Organisation=None,
            Agency=None,
            Verifier=None,
            Auditor=None,
            Registrar=None,
        ),
        registered_height=U64,
        registered_time=U64,
        agency=HASH,
        registrar=HASH,
        organisation_code=Text(),
        attribute_root=HASH,
        tag=HASH,
        tag_key_version=U32,
        may_issue=List(Text()),
        present=IDENTITY_VERSION,
    ),
)
PAST_VERSION = Versioned(RECORD_VERSION, Struct(version=IDENTITY_VERSION, until_height=U64))
RECOVERY = Versioned(
    RECORD_VERSION,
    Struct(
        public_key=KEY,
        encryption_key=KEY,
        agency=HASH,
        registrar=HASH,
        opened_height=U64,
        opened_time=U64,
        due=U64,
        ends=U64,
        stage=Enum(Waiting=None, Contested=None, Completed=None, Rejected=None),
        stage_height=U64,
    ),
)
RESTART_NOTICE = Versioned(
    RECORD_VERSION, Struct(epoch=U64, validator=U16, nonce=HASH, height=U64)
)
PARAMETERS = Struct(limits=LIMITS, timers=TIMERS, tag_key_version=U32)

# Governance.

VOTER = Struct(epoch=U64, validator=U16, vote_key=KEY)
TYPES_OF = Struct(agency=HASH, types=List(Text()))
APPLICATION = Struct(
    name=Text(),
    organisation_code=Text(),
    vote_key=KEY,
    network_key=KEY,
    vote_signature=SIGNATURE,
    network_signature=SIGNATURE,
)
APPLICATION_CONTENT = Struct(
    chain=HASH, name=Text(), organisation_code=Text(), vote_key=KEY, network_key=KEY
)
CHANGE = Enum(
    AccreditAgency=TYPES_OF,
    WithdrawAccreditation=TYPES_OF,
    AppointRegistrar=Struct(address=HASH),
    DismissRegistrar=Struct(address=HASH),
    SetParameters=Struct(limits=LIMITS, timers=TIMERS, governance=GOVERNANCE),
    SetTagKeyVersion=Struct(version=U32),
    AdmitValidator=APPLICATION,
    RemoveValidator=Struct(vote_key=KEY, follow_ms=U64),
    RotateValidatorKeys=Struct(vote_key=KEY, application=APPLICATION),
    AdmitObserver=Struct(name=Text(), network_key=KEY),
    DismissObserver=Struct(network_key=KEY),
)
PROPOSAL_STATE = Enum(
    Open=None,
    Accepted=Struct(height=U64),
    Rejected=Struct(height=U64),
    Executed=None,
    Expired=None,
    Failed=Struct(code=U16),
)
PROPOSAL = Versioned(
    RECORD_VERSION,
    Struct(
        proposer=VOTER,
        change=CHANGE,
        opened_height=U64,
        opened_time=U64,
        ends=U64,
        execution_height=U64,
        votes=List(Struct(voter=VOTER, approve=Bool(), height=U64, time=U64)),
        state=PROPOSAL_STATE,
    ),
)
RULES = Versioned(RECORD_VERSION, Struct(rules=GOVERNANCE))
PROPOSALS = Versioned(RECORD_VERSION, Struct(ids=List(HASH)))
OFFERS = Versioned(
    RECORD_VERSION,
    Struct(offers=List(Struct(proposal=HASH, height=U64, types=List(Text())))),
)
REGISTRARS = Versioned(RECORD_VERSION, Struct(addresses=List(HASH)))
TYPES = Versioned(RECORD_VERSION, Struct(names=List(Text())))
MEMBERS = Versioned(
    RECORD_VERSION,
    Struct(
        members=List(Struct(name=Text(), organisation_code=Text(), signed=U64)),
        observers=List(Struct(name=Text(), network_key=KEY, until=Option(U64))),
    ),
)
