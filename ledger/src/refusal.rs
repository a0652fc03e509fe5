//! Refusals: a stable code and one sentence that says what to do.

use std::fmt;

use certchain_proto::{transaction::TransactionError, wire::v1::Code};

/// Why a transaction is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    code: Code,
    detail: Option<String>,
}

impl Refusal {
    /// A refusal with nothing to add to its code's sentence.
    pub const fn new(code: Code) -> Self {
        Self { code, detail: None }
    }

    /// A refusal that names what it is about.
    pub fn about(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: Some(detail.into()),
        }
    }

    /// The stable code.
    pub const fn code(&self) -> Code {
        self.code
    }
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

impl From<TransactionError> for Refusal {
    fn from(error: TransactionError) -> Self {
        Self {
            code: error.code(),
            detail: Some(error.to_string()),
        }
    }
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.detail {
            Some(detail) => write!(f, "{detail}: {}", advice(self.code)),
            None => f.write_str(advice(self.code)),
        }
    }
}

/// What a code means and what to do about it.
pub const fn advice(code: Code) -> &'static str {
    match code {
        Code::Ok => "it took effect",
        Code::Malformed => "the bytes are no transaction; build it with the published .proto files",
        Code::NotCanonical => {
            "the body is not in canonical form; leave defaults out, write fields in order, text in \
             NFC"
        }
        Code::TooLarge => "more bytes or signatures than the chain takes; split it",
        Code::WrongChain => "it names another chain; read the chain's id from its status",
        Code::Expired => "valid_until_ms has passed; sign it anew with a later one",
        Code::TooFar => "valid_until_ms is beyond the chain's window; choose an earlier one",
        Code::Replayed => "this transaction was executed already; read its receipt",
        Code::BadField => "a field has a wrong length or a value out of range; correct it",
        Code::BadKey => "a public key is not one that the chain takes; make a new key",
        Code::BadSignature => "a signature does not hold; sign the body's hash again",
        Code::MissingSigner => {
            "a signer that the kind needs is missing or stands in the wrong order; let all sign in \
             the documented order"
        }
        Code::SurplusSigner => "more signatures than the kind has signers; leave the others out",
        Code::KindNotHere => "this kind does not run on this chain; send it to the right one",
        Code::MempoolFull => "the mempool is full; try again after the next block",
        Code::Quota => "your share of the mempool is used up; wait for receipts, then go on",
        Code::UnknownAccount => "an address is not registered; register it first",
        Code::WrongKey => {
            "the signing key is none of the account's present keys, or not its main key where that is \
             needed; sign with the right one"
        }
        Code::Suspended => "the account is suspended; ask a registrar",
        Code::Revoked => "the account is revoked for good; register a new one",
        Code::NotEntitled => "the account is not of the kind that may do this; use one that is",
        Code::TagTaken => "the document's tag is used: this person has an identity already",
        Code::KeyTaken => "the public key is or was that of an account; make a new key",
        Code::OrganisationTaken => "the organisation code is used; check it",
        Code::NotSuspended => "the account is not suspended; nothing is to be lifted",
        Code::UnknownValidator => "epoch or validator is not of the present set; look it up again",
        Code::Unavailable => "the node is stopping or its chain has halted; use another node",
        Code::UnknownCertificate => {
            "this chain has no certificate with this id; check the id and the chain"
        }
        Code::UnknownType => {
            "the chain's catalogue has no such type; look up its types, or use another chain"
        }
        Code::NotAccredited => {
            "the agency is not accredited for this type; ask the governance of the network"
        }
        Code::ClaimTaken => "a certificate that excludes this one is in force; end that one first",
        Code::CertificateTaken => "this certificate was issued already; read its record",
        Code::WrongRecipient => {
            "the fields are not encrypted to the holder's present key; look it up, encrypt anew"
        }
        Code::WrongStatus => "the certificate's status does not allow this; look it up",
        Code::NotHolder => "the account is not a holder of the certificate; use one that is",
        Code::PresentationExpired => {
            "the presentation's time is over or too far off; ask the holder for a new one"
        }
        Code::PresentationUsed => {
            "this presentation was recorded already; ask the holder for a new one"
        }
        Code::WrongVerifier => {
            "the presentation is for another verifier; ask the holder for one of your own"
        }
        Code::StaleCheckpoint => {
            "the chain's view of main is too old: only revocations and checks run; wait for main"
        }
        Code::UnknownChain => "main knows no side chain with this id; look its id up",
        Code::OldAnchor => "a later block is anchored already; nothing is to be done",
        Code::OldEpoch => "the block is not of the side chain's present epoch; anchor a later one",
        Code::BadProof => "a certificate or proof does not hold; build it again from the chain",
        Code::Frozen => "the side chain is frozen; governance must name the block that lives",
        Code::Ended => {
            "the account has ended: its holder died, or the company or office was closed"
        }
        Code::RecoveryOpen => {
            "a recovery of the account is open; object to it, or wait until it is decided"
        }
        Code::NoRecovery => "no recovery of the account is open at this stage; look the account up",
        Code::RecoveryNotDue => "the old keys may still object; wait until the recovery is due",
        Code::TooManyDevices => "the account has as many devices as it may; remove one",
        Code::UnknownDevice => {
            "the key is not that of a device of the account; look the account up"
        }
        Code::NoConflict => "both headers can be of one chain; nothing is to be frozen",
        Code::UnknownProposal => "no proposal has this id; list the proposals",
        Code::VotingEnded => {
            "the proposal is decided or its voting period is over; propose it again if it is needed"
        }
        Code::AlreadyVoted => "this validator has voted on the proposal; a vote stands",
        Code::TooManyProposals => {
            "too many proposals are open or due; wait until earlier ones are decided"
        }
        Code::BadExecutionHeight => {
            "the execution height is not above the block or too far above it; choose another"
        }
        Code::NoChange => "the change would change nothing; look at what is in force",
        Code::LastRegistrar => "no active registrar would be left; appoint another one first",
        Code::FixedParameter => "this parameter cannot be changed by vote; keep its present value",
        Code::BadParameters => {
            "the parameters are out of range or contradict each other; mend them"
        }
        Code::ApprovalsLapsed => {
            "too few of those who approved still vote on main; propose it again"
        }
        Code::NoOffer => {
            "no accreditation of this proposal waits for the agency; look the proposal up"
        }
        Code::TooManyOffers => {
            "too many accreditations or types; let the agency accept what waits, or withdraw some"
        }
        Code::MemberTaken => {
            "a validator or observer has this already; choose another name, code or key"
        }
        Code::UnknownMember => "there is no such validator or observer; look at who is in force",
        Code::NoQuorumLeft => {
            "the chain would stand still; bring nodes up first, or change one at a time"
        }
        Code::TooManyMembers => "the network is full; dismiss observers or remove validators first",
    }
}
