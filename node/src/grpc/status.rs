//! From errors to gRPC statuses.

use certchain_ledger::refusal::Refusal;
use certchain_proto::wire::v1;
use tonic::{Code, Status, metadata::MetadataValue};

use crate::chain::Busy;

/// The metadata key that holds the stable code of a refusal, such as `CODE_TAG_TAKEN`.
pub const CODE_KEY: &str = "certchain-code";

/// The status of a refusal.
pub fn refused(refusal: &Refusal) -> Status {
    let code = refusal.code();
    let mut status = Status::new(grpc_code(code), refusal.to_string());
    if let Ok(value) = MetadataValue::try_from(code.as_str_name()) {
        status.metadata_mut().insert(CODE_KEY, value);
    }
    status
}

/// The gRPC code that a client library without knowledge of ours acts on.
const fn grpc_code(code: v1::Code) -> Code {
    use v1::Code as C;
    match code {
        C::Ok => Code::Ok,
        C::Malformed
        | C::NotCanonical
        | C::TooLarge
        | C::WrongChain
        | C::BadField
        | C::BadKey
        | C::KindNotHere
        | C::WrongRecipient
        | C::BadProof
        | C::NoConflict
        | C::NoChange
        | C::BadExecutionHeight
        | C::BadParameters => Code::InvalidArgument,
        C::BadSignature | C::MissingSigner | C::SurplusSigner | C::WrongKey => {
            Code::Unauthenticated
        }
        C::Suspended
        | C::Revoked
        | C::Ended
        | C::NotEntitled
        | C::NotAccredited
        | C::NotHolder
        | C::WrongVerifier => Code::PermissionDenied,
        C::Expired
        | C::TooFar
        | C::NotSuspended
        | C::UnknownValidator
        | C::WrongStatus
        | C::RecoveryOpen
        | C::NoRecovery
        | C::RecoveryNotDue
        | C::TooManyDevices
        | C::PresentationExpired
        | C::StaleCheckpoint
        | C::OldEpoch
        | C::Frozen
        | C::VotingEnded
        | C::LastRegistrar
        | C::NoQuorumLeft
        | C::FixedParameter
        | C::ApprovalsLapsed
        | C::NoOffer => Code::FailedPrecondition,
        C::Replayed
        | C::TagTaken
        | C::KeyTaken
        | C::OrganisationTaken
        | C::ClaimTaken
        | C::CertificateTaken
        | C::PresentationUsed
        | C::OldAnchor
        | C::AlreadyVoted
        | C::MemberTaken => Code::AlreadyExists,
        C::UnknownAccount
        | C::UnknownDevice
        | C::UnknownCertificate
        | C::UnknownType
        | C::UnknownChain
        | C::UnknownProposal
        | C::UnknownMember => Code::NotFound,
        C::MempoolFull | C::Quota | C::TooManyProposals | C::TooManyOffers | C::TooManyMembers => {
            Code::ResourceExhausted
        }
        C::Unavailable => Code::Unavailable,
    }
}

/// The node cannot take more at the moment.
pub fn busy(error: Busy) -> Status {
    Status::unavailable(error.to_string())
}

/// The store cannot be read: the operator must look, the client should go elsewhere.
pub fn unreadable(error: impl std::fmt::Display) -> Status {
    tracing::error!(%error, "a request could not be answered from the store");
    Status::internal("this node cannot read its store; use another node and tell its operator")
}

/// A field of a request is wrong.
pub fn invalid(field: &str, problem: &str) -> Status {
    Status::invalid_argument(format!("field {field} {problem}"))
}
