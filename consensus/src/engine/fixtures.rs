//! What the tests beside the engine's parts are made of. Signatures have been checked before a
//! message comes to these parts, so nothing here is signed.

use certchain_proto::{
    BlockHeader, ChainId, CommitCertificate, CommitVote, Epoch, Height, PrepareVote, Signature,
    TimeMs, ValidatorIndex, View,
    hash::{
        BlockId, CertificateDigest, HeaderDigest, HistoryRoot, OutcomeDigest, TxRoot, WitnessId,
    },
};

use crate::{
    message::{
        Commit, Contents, Message, NewView, PrePrepare, Prepare, PreparedCertificate, ViewChange,
    },
    statement::{NewViewVote, PrePrepareVote, Statement, ViewChangeVote},
};

/// The chain of all fixtures.
pub const CHAIN: ChainId = ChainId::from_bytes([1; 32]);

/// The first height to decide.
pub const HEIGHT: Height = Height::new(1);

pub fn validator(place: u16) -> ValidatorIndex {
    ValidatorIndex::new(place)
}

pub fn signature() -> Signature {
    Signature::from_bytes(&[0; 64])
}

/// A header of the first block; `mark` makes it another one.
pub fn header(view: u32, mark: u64) -> BlockHeader {
    BlockHeader {
        protocol: 1,
        chain: CHAIN,
        epoch: Epoch::ZERO,
        height: HEIGHT,
        view: View::new(view),
        proposer: validator(2),
        offset: mark,
        parent: BlockId::ZERO,
        parent_commit: CertificateDigest::ZERO,
        parent_view: View::ZERO,
        time_ms: TimeMs::ZERO,
        tx_root: TxRoot::ZERO,
        tx_count: 0,
        history_root: HistoryRoot::ZERO,
        checkpoint: None,
    }
}

pub fn pre_prepare(header: BlockHeader, transactions: usize) -> PrePrepare {
    let parent_certificate = CommitCertificate::genesis(HeaderDigest::ZERO, OutcomeDigest::ZERO);
    let contents = Contents {
        parent_certificate,
        witness_ids: vec![WitnessId::ZERO; transactions],
    };
    PrePrepare {
        header,
        contents,
        signature: signature(),
    }
}

pub fn prepare(view: u32) -> Message {
    let vote = PrepareVote {
        chain: CHAIN,
        epoch: Epoch::ZERO,
        height: HEIGHT,
        view: View::new(view),
        header: HeaderDigest::ZERO,
    };
    Message::Prepare(Prepare {
        vote,
        signer: validator(2),
        signature: signature(),
    })
}

pub fn commit(view: u32) -> Message {
    let vote = CommitVote {
        chain: CHAIN,
        epoch: Epoch::ZERO,
        height: HEIGHT,
        view: View::new(view),
        header: HeaderDigest::ZERO,
        outcome: OutcomeDigest::ZERO,
    };
    Message::Commit(Commit {
        vote,
        signer: validator(2),
        signature: signature(),
    })
}

pub fn prepared(view: u32, header: &BlockHeader) -> PreparedCertificate {
    PreparedCertificate {
        view: View::new(view),
        header: header.clone(),
        signatures: Vec::new(),
    }
}

pub fn decided(header: &BlockHeader) -> CommitCertificate {
    CommitCertificate::genesis(header.digest(), OutcomeDigest::ZERO)
}

/// One statement of each phase for a height and view.
pub fn statements(height: Height, view: u32) -> [Statement; 5] {
    let (chain, epoch, view) = (CHAIN, Epoch::ZERO, View::new(view));
    let (header, outcome) = (HeaderDigest::ZERO, OutcomeDigest::ZERO);
    [
        Statement::PrePrepare(PrePrepareVote {
            chain,
            epoch,
            height,
            view,
            header,
            contents: [0; 32],
        }),
        Statement::Prepare(PrepareVote {
            chain,
            epoch,
            height,
            view,
            header,
        }),
        Statement::Commit(CommitVote {
            chain,
            epoch,
            height,
            view,
            header,
            outcome,
        }),
        Statement::ViewChange(ViewChangeVote {
            chain,
            epoch,
            height,
            view,
            prepared: None,
        }),
        Statement::NewView(NewViewVote {
            chain,
            epoch,
            height,
            view,
            claims: [0; 32],
            prepared: None,
        }),
    ]
}

/// A request for a later view by one who is prepared on nothing.
pub fn view_change(place: u16, view: u32) -> ViewChange {
    let vote = ViewChangeVote {
        chain: CHAIN,
        epoch: Epoch::ZERO,
        height: HEIGHT,
        view: View::new(view),
        prepared: None,
    };
    ViewChange {
        vote,
        signer: validator(place),
        signature: signature(),
        certificate: None,
    }
}

pub fn new_view(place: u16, view: u32) -> NewView {
    NewView {
        chain: CHAIN,
        epoch: Epoch::ZERO,
        height: HEIGHT,
        view: View::new(view),
        claims: Vec::new(),
        prepared: None,
        signer: validator(place),
        signature: signature(),
    }
}
