//! Bugs that can be put in on purpose, so that the simulator shows that it would find them.
//!
//! Only the package `certchain-consensus-planted` compiles them: the same sources with the feature
//! `planted-bugs`. In this one [`is`] is the constant `false` and nothing of them is left.

macro_rules! bugs {
    ($($(#[$doc:meta])+ $name:ident,)+) => {
        /// A bug, named for what it does wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Bug {
            $($(#[$doc])+ $name,)+
        }

        impl Bug {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];
        }
    };
}

bugs! {
    // Votes are durable before they are sent.
    /// J-1: an output's actions are released without its records being written.
    SendsBeforeStoring,
    /// J-1: an output's actions are released though the journal refused its records.
    SendsThoughStoringFailed,
    /// what the journal holds of the open height is not taken up at a start.
    ForgetsVotesAtRestart,
    /// J-4: a rewritten journal keeps no lock on an outcome and no earlier COMMIT.
    CompactsCommitsAway,
    /// J-4: a rewritten journal keeps no prepared certificate.
    CompactsCertificateAway,
    /// the floor of the journal does not silence.
    SignsBelowFloor,
    /// a node without its journal votes at once.
    VotesWithAmnesia,
    /// P-1: PREPARE before the body is checked and on disk.
    PreparesBeforeBody,
    /// C-1: the certificate under a COMMIT is not written.
    CommitsWithoutStoredCertificate,
    // Certificates count distinct registered signers.
    /// P-2: one PREPARE less than a quorum makes a prepared certificate.
    PreparedBelowQuorum,
    /// C-3: one COMMIT less than a quorum decides.
    DecidesBelowQuorum,
    /// P-2: PREPAREs for other headers count too.
    CountsPreparesForOtherBlocks,
    /// C-3: COMMITs for other outcomes count too.
    CountsCommitsForOtherOutcomes,
    /// C-3: COMMITs of different views add up.
    AddsUpViews,
    /// The signature of a message is not checked.
    SkipsSignature,
    /// A certificate inside a message is not checked.
    SkipsInnerCertificates,
    /// A statement of another chain is taken.
    TakesOtherChains,
    /// A statement of another epoch is taken.
    TakesOtherEpochs,
    /// A signature under VIEW-CHANGE leaves the view out.
    SignsWithoutView,
    /// A signature under VIEW-CHANGE leaves the height out.
    SignsWithoutHeight,
    // Headers, bodies and roots are recomputed.
    /// PP-3: a block's time need not rise.
    TakesAnyTime,
    /// PP-3: the parent is not compared with the last block.
    TakesAnyParent,
    /// PP-3: the offset of the order of primaries is taken from the header.
    TakesAnyOffset,
    /// PP-4: a fresh proposal's time is not compared with the clock.
    TakesFutureTimes,
    /// C-2: after COMMIT for one outcome another one is voted for.
    VotesForTwoOutcomes,
    // View changes.
    /// VC-1: PREPARE and COMMIT in a view that was voted to be left.
    VotesAfterLeaving,
    /// VC-1: a VIEW-CHANGE claims no certificate.
    HidesCertificate,
    /// NV-2: whoever opens a view takes a fresh block, whatever was prepared.
    OpensWithFreshBlock,
    /// NV-2: whoever opens a view takes the lowest certificate.
    OpensWithLowestCertificate,
    /// NV-2: replicas believe the primary's choice.
    BelievesNewView,
    /// NV-1: fewer than a quorum of requests open a view.
    OpensBelowQuorum,
    /// NV-3: a view below the present one is entered.
    EntersLowerViews,
    /// C-1: COMMIT on a certificate of an earlier view.
    CommitsOnOldCertificate,
    // Progress.
    /// T-1: timeouts double without a cap.
    DoublesForEver,
    /// VC-2: the time of a view asked for starts at once.
    RunsAheadAlone,
    /// VC-3: one sender pulls us.
    FollowsOne,
    /// VC-3: nobody pulls us.
    FollowsNobody,
    /// NV-4: the body of a prepared block is waited for, not fetched.
    WaitsForPreparedBody,
    /// NV-5, T-4: what was said is not said again.
    NeverRepeats,
    /// PP-4: prepared blocks are compared with the clock.
    RefusesOldPreparedBlocks,
    /// S-2, S-3: nothing is fetched.
    NeverFetches,
    /// PR-2: the order of primaries does not pass over a dead one.
    KeepsDeadPrimary,
    /// C-4: whoever knows a decision changes no view, though it lacks the block.
    RestsOnDecision,
    /// the end of amnesia is not noticed.
    StaysSilent,
    // Validator sets that change.
    /// VS-2: the set told is not compared with the one that the outcome names.
    TakesAnyNextSet,
    /// VS-3: the old set goes on.
    KeepsOldSet,
    /// VS-3: our place is not looked up anew.
    KeepsOldPlace,
    /// VS-3: whoever left has no place in later sets.
    LeavesForGood,
    /// VS-3: the order of primaries starts anew with each set.
    RestartsOrder,
    /// VS-4: statements of other epochs than the height's count.
    CountsOtherEpochs,
    /// VS-4: certificates of other epochs than the height's decide.
    TakesRetiredDecisions,
    /// the restart notice is not asked for again when a set gives us a place.
    ForgetsNotice,
    // Resources.
    /// S-5: messages for the next height are kept without a bound.
    KeepsAllAhead,
    /// Votes of all views of a sender are kept.
    KeepsAllViews,
    /// Candidates of the undecided height are kept whatever their number.
    KeepsAllCandidates,
    // Sync and consensus.
    /// C-5, S-4: a sealed block is committed once more when consensus decides it too.
    CommitsTwice,
    // Evidence.
    /// E-1: what was merely said twice is evidence.
    AccusesRepeats,
}

#[cfg(feature = "planted-bugs")]
mod chosen {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static CHOSEN: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Whether this bug is in, on this thread.
    pub(crate) fn is(bug: Bug) -> bool {
        CHOSEN.get() == Some(bug)
    }

    /// Puts a bug in, or takes it out, on this thread.
    pub fn plant(bug: Option<Bug>) {
        CHOSEN.set(bug);
    }
}

#[cfg(feature = "planted-bugs")]
pub(crate) use chosen::is;
#[cfg(feature = "planted-bugs")]
pub use chosen::plant;

/// No bug is ever in.
#[cfg(not(feature = "planted-bugs"))]
pub(crate) const fn is(_: Bug) -> bool {
    false
}
