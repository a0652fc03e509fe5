//! Everything that can happen to an engine.

use certchain_proto::{
    Checkpoint, Epoch, Height, Outcome, TimeMs, ValidatorIndex, ValidatorSet, View,
    hash::{HeaderDigest, HistoryRoot, TxRoot, WitnessId},
};

use crate::{
    message::Message,
    timer::TimerId,
    verify::{Sealed, Verified},
};

/// The node's answer to a request for a proposal: what the engine cannot know of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// As requested.
    pub height: Height,
    /// As requested.
    pub view: View,
    /// The node's clock, at least the request's `min_time`; every transaction is valid at it.
    pub time_ms: TimeMs,
    /// The transactions in order.
    pub witness_ids: Vec<WitnessId>,
    /// Root over them.
    pub tx_root: TxRoot,
    /// Root over the names of all earlier blocks.
    pub history_root: HistoryRoot,
    /// On a side chain the main block to stand on.
    pub checkpoint: Option<Checkpoint>,
}

/// Why a body cannot be voted for. What is merely not there yet is no answer at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFault {
    /// The transactions are not those of the header's root, or one stands twice.
    Transactions,
    /// A transaction may not stand in this block.
    Inadmissible,
    /// The header's history root is not that of this chain.
    History,
    /// The checkpoint is not a block of the main chain, or too old.
    Checkpoint,
    /// Larger than a block may be.
    TooLarge,
}

/// One thing that happens to an engine; each is one call of `step`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A validator's message, verified outside.
    Message(Box<Verified<Message>>),
    /// A timer that the engine set has run out.
    Timer(TimerId),
    /// Answer to `RequestProposal`: this could be the next block.
    Proposal(Box<Proposal>),
    /// Answer to `RequestProposal`: there is nothing to put into a block, and none is due.
    NothingToPropose {
        /// As requested.
        height: Height,
        /// As requested.
        view: View,
    },
    /// Answer to `CheckBody`: all of it is here, valid, and synced to disk.
    BodyReady {
        /// The block asked about.
        header: HeaderDigest,
    },
    /// Answer to `CheckBody`: it can never be valid.
    BodyInvalid {
        /// The block asked about.
        header: HeaderDigest,
        /// Why.
        fault: BodyFault,
    },
    /// Answer to `Execute`.
    Executed {
        /// The block executed.
        header: HeaderDigest,
        /// Its result.
        outcome: Outcome,
    },
    /// After an `Executed` whose outcome names another validator set than the present one: that set.
    /// Until it is told, the block is neither voted for nor committed (VS-2).
    Validators {
        /// The block executed.
        header: HeaderDigest,
        /// The set that decides from the next height on.
        validators: Box<ValidatorSet>,
    },
    /// Something came that cannot be verified, since it is of an epoch that is not known yet.
    LaterEpoch {
        /// The epoch that it names.
        epoch: Epoch,
    },
    /// A decided block from sync. The node has checked its body against the header and stands ready
    /// to execute it.
    Sealed(Box<Verified<Sealed>>),
    /// The ledger holds this committed block on disk.
    Applied {
        /// Its height.
        height: Height,
    },
    /// This validator of the present set can be reached again, so that it need not wait for our next
    /// repeat.
    Connected {
        /// Who.
        validator: ValidatorIndex,
    },
    /// Whether transactions wait that every validator has been sent.
    WorkChanged {
        /// Whether there is such work now.
        pending: bool,
    },
    /// The block at this height holds the restart notice with our nonce.
    AmnesiaCleared {
        /// Its height.
        height: Height,
    },
}
