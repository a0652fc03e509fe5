//! Bounds on what the engine takes and keeps, in one place.

use certchain_proto::limits::{MAX_BLOCK_TRANSACTIONS, MAX_CERTIFICATE_BYTES, MAX_VALIDATORS};

/// Largest encoding of a header; the longest today has some 400 bytes.
pub const MAX_HEADER_BYTES: usize = 1024;

/// Largest encoding of one claim inside a NEW-VIEW.
pub const MAX_CLAIM_BYTES: usize = 160;

/// Largest encoding of a PRE-PREPARE: header, parent's certificate, 32 bytes for each transaction.
pub const MAX_PRE_PREPARE_BYTES: usize =
    MAX_HEADER_BYTES + MAX_CERTIFICATE_BYTES + 32 * MAX_BLOCK_TRANSACTIONS + 256;

/// Largest encoding of a VIEW-CHANGE: its claim and one prepared certificate.
pub const MAX_VIEW_CHANGE_BYTES: usize = 512 + MAX_HEADER_BYTES + MAX_CERTIFICATE_BYTES;

/// Largest encoding of a NEW-VIEW: a claim of each validator and one prepared certificate.
pub const MAX_NEW_VIEW_BYTES: usize =
    512 + MAX_VALIDATORS * MAX_CLAIM_BYTES + MAX_HEADER_BYTES + MAX_CERTIFICATE_BYTES;

/// Largest encoding of any message.
pub const MAX_MESSAGE_BYTES: usize = MAX_PRE_PREPARE_BYTES;

/// Largest encoding of one journal record; the largest holds our own PRE-PREPARE.
pub const MAX_RECORD_BYTES: usize = MAX_MESSAGE_BYTES + 64;

/// Views of one height for which votes of one sender are kept; the highest stay.
pub const VOTE_VIEWS_PER_SENDER: usize = 8;

/// VIEW-CHANGEs of one sender that are kept for one height; the highest stay.
pub const VIEW_CHANGES_PER_SENDER: usize = 4;

/// Bytes of messages for the next height that are kept for one sender.
pub const AHEAD_BYTES_PER_SENDER: usize = MAX_PRE_PREPARE_BYTES + 64 * 1024;

/// Messages for the next height that are kept for one sender.
pub const AHEAD_MESSAGES_PER_SENDER: usize = 16;

/// Proofs against one sender that are given at one height: one for each phase.
pub const EVIDENCE_PER_SENDER: usize = 5;

/// Blocks of the undecided height that are remembered at once. The ones that bind us (accepted,
/// prepared, committed to, decided) are kept whatever their number.
pub const MAX_CANDIDATES: usize = 8;

/// Own COMMITs, the newest, that are sent again while a height is undecided.
pub const RESENT_COMMITS: usize = 4;

/// Validator sets that a verifier keeps, the newest, so that laggards of earlier ones are still
/// understood (S-1); who is further behind asks for blocks without a vote that shows it.
pub const KEPT_SETS: usize = 64;

/// Laggards, of all epochs, of whom it is remembered when they were last sent a block; those of the
/// newest epochs stay.
pub const MAX_ANSWERED: usize = 2 * MAX_VALIDATORS;

/// Repeated statements of the last decided height that are remembered to tell a repeat from a
/// vote that is merely late.
pub const MAX_LATE_STATEMENTS: usize = MAX_VALIDATORS * 4 * VOTE_VIEWS_PER_SENDER;

const _: () = assert!(MAX_VIEW_CHANGE_BYTES <= MAX_MESSAGE_BYTES);
const _: () = assert!(MAX_NEW_VIEW_BYTES <= MAX_MESSAGE_BYTES);
const _: () = assert!(AHEAD_BYTES_PER_SENDER >= MAX_MESSAGE_BYTES);
const _: () = assert!(KEPT_SETS >= 2 && MAX_ANSWERED >= 2);
const _: () = assert!(VIEW_CHANGES_PER_SENDER >= 1 && VOTE_VIEWS_PER_SENDER >= RESENT_COMMITS);
