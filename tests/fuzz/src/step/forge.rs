//! What faulty validators say: anything that they can sign, made of anything that they have heard.

use std::sync::Arc;

use certchain_consensus::{
    Contents, Head, Message, Signer as _,
    message::{Commit, NewView, PrePrepare, Prepare, PreparedCertificate, SignedClaim, ViewChange},
    statement::{Statement, ViewChangeVote},
};
use certchain_proto::{
    BlockHeader, ChainId, CommitVote, Epoch, Height, Outcome, PrepareVote, Signature, TimeMs,
    ValidatorIndex, View,
    block::PROTOCOL,
    certificate::IndexedSignature,
    hash::{
        BlockId, HistoryRoot, OutcomeDigest, ReceiptsRoot, StateRoot, TxRoot, ValidatorSetDigest,
    },
};
use certchain_simulator::{
    blocks::{Block, chain, history_root, tx_root},
    keys::{Scheme, key, signer},
    plan::Plan,
};

use super::{
    bytes::Bytes,
    seat::Letter,
    world::{N, World},
};

/// The signature of a validator under a statement.
pub fn sign(i: usize, statement: &Statement) -> Signature {
    let signature = signer(Scheme::Fast, i).sign(key(i).public(), &statement.signing_hash());
    signature.expect("a validator holds its own key")
}

fn index(i: usize) -> ValidatorIndex {
    ValidatorIndex::new(i as u16)
}

/// A faulty validator sends something to some of the honest ones.
pub fn forge(world: &mut World, bytes: &mut Bytes<'_>) {
    let faulty = world.faulty();
    let honest = world.honest();
    let Some(who) = bytes.place(faulty.len()) else {
        return;
    };
    let (me, at) = (faulty[who], honest[bytes.below(honest.len())]);
    let message = match bytes.below(8) {
        0 => propose(world, bytes, me, at),
        1 => prepare(world, bytes, me),
        2 | 3 => commit(world, bytes, me),
        4 => {
            let (height, view) = place(world, bytes, at);
            Some(Message::ViewChange(ask(world, bytes, me, height, view)))
        }
        5 => open(world, bytes, me, at),
        6 => {
            let old = bytes.place(world.pool.messages.len());
            old.map(|at| Message::clone(&world.pool.messages[at]))
        }
        _ => return seal(world, bytes, &faulty),
    };
    let to = bytes.some_of(N);
    let message = message.map(|m| twist(m, me, bytes.below(32)));
    if let Some(verified) = message.and_then(|m| world.verified(m)) {
        world.pool.hear(&verified);
        world.post(&to, Some(&Letter::Message(Box::new(verified))));
    }
}

/// Makes a message into one that nobody may take, in one of some ways: verification has to stop it.
fn twist(mut message: Message, me: usize, way: usize) -> Message {
    let other = index((me + 1) % N);
    let (chain, epoch) = (ChainId::main(b"another"), Epoch::new(1));
    match (way, &mut message) {
        // In the name of another one.
        (1, Message::Prepare(m)) => m.signer = other,
        (1, Message::Commit(m)) => m.signer = other,
        (1, Message::ViewChange(m)) => m.signer = other,
        (1, Message::NewView(m)) => m.signer = other,
        // For another chain or another generation of the set.
        (2, Message::Prepare(m)) => m.vote.chain = chain,
        (2, Message::Commit(m)) => m.vote.chain = chain,
        (2, Message::ViewChange(m)) => m.vote.chain = chain,
        (2, Message::NewView(m)) => m.chain = chain,
        (3, Message::Prepare(m)) => m.vote.epoch = epoch,
        (3, Message::Commit(m)) => m.vote.epoch = epoch,
        (3, Message::ViewChange(m)) => m.vote.epoch = epoch,
        (3, Message::NewView(m)) => m.epoch = epoch,
        // On too few votes, or on one that is counted twice.
        (4, Message::ViewChange(m)) => thin(m.certificate.as_mut().map(|c| &mut c.signatures)),
        (4, Message::NewView(m)) => thin(Some(&mut m.claims)),
        (5, Message::ViewChange(m)) => double(m.certificate.as_mut().map(|c| &mut c.signatures)),
        (5, Message::NewView(m)) => double(Some(&mut m.claims)),
        // With another choice than its claims give.
        (6, Message::NewView(m)) => m.prepared = None,
        // Of one height or view, said for the next.
        (7, Message::ViewChange(m)) => {
            m.vote.height = m.vote.height.next();
            return message;
        }
        (8, Message::ViewChange(m)) => {
            m.vote.view = m.vote.view.next();
            return message;
        }
        _ => return message,
    }
    let statement = message.statement();
    match &mut message {
        Message::PrePrepare(m) => m.signature = sign(me, &statement),
        Message::Prepare(m) => m.signature = sign(me, &statement),
        Message::Commit(m) => m.signature = sign(me, &statement),
        Message::ViewChange(m) => m.signature = sign(me, &statement),
        Message::NewView(m) => m.signature = sign(me, &statement),
    }
    message
}

fn thin<T>(votes: Option<&mut Vec<T>>) {
    if let Some(votes) = votes {
        votes.truncate(2);
    }
}

fn double<T: Clone>(votes: Option<&mut Vec<T>>) {
    if let Some(votes) = votes
        && let Some(first) = votes.first().cloned()
    {
        votes.truncate(2);
        votes.insert(0, first);
    }
}

/// A height and a view above 0, near those of an honest one.
fn place(world: &mut World, bytes: &mut Bytes<'_>, at: usize) -> (Height, View) {
    let status = world.seat(at).engine.status();
    let choice = bytes.byte();
    let height = match choice >> 6 {
        3 => status.height.next(),
        _ => status.height,
    };
    let view = match choice & 0x3f {
        near @ 0..0x30 => status.view.get() + u32::from(near) % 4,
        far => u32::from(far) << 20,
    };
    (height, View::new(view.max(1)))
}

fn head_of(world: &mut World, at: usize) -> (Head, HistoryRoot) {
    let seat = world.seat(at);
    (seat.engine.head().clone(), history_root(seat.tip()))
}

fn propose(world: &mut World, bytes: &mut Bytes<'_>, me: usize, at: usize) -> Option<Message> {
    let (head, history_root) = head_of(world, at);
    let status = world.seat(at).engine.status();
    let offset = head.next_offset(Plan::params().rotation);
    // The next view of which it is the primary.
    let first = u64::from(status.view.get()) + u64::from(bytes.byte() % 2);
    let view = (first..first + N as u64).find(|v| (offset + v) % N as u64 == me as u64)?;
    let mut ids = Vec::new();
    for _ in 0..bytes.below(3) {
        ids.push(world.fresh_transaction());
    }
    let mut header = BlockHeader {
        protocol: PROTOCOL,
        chain: chain(),
        epoch: Epoch::ZERO,
        height: head.height().next(),
        view: View::new(u32::try_from(view).ok()?),
        proposer: index(me),
        offset,
        parent: head.id(),
        parent_commit: head.certificate.digest(),
        parent_view: head.certificate.view,
        time_ms: TimeMs::new(world.now).max(head.time().saturating_add(1)),
        tx_root: tx_root(&ids),
        tx_count: ids.len() as u32,
        history_root,
        checkpoint: None,
    };
    match bytes.below(32) {
        1 => header.history_root = HistoryRoot::from_bytes([1; 32]),
        2 => header.tx_root = TxRoot::from_bytes([2; 32]),
        3 => header.time_ms = TimeMs::new(world.now + 100_000),
        4 => header.time_ms = TimeMs::new(world.now.saturating_sub(100_000)),
        5 => header.offset = header.offset.wrapping_add(N as u64),
        6 => header.view = View::new(u32::MAX),
        7 => header.time_ms = TimeMs::new(u64::MAX),
        8 => header.time_ms = head.time(),
        9 => header.protocol += 1,
        10 => ids.reverse(),
        11 => ids = ids.iter().map(|_| world.fresh_transaction()).collect(),
        12 => header.parent = BlockId::from_bytes([3; 32]),
        13 => header.height = header.height.next(),
        14 => {
            // Another certificate of the same parent.
            let parent = world.seat(at).tip().clone();
            let faulty = world.faulty();
            let view = parent.header.view;
            let pool = &world.pool;
            let other = pool.committed(&parent.header, &parent.outcome, view, &faulty);
            header.parent_commit = other.digest();
            let contents = Contents {
                parent_certificate: other,
                witness_ids: ids,
            };
            return Some(pre_prepare(me, header, contents));
        }
        _ => {}
    }
    let contents = Contents {
        parent_certificate: head.certificate,
        witness_ids: ids,
    };
    Some(pre_prepare(me, header, contents))
}

fn pre_prepare(me: usize, header: BlockHeader, contents: Contents) -> Message {
    let mut m = PrePrepare {
        header,
        contents,
        signature: Signature::from_bytes(&[0; 64]),
    };
    m.signature = sign(me, &Message::PrePrepare(m.clone()).statement());
    Message::PrePrepare(m)
}

/// A header that was proposed, and a view not below it.
fn header(world: &World, bytes: &mut Bytes<'_>) -> Option<(BlockHeader, View)> {
    let at = bytes.place(world.pool.headers.len())?;
    let header = world.pool.headers[at].clone();
    let view = header
        .view
        .get()
        .saturating_add(u32::from(bytes.byte() % 4));
    Some((header, View::new(view)))
}

fn prepare(world: &World, bytes: &mut Bytes<'_>, me: usize) -> Option<Message> {
    let (header, view) = header(world, bytes)?;
    let vote = PrepareVote {
        chain: chain(),
        epoch: Epoch::ZERO,
        height: header.height,
        view,
        header: header.digest(),
    };
    Some(Message::Prepare(Prepare {
        vote,
        signer: index(me),
        signature: sign(me, &Statement::Prepare(vote)),
    }))
}

fn commit(world: &World, bytes: &mut Bytes<'_>, me: usize) -> Option<Message> {
    let (header, view) = header(world, bytes)?;
    let mark = bytes.byte();
    let digest = header.digest();
    let true_one = world.outcome_of(&digest).filter(|_| mark < 0xe0);
    let vote = CommitVote {
        chain: chain(),
        epoch: Epoch::ZERO,
        height: header.height,
        view,
        header: digest,
        outcome: true_one.unwrap_or(OutcomeDigest::from_bytes([mark; 32])),
    };
    Some(Message::Commit(Commit {
        vote,
        signer: index(me),
        signature: sign(me, &Statement::Commit(vote)),
    }))
}

fn ask(world: &World, bytes: &mut Bytes<'_>, me: usize, height: Height, view: View) -> ViewChange {
    let certificate = certificate(world, bytes, height, view);
    let vote = ViewChangeVote {
        chain: chain(),
        epoch: Epoch::ZERO,
        height,
        view,
        prepared: certificate.as_ref().map(PreparedCertificate::reference),
    };
    ViewChange {
        vote,
        signer: index(me),
        signature: sign(me, &Statement::ViewChange(vote)),
        certificate,
    }
}

/// A prepared certificate of a lower view, if the bytes want one and enough have signed, or one that
/// only looks like it.
fn certificate(
    world: &World,
    bytes: &mut Bytes<'_>,
    height: Height,
    below: View,
) -> Option<PreparedCertificate> {
    let how = bytes.byte();
    if how.is_multiple_of(2) {
        return None;
    }
    let (header, view) = header(world, bytes)?;
    let mut certificate = world.pool.prepared(&header, view, &world.faulty());
    let whole = certificate.signatures.len() >= world.validators.quorum();
    if !whole && how >= 0xf0 {
        // The votes of the others are made up.
        let made_up = sign(world.faulty()[0], &Statement::Prepare(certificate.vote()));
        certificate.signatures = (0..3)
            .map(|i| IndexedSignature {
                validator: index(i),
                signature: made_up,
            })
            .collect();
    }
    let fits = header.height == height && view < below;
    (fits && (whole || how >= 0xf0)).then_some(certificate)
}

/// A NEW-VIEW for a view of which it is the primary, on requests that were heard and own ones.
fn open(world: &mut World, bytes: &mut Bytes<'_>, me: usize, at: usize) -> Option<Message> {
    let (height, view) = place(world, bytes, at);
    let wanted = |c: &&ViewChange| (c.vote.height, c.vote.view) == (height, view);
    let heard: Vec<ViewChange> = world.pool.changes.iter().filter(wanted).cloned().collect();
    let mut requests = std::collections::BTreeMap::new();
    for request in heard {
        // The first or the last of those that say two things.
        if !requests.contains_key(&request.signer) || bytes.byte() % 2 == 1 {
            requests.insert(request.signer, request);
        }
    }
    for i in world.faulty() {
        if !requests.contains_key(&index(i)) || bytes.byte() % 2 == 1 {
            let request = ask(world, bytes, i, height, view);
            requests.insert(index(i), request);
        }
    }
    let left_out = bytes.byte();
    if requests.len() > world.validators.quorum() {
        requests.remove(&index(usize::from(left_out) % N));
    }
    let claims = requests.values().map(|r| SignedClaim {
        signer: r.signer,
        prepared: r.vote.prepared,
        signature: r.signature,
    });
    let highest = requests.values().max_by_key(|r| r.vote.prepared)?;
    let mut m = NewView {
        chain: chain(),
        epoch: Epoch::ZERO,
        height,
        view,
        claims: claims.collect(),
        prepared: highest.certificate.clone(),
        signer: index(me),
        signature: Signature::from_bytes(&[0; 64]),
    };
    m.signature = sign(me, &Statement::NewView(m.vote()));
    Some(Message::NewView(m))
}

/// A decided block, if enough have signed, or what looks like one.
fn seal(world: &mut World, bytes: &mut Bytes<'_>, faulty: &[usize]) {
    let Some((header, view)) = header(world, bytes) else {
        return;
    };
    let mark = bytes.byte();
    let known = world.pool.outcomes.get(&header.digest()).cloned();
    let outcome = known.filter(|_| mark < 0xe0).unwrap_or(Outcome {
        state_root: StateRoot::from_bytes([mark; 32]),
        receipts_root: ReceiptsRoot::ZERO,
        next_validators: ValidatorSetDigest::ZERO,
    });
    let proposal = world.pool.messages.iter().find_map(|m| match &**m {
        Message::PrePrepare(m) if m.header == header => Some(m.contents.clone()),
        _ => None,
    });
    let to = bytes.some_of(N);
    if let Some(contents) = proposal {
        let block = Block {
            certificate: world.pool.committed(&header, &outcome, view, faulty),
            header,
            contents,
            outcome,
        };
        world.post(&to, Some(&Letter::Block(Arc::new(block))));
    }
}
