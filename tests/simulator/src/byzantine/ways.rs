//! All ways by number and name.

use super::Behaviour;

type Make = fn() -> Box<dyn Behaviour>;

macro_rules! ways {
    ($($module:ident :: $behaviour:ident,)+) => {
        const ALL: &[(&str, Make)] = &[
            $((stringify!($module), || Box::new(super::$module::$behaviour::default())),)+
        ];
    };
}

ways! {
    silent_primary::SilentPrimary,
    equivocating_primary::EquivocatingPrimary,
    withheld_bodies::WithheldBodies,
    stale_replay::StaleReplay,
    conflicting_votes::ConflictingVotes,
    bogus_new_view::BogusNewView,
    hidden_certificate::HiddenCertificate,
    split_blocks::SplitBlocks,
    unknown_block_votes::UnknownBlockVotes,
    old_certificates::OldCertificates,
    ignored_certificate::IgnoredCertificate,
    repeated_signers::RepeatedSigners,
    forged_signers::ForgedSigners,
    forged_votes::ForgedVotes,
    relabelled_votes::RelabelledVotes,
    timeout_edge::TimeoutEdge,
    far_future::FarFuture,
    vote_flood::VoteFlood,
    bad_roots::BadRoots,
    bad_times::BadTimes,
    bad_headers::BadHeaders,
    lying_sync::LyingSync,
    other_chain::OtherChain,
    usurper::Usurper,
    partial_broadcast::PartialBroadcast,
    late_votes::LateVotes,
    two_faced_view_change::TwoFacedViewChange,
    premature_new_view::PrematureNewView,
    mute::Mute,
    echo_storm::EchoStorm,
    chosen_parents::ChosenParents,
    lonely_commit::LonelyCommit,
    retired_quorum::RetiredQuorum,
}

/// Number of ways.
pub const WAYS: usize = ALL.len();

/// Where the one stands that has nothing to do where sets never change.
pub const RETIRED_QUORUM: usize = WAYS - 1;

/// Of those before it one is drawn for each faulty validator.
pub const DRAWN_WAYS: usize = RETIRED_QUORUM;

/// The way with this number.
pub fn way(number: usize) -> Box<dyn Behaviour> {
    ALL[number % WAYS].1()
}

/// Whether this way has nothing to do where sets never change.
pub fn needs_changes(number: usize) -> bool {
    number % WAYS == RETIRED_QUORUM
}

/// What the way with this number is called.
pub fn name(number: usize) -> &'static str {
    ALL[number % WAYS].0
}
