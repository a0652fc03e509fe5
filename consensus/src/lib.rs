//! The PBFT engine of one chain: a state machine that orders block headers by digest and decides
//! their results. `step(now, event) -> Output`, nothing else.
//!
//! This crate must never do input or output, read a clock, draw a random number, spawn or await
//! anything, iterate a hash map, or know what a transaction is. Time is an argument; timers leave as
//! actions and come back as events that carry their names. What it wants said lies behind
//! [`Output::commit`], which opens only when the journal holds the promises.
//!
//! Sources: Castro and Liskov, "Practical Byzantine Fault Tolerance" (OSDI 1999) and Castro's thesis
//! (2001), whose names we keep. Deviations: one height at a time, views per height; PREPARE fixes the
//! order and COMMIT order and result; a primary votes PREPARE like everybody; NEW-VIEW itself
//! proposes the prepared block again; a signed journal takes the place of trust in memory.
//!
//! # Setting
//!
//! n validators, one vote each; f = floor((n - 1) / 3) of them may be faulty in any way; a quorum is
//! q = ceil((n + f + 1) / 2) distinct ones. **Q**: two quorums share at least 2q - n >= f + 1
//! members, hence an honest one; and q <= n - f, so the honest are a quorum. "Honest" includes who
//! crashes and comes back with its journal, and an amnesiac that follows R-4. The network may lose,
//! delay, double and reorder; safety asks nothing of it. Every signature covers chain, epoch,
//! height, view and phase. Verification ([`Message::verify`]) is done outside, in full; the engine
//! takes [`Verified`] values only. n, f and q are those of the set that decides the height in question
//! (VS-1); all that is asked of other sets is said under "Sets that change".
//!
//! # Rules
//!
//! Validator sets
//! - **VS-1** One set decides a height: that which the outcome of the block below names. Nothing is
//!   said or judged at h + 1 before block h is committed here.
//! - **VS-2** The result of a block that names another set than the present one is whole only when the
//!   node has told that set: its digest is the one named, its epoch the present one's + 1. Another set
//!   is refused; an outcome that names one of another epoch halts. Without its set a result is not
//!   voted for (C-1) and its block not committed (C-5), so the next height does not open.
//! - **VS-3** From h + 1 on the new set counts: its epoch, n, f and q, and its members as the order of
//!   PR-1. The offset goes on by PR-2, across the change like anywhere else, and is taken modulo the
//!   new n: while n and the places stay, the primary stays; when n changes, place offset mod n is next,
//!   whoever sits there. Our own place is that of the first member whose key our signer holds: we may
//!   join, leave, move, or vote with another key. What we sign is signed with the key that the set of
//!   the height names; without a place we sign nothing and follow.
//! - **VS-4** What others say, and every certificate, is checked against the set of the epoch that it
//!   names, and has an effect at a height only if that epoch is the height's: messages, prepared and
//!   commit certificates, the parent's certificate in a proposal (of the epoch of h - 1), sealed blocks.
//!   Whatever else removed keys sign, and were it a quorum of them, is refused; it neither counts nor
//!   halts. Nobody is blamed for it, for its place may be another's here.
//! - **VS-5** What was kept for h + 1 under the old set (S-5) is judged again when h + 1 opens, and
//!   refused if the set is another one. What came of an epoch that was not known was not taken at all.
//!   Senders say it again (T-4).
//! - **VS-6** Laggards are answered (S-1) whatever set decided their height, by members and followers
//!   alike; the answer names the epoch in which its receiver has its place.
//! - **VS-7** Of an epoch that is not known yet nothing can be verified; that it is spoken of makes us
//!   fetch, not more often than we repeat ourselves, and nothing else.
//!
//! Primaries
//! - **PR-1** primary(h, v) = order[(offset(h) + v) mod n].
//! - **PR-2** offset(1) = 0; offset(h+1) = offset(h) + header_h.view + (header_h.parent_view -
//!   header_{h-1}.view) + (1 if K divides h+1), the middle term 0 after genesis. All of it is
//!   committed data: a good primary stays, a dead one or one whose block others finished is passed
//!   over, and nobody can grind the order.
//!
//! Proposals
//! - **PP-1** The primary of an open view that takes a fresh block asks its node for one: in view 0
//!   when there is work (T-2), later at once, empty if need be.
//! - **PP-2** It signs PRE-PREPARE only for a header that it would accept, once per view.
//! - **PP-3** A header follows from the last block: protocol, chain, epoch, height, offset (PR-2),
//!   proposer (PR-1), parent, the parent's certificate (verified outside) with a view not below the
//!   parent header's, number of transactions, time above the parent's. Fresh ones carry the view in
//!   which they are proposed and come from its primary; a later one from it is evidence (E-1).
//! - **PP-4** A fresh proposal's time is not below our clock minus the bound and not above
//!   max(clock + bound, parent + 1); the bound doubles per view up to its cap. A late one is
//!   refused, an early one held. Blocks that a quorum prepared or decided are not compared with any
//!   clock.
//! - **PP-5** A block without transactions in view 0 is valid only from the heartbeat interval after
//!   its parent's time on.
//! - **PP-6** The node is asked for the body: parent's certificate and transactions complete,
//!   checked, and synced to disk.
//! - **PP-7** A fresh block whose body can never be valid is answered with VIEW-CHANGE at once.
//!
//! Execution
//! - **X-1** A block is executed as soon as its body is there; this overlaps the PREPARE round. Two
//!   executions with different results halt the chain here.
//!
//! Votes
//! - **P-1** In an open view, PREPARE for its one accepted block, after PP-6.
//! - **P-2** q PREPAREs of the present view for the accepted header are a prepared certificate; the
//!   highest is remembered.
//! - **C-1** In an open view, COMMIT for header and outcome, after own PREPARE there, a prepared
//!   certificate *of this view*, and own execution. The certificate is in the journal before the
//!   COMMIT, both before it leaves.
//! - **C-2** After COMMIT(h, X, O) never COMMIT(h, X, O'), in any view or restart: another result of
//!   our own, or a quorum for another one, halts.
//! - **C-3** q COMMITs of one view, any view, for one header and outcome are a commit certificate.
//! - **C-4** So is the parent's certificate in a proposal for the next height. A decided block that
//!   we lack is fetched; one that we refused by our own tips is checked again without them. While not
//!   even its header is known, views change as before: perhaps nobody who holds the block has heard
//!   all COMMITs, and the opening of a later view names it. No vote is cast in it.
//! - **C-5** A decided block is committed when our own execution gives the decided outcome; a
//!   different one halts. This is the only place that emits a commit. It opens (h+1, 0).
//!
//! View changes
//! - **VC-1** When the view's time is up (T-1): VIEW-CHANGE(h, v') for the next view, with the highest
//!   prepared certificate. From then on no PREPARE or COMMIT for h below v' is signed, before or
//!   after a restart; certificates are still accepted.
//! - **VC-2** The time of a view asked for starts when q ask for it or later ones.
//! - **VC-3** f + 1 others above us pull us to the highest view that f + 1 of them have reached.
//!
//! Openings
//! - **NV-1** primary(h, v) opens v > 0 with q VIEW-CHANGEs for exactly v, its own among them.
//! - **NV-2** They go in as signed (v, prepared view, digest), with the one full certificate for the
//!   highest claim. The view's block is that one; if nobody claims any, a fresh one. Every replica
//!   recomputes the choice.
//! - **NV-3** A replica enters an opened view that is above its own, or the one that it asked for.
//!   Views never fall.
//! - **NV-4** A prepared block needs no PRE-PREPARE: NEW-VIEW proposes it, header byte for byte; its
//!   body is fetched from the certificate's signers.
//! - **NV-5** Whoever asks again for a view that is open here is sent its opening.
//!
//! Timers
//! - **T-1** View v may take the timeout, doubled per view up to its cap.
//! - **T-2** It runs in an open view while there is work: transactions that all have been sent, a due
//!   heartbeat, a proposal, anything that we said, or v > 0.
//! - **T-3** A heartbeat is due the interval after the last block's time.
//! - **T-4** What we said and may have been lost is said again with growing pauses, byte for byte.
//! - **T-5** A validator that can be reached again is told the same at once.
//!
//! Journal
//! - **J-1** Whatever leaves is first on disk: own messages, headers that they name, the prepared
//!   certificate. Messages to ourselves count at once but decide nothing outside before that.
//! - **J-2** No slot (height, view, phase) is signed twice, nothing below the present view, nothing
//!   while forbids it: one function signs, and it checks.
//! - **J-3** Replay is a pure function of the records; contradicting records stop the start.
//! - **J-4** Promises up to a height that the ledger holds on disk are dropped; of an undecided height
//!   what binds stays: the highest view's messages, the highest VIEW-CHANGE, a COMMIT per block, the
//!   newest COMMITs, the highest certificate.
//! - **J-5** Promises for a height are of its one epoch. Records of two for one height, or of another
//!   than the set of the next height, stop the start; for a height that opens later they halt. Promises
//!   of heights under earlier and later sets stay as long as any others (J-4, R-3), also while we are no
//!   member.
//!
//! Restart
//! - **R-1** Messages are taken up as they were and said again. The view is the highest in which we
//!   spoke or hold a prepared certificate: a write may be torn between the certificate and the vote
//!   behind it. It is open if we said there what only an open view allows, or if the certificate is
//!   of that view; then its block is the view's (claim 1 a).
//! - **R-2** Nothing is signed at or below the journal's floor: if the ledger lost blocks that the
//!   journal knows to be stored, they come back by sync.
//! - **R-3** If the ledger lost blocks whose promises the journal still holds, they are decided again
//!   under those promises; promises for later heights wait for their height.
//! - **R-4** Without its journal a validator signs nothing but a restart notice with a fresh nonce;
//!   once a block H with it is committed, it votes from H + 1. It asks for its notice as a member only,
//!   at each start and again at each change of the set, since the key that signs it may be another by
//!   then. Amnesia belongs to the journal, not to an epoch: neither leaving nor another key ends it, and
//!   whoever leaves and comes back with its journal has none.
//! - **R-5** Parameters, a set that the head does not name, a head and records that make no sense stop
//!   the start.
//!
//! Sync
//! - **S-1** Whoever says VIEW-CHANGE, or the same thing twice, for a decided height is sent the block.
//! - **S-2** A message from beyond the next height, or a decision that we cannot execute, makes us
//!   fetch. **S-3** So does every start.
//! - **S-4** Sealed blocks enter as events and are executed and committed by C-5.
//! - **S-5** Messages for the next height wait for it, bounded by sender.
//!
//! Evidence
//! - **E-1** Two different signed statements in one slot prove their signer faulty; the first counts.
//!   One proof is given for each signer, height and phase.
//!
//! # Safety
//!
//! *Claim 0: no two honest validators know different sets of one height, unless they have committed
//! different blocks below it.* The set of height 1 is in genesis. An honest validator takes part at
//! h + 1 only once it has committed h (VS-1), and takes the set whose digest block h's outcome names
//! (VS-2; at a start R-5 compares the ledger's set with that digest). One block has one outcome, for
//! its id covers it, and one digest names one set. So while claims 1 and 2 hold up to h, all honest
//! statements at h + 1 are in one epoch, by places of one set S; only statements in that epoch count
//! (VS-4), so every quorum that an honest validator sees at h + 1, in a prepared or commit certificate or
//! under a NEW-VIEW, is one of S. The claims below are therefore about the quorums of one set, and
//! "honest" means the members of that set; by induction on h they hold at every height.
//!
//! *Claim 1: no two honest validators commit different headers at one height.* Let COMMITs of q in
//! view v for X be the certificate of lowest view at height h.
//!
//! (a) *In one view at most one header is prepared.* Two prepared certificates of view v for X and
//! Y have by Q an honest common signer, which signed two PREPAREs in one slot; J-2 with J-1 and R-1
//! excludes it, across restarts, since its first PREPARE was on disk before anybody saw it. An
//! honest amnesiac does not sign at h in both lives: a vote of its former life at h needs the
//! certificate of h-1, so it was cast when h-1 was decided, before the nonce was drawn; the block H
//! that holds the nonce was proposed after that, so H >= h, and the new life votes above H only
//! . An honest COMMIT in v for X stands on a prepared certificate of v for X (C-1), so in view
//! v itself only X can be committed.
//!
//! (b) *For every w > v, a valid NEW-VIEW(h, w) chooses X, and only X is prepared in w.* By induction
//! on w. Its q claims and the q COMMITs of view v share an honest member i (Q). i signed COMMIT in v
//! and VIEW-CHANGE for w > v; by VC-1 the COMMIT came first, so when asking i held (C-1, J-1, R-1) a
//! prepared certificate of view v or higher, and claimed one of view at least v. So the highest
//! claimed view u satisfies v <= u < w, and the full certificate in NEW-VIEW is of view u, with
//! valid signatures of q. If u = v it is for X by (a); if u > v, by the induction hypothesis only X
//! is prepared in u. Claims of faulty members cannot help: a certificate cannot be forged, a false
//! claim without one makes NEW-VIEW invalid, and hiding one changes nothing, for i does not hide.
//! So NV-2 gives X, honest replicas PREPARE nothing but X in w (P-1, NV-3), and q PREPAREs need an
//! honest one: only X is prepared in w.
//!
//! (c) Any certificate of a view w >= v has an honest COMMIT, which stands on a prepared certificate
//! of w: for X, by (a) or (b). A view opens above 0 only by a NEW-VIEW, so the induction misses none.
//!
//! *Claim 2: no two honest validators commit different results of one header.* Two commit
//! certificates for (X, O) and (X, O'), of whatever views, share an honest signer; C-2 excludes that
//! it signed both, through restarts by J-1 and J-4 (a COMMIT per block is never dropped before its
//! height is stored), and for amnesiacs as in (a).
//!
//! *Claim 3: chains agree.* A header names its parent's id, which names header and outcome; a
//! replica accepts, and a quorum so decides, only what stands on its own last block. By induction
//! on h with claims 1 and 2 all honest chains are prefixes of one. A fork shown by valid
//! certificates proves more than f faulty and halts.
//!
//! *Availability.* A prepared block has at least q - f >= f + 1 honest signers that hold its body on
//! disk (P-1), so a power cut of everybody loses none, and NV-4 finds it.
//!
//! # Sets that change
//!
//! *Restarts.* The engine stores no set: the ledger holds the last block and with it the set of the next
//! height. A crash between a decision and its storing brings the node back to h, under the old set, with
//! its old place and key and its promises of h; promises that it has made for h + 1 already, in the new
//! epoch, wait in the journal for their height, bound to their epoch by J-5, and are taken up under
//! the same set, by claim 0. If the set was told and the vote not yet written, nothing has left (J-1). So
//! no order of these losses makes a slot be signed twice, or in two epochs.
//!
//! *Keys.* At one height a validator votes with one key, the one that its set names. A rotation is a
//! change of the set like any other: the old key is asked for nothing from the first height of the new
//! set on, unless the ledger itself has lost blocks and is below it again. A key that has never voted
//! needs no notice, whatever became of the journals of the key before: no statement of an earlier life
//! can be at a height whose set names it, since VS-3 signs with no other. So a validator may move to
//! another machine by rotating.
//!
//! *Leaving and coming back.* The amnesia argument of (a) speaks of heights and of the moment at which
//! a nonce was drawn, not of epochs, and so holds across them. Who is no member promises nothing and
//! keeps its journal. If it comes back it goes on at a height above all that it ever voted at, or, if
//! its ledger has lost blocks, under its promises of them.
//!
//! *Removed keys.* They count at no height above their last (VS-4): an engine that is past that height
//! takes nothing from them, however many they are. An engine that is still at or below it must believe
//! them, as it has to believe anybody who decided those heights. So the bound on faulty members of a
//! set is asked for until every honest node is past its heights; a node that starts from genesis with
//! the keys of an old set long since stolen needs to be told a recent block by somebody it trusts. Keys
//! that have left a set are best destroyed.
//!
//! # Progress
//!
//! After the network heals, repeats (T-4) bring everybody's highest VIEW-CHANGE to everybody. By
//! VC-3 honest views come within f + 1 faulty ones' reach of each other only through honest ones,
//! so nobody runs ahead alone; by VC-2 a view's clock starts only when q ask, so the slowest of a
//! quorum is one message away. With timeouts at the cap, which exceeds fetching and executing a
//! block, the first honest primary among at most f + 1 consecutive views opens its view, and the
//! honest, who are a quorum, decide in it: within (f + 2) caps and a round trip. Laggards are sent
//! what was decided (S-1) or fetch it (S-2, C-4). Above view 0 a block may be empty, so a view
//! change always ends in a block.
//!
//! Across a change of the set a validator that is slower than the others does not understand them until
//! it has the block below; that somebody speaks makes it ask (VS-7), and its own repeats for the height
//! are answered (VS-6). New members follow before they join and have their node fetch what is decided,
//! as followers do. Once the honest members of the new set have that block, the argument above is theirs.

pub mod config;
pub mod engine;
pub mod event;
pub mod evidence;
pub mod journal;
pub mod limits;
pub mod message;
pub mod output;
pub mod planted;
pub mod reject;
pub mod sets;
pub mod signer;
pub mod statement;
pub mod timer;
pub mod verify;

pub use config::{EngineConfig, Head, Params, Recovered, StartError};
pub use engine::{Engine, Load, Status};
pub use event::{BodyFault, Event, Proposal};
pub use evidence::Equivocation;
pub use journal::{Journal, JournalError, Promises, Record};
pub use message::{Contents, Message};
pub use output::{Action, BodyRequest, CommitError, Decision, HaltReason, Output, ProposalRequest};
pub use reject::{Blame, Reason, Rejection};
pub use sets::{Membership, Sets};
pub use signer::{KeySigner, Signer};
pub use timer::{TimerId, TimerKind};
pub use verify::{Invalid, Sealed, Verified};
