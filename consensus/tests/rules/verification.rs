//! What never becomes a verified message.

use certchain_consensus::{
    Equivocation, Invalid, Message, Sealed, evidence::EvidenceError, message::ViewChange,
};
use certchain_proto::{
    BlockHeader, ChainId, Epoch, Height, View,
    certificate::{CertificateError, Ed25519Verifier},
    hash::{BlockId, CertificateDigest},
    limits::MAX_BLOCK_TRANSACTIONS,
};

use crate::sandbox::{
    Sandbox, certificate, chain, commit, genesis, index, new_view, outcome, pre_prepare, prepare,
    prepared, resigned, validators, view_change,
};

fn verify(message: Message) -> Result<(), Invalid> {
    message
        .verify(chain(), &validators(4), &Ed25519Verifier)
        .map(|_| ())
}

#[test]
fn votes() {
    let s = Sandbox::new(1);
    let header = s.header(0, 1);
    assert_eq!(verify(prepare(2, 0, &header)), Ok(()));
    let Message::Prepare(good) = prepare(2, 0, &header) else {
        unreachable!()
    };
    let mut m = good;
    m.signer = index(3);
    assert_eq!(
        verify(Message::Prepare(m)),
        Err(Invalid::Signature(index(3)))
    );
    let mut m = good;
    m.signer = index(4);
    assert_eq!(
        verify(Message::Prepare(m)),
        Err(Invalid::UnknownSigner(index(4)))
    );
    let mut m = good;
    m.vote.view = View::new(1);
    assert_eq!(
        verify(Message::Prepare(m)),
        Err(Invalid::Signature(index(2)))
    );
    let mut m = good;
    m.vote.chain = ChainId::main(b"another");
    assert_eq!(verify(Message::Prepare(m)), Err(Invalid::Chain));
    let mut m = good;
    m.vote.epoch = Epoch::new(1);
    let epoch = Invalid::Epoch {
        expected: Epoch::ZERO,
        actual: Epoch::new(1),
    };
    assert_eq!(verify(Message::Prepare(m)), Err(epoch));
    // A PREPARE's signature is none under a COMMIT.
    let Message::Commit(mut c) = commit(2, 0, &header, &outcome(1)) else {
        unreachable!()
    };
    c.signature = good.signature;
    assert_eq!(
        verify(Message::Commit(c)),
        Err(Invalid::Signature(index(2)))
    );
}

#[test]
fn proposals() {
    let mut s = Sandbox::new(1);
    s.decide_one();
    let header = s.header(0, 2);
    assert_eq!(verify(s.pre_prepare(&header)), Ok(()));
    let count = Invalid::TransactionCount {
        stated: 2,
        actual: 3,
    };
    assert_eq!(
        verify(pre_prepare(header.clone(), s.contents(3))),
        Err(count)
    );
    // Contents swapped under the primary's signature.
    let Message::PrePrepare(mut m) = s.pre_prepare(&header) else {
        unreachable!()
    };
    m.contents.witness_ids.reverse();
    assert_eq!(
        verify(Message::PrePrepare(m)),
        Err(Invalid::Signature(header.proposer))
    );
    // A parent certificate that the header does not name, or that is too weak.
    let parent = s.engine.head().header.clone();
    let with = |by: &[usize], named: bool| {
        let mut header = header.clone();
        let mut contents = s.contents(2);
        contents.parent_certificate = certificate(0, &parent, &outcome(1), by);
        if named {
            header.parent_commit = contents.parent_certificate.digest();
        }
        verify(pre_prepare(header, contents))
    };
    assert_eq!(with(&[1, 2, 3], true), Ok(()));
    assert_eq!(with(&[1, 2, 3], false), Err(Invalid::OtherCertificate));
    let weak = CertificateError::Quorum {
        needed: 3,
        actual: 2,
    };
    assert_eq!(with(&[1, 2], true), Err(weak.into()));
    assert_eq!(
        with(&[1, 1, 2], true),
        Err(CertificateError::Signers.into())
    );
}

#[test]
fn view_changes() {
    let s = Sandbox::new(1);
    let header = s.header(0, 1);
    let ok = |certificate| verify(Message::ViewChange(view_change(2, 1, 2, certificate)));
    assert_eq!(ok(None), Ok(()));
    assert_eq!(ok(Some(prepared(0, &header, &[0, 1, 2]))), Ok(()));
    let weak = CertificateError::Quorum {
        needed: 3,
        actual: 2,
    };
    assert_eq!(ok(Some(prepared(0, &header, &[0, 1]))), Err(weak.into()));
    let view = |v| Err(Invalid::CertificateView(View::new(v)));
    assert_eq!(ok(Some(prepared(2, &header, &[0, 1, 2]))), view(2));
    assert_eq!(ok(Some(prepared(0, &s.header(1, 1), &[0, 1, 2]))), view(0));
    let mut m = view_change(2, 1, 2, Some(prepared(0, &header, &[0, 1, 2])));
    m.certificate = None;
    assert_eq!(
        verify(Message::ViewChange(m)),
        Err(Invalid::OtherCertificate)
    );
    assert_eq!(
        verify(Message::ViewChange(view_change(2, 1, 0, None))),
        Err(Invalid::ViewZero)
    );
    let other_height = view_change(2, 7, 2, Some(prepared(0, &header, &[0, 1, 2])));
    assert_eq!(
        verify(Message::ViewChange(other_height)),
        Err(Invalid::OtherCertificate)
    );
}

#[test]
fn new_views() {
    let s = Sandbox::new(1);
    let low = s.header(0, 1);
    let high = s.header(1, 2);
    let requests = [
        view_change(0, 1, 2, Some(prepared(0, &low, &[0, 1, 2]))),
        view_change(1, 1, 2, Some(prepared(1, &high, &[0, 1, 2]))),
        view_change(2, 1, 2, None),
    ];
    let good = new_view(2, &requests);
    assert_eq!(verify(Message::NewView(good.clone())), Ok(()));
    let twisted = |change: fn(&mut certchain_consensus::message::NewView)| {
        let mut m = good.clone();
        change(&mut m);
        verify(Message::NewView(resigned(m)))
    };
    assert_eq!(
        twisted(|m| m.claims.truncate(2)),
        Err(Invalid::Claims),
        "too few"
    );
    assert_eq!(
        twisted(|m| m.claims.swap(0, 1)),
        Err(Invalid::Claims),
        "out of order"
    );
    assert_eq!(
        twisted(|m| m.claims[1] = m.claims[0]),
        Err(Invalid::Claims),
        "one twice"
    );
    assert_eq!(
        twisted(|m| m.claims[1].prepared = None),
        Err(Invalid::Claims),
        "not as signed"
    );
    assert_eq!(
        twisted(|m| m.prepared = None),
        Err(Invalid::OtherCertificate),
        "hidden"
    );
    let mut m = good.clone();
    m.prepared = Some(prepared(0, &low, &[0, 1, 2]));
    let lower = verify(Message::NewView(resigned(m)));
    assert_eq!(lower, Err(Invalid::OtherCertificate), "not the highest");
    let mut m = good.clone();
    m.prepared = Some(prepared(1, &high, &[0, 1]));
    let weak = CertificateError::Quorum {
        needed: 3,
        actual: 2,
    };
    assert_eq!(verify(Message::NewView(resigned(m))), Err(weak.into()));
    let mut m = good;
    m.height = Height::new(2);
    assert_eq!(
        verify(Message::NewView(resigned(m))),
        Err(Invalid::Claims),
        "another height"
    );
}

#[test]
fn sealed_blocks_and_evidence() {
    let s = Sandbox::new(1);
    let header = s.header(0, 1);
    let block = |by: &[usize]| Sealed {
        header: header.clone(),
        outcome: outcome(1),
        certificate: certificate(0, &header, &outcome(1), by),
    };
    let verify = |b: Sealed| {
        b.verify(chain(), &validators(4), &Ed25519Verifier)
            .map(|_| ())
    };
    assert_eq!(verify(block(&[0, 1, 2])), Ok(()));
    let weak = CertificateError::Quorum {
        needed: 3,
        actual: 2,
    };
    assert_eq!(verify(block(&[0, 1])), Err(weak.into()));
    let mut other = block(&[0, 1, 2]);
    other.outcome = outcome(2);
    assert_eq!(verify(other), Err(Invalid::OtherCertificate));

    let one = prepare(2, 0, &header).signed_statement();
    let two = prepare(2, 0, &s.header(0, 2)).signed_statement();
    let later = prepare(2, 1, &header).signed_statement();
    let proof = Equivocation::of(one, two).expect("a conflict");
    assert_eq!(
        proof.verify(chain(), &validators(4), &Ed25519Verifier),
        Ok(())
    );
    assert!(Equivocation::of(one, one).is_none() && Equivocation::of(one, later).is_none());
    let mut forged = proof;
    forged.second.signature = one.signature;
    let error = forged.verify(chain(), &validators(4), &Ed25519Verifier);
    assert_eq!(
        error,
        Err(EvidenceError::Invalid(Invalid::Signature(index(2))))
    );
    let same = Equivocation {
        first: one,
        second: one,
    };
    let error = same.verify(chain(), &validators(4), &Ed25519Verifier);
    assert_eq!(error, Err(EvidenceError::NoConflict));
}

/// One field after the other of a sealed block that its certificate does not speak of.
#[test]
fn a_sealed_block_is_the_one_that_its_certificate_decides() {
    let s = Sandbox::new(1);
    let header = s.header(0, 1);
    let good = Sealed {
        header: header.clone(),
        outcome: outcome(1),
        certificate: certificate(0, &header, &outcome(1), &[0, 1, 2]),
    };
    let changed = |change: fn(&mut Sealed)| {
        let mut block = good.clone();
        change(&mut block);
        block
            .verify(chain(), &validators(4), &Ed25519Verifier)
            .map(|_| ())
    };
    let epoch = Invalid::Epoch {
        expected: Epoch::ZERO,
        actual: Epoch::new(1),
    };
    let view = Invalid::CertificateView(View::ZERO);
    type Change = fn(&mut Sealed);
    let cases: [(&str, Change, Result<(), Invalid>); 8] = [
        ("as it is", |_| {}, Ok(())),
        (
            "finished in a later view",
            |b| b.certificate = certificate(2, &b.header, &b.outcome, &[0, 1, 2]),
            Ok(()),
        ),
        (
            "another header",
            |b| b.header.tx_count += 1,
            Err(Invalid::OtherCertificate),
        ),
        (
            "another height",
            |b| b.certificate.height = Height::new(2),
            Err(Invalid::OtherCertificate),
        ),
        (
            "nobody signed, as for genesis",
            |b| *b = genesis_as_if_sealed(),
            Err(Invalid::OtherCertificate),
        ),
        (
            "decided before it was proposed",
            |b| {
                b.header.view = View::new(1);
                b.certificate = certificate(0, &b.header, &b.outcome, &[0, 1, 2]);
            },
            Err(view),
        ),
        (
            "another chain",
            |b| b.header.chain = ChainId::main(b"another"),
            Err(Invalid::Chain),
        ),
        (
            "another epoch",
            |b| b.header.epoch = Epoch::new(1),
            Err(epoch),
        ),
    ];
    for (name, change, expected) in cases {
        assert_eq!(changed(change), expected, "{name}");
    }
}

fn genesis_as_if_sealed() -> Sealed {
    let head = genesis();
    Sealed {
        header: head.header,
        outcome: head.outcome,
        certificate: head.certificate,
    }
}

/// One field after the other of a proposal's header that its parent's certificate does not bear out.
#[test]
fn a_proposal_names_the_parent_that_it_carries() {
    let mut s = Sandbox::new(1);
    s.decide_one();
    let good = s.header(0, 2);
    type Change = fn(&mut BlockHeader);
    let cases: [(&str, Change); 5] = [
        ("parent", |h| h.parent = BlockId::ZERO),
        ("parent_commit", |h| {
            h.parent_commit = CertificateDigest::ZERO;
        }),
        ("parent_view", |h| h.parent_view = View::new(1)),
        ("height above", |h| h.height = h.height.next()),
        ("height zero", |h| h.height = Height::ZERO),
    ];
    for (name, change) in cases {
        let mut header = good.clone();
        change(&mut header);
        let verdict = verify(pre_prepare(header, s.contents(2)));
        assert_eq!(verdict, Err(Invalid::OtherCertificate), "{name}");
    }
}

#[test]
fn a_proposal_has_as_many_transactions_as_a_block_takes() {
    let s = Sandbox::new(1);
    let proposal = |count: usize| verify(pre_prepare(s.header(0, count), s.contents(count)));
    assert_eq!(proposal(MAX_BLOCK_TRANSACTIONS), Ok(()));
    let actual = MAX_BLOCK_TRANSACTIONS + 1;
    let too_many = Invalid::TransactionCount {
        stated: actual as u32,
        actual,
    };
    assert_eq!(proposal(actual), Err(too_many));
}

#[test]
fn a_request_may_carry_a_certificate_of_any_view_from_its_block_s_to_its_own() {
    let s = Sandbox::new(1);
    let header = s.header(0, 1);
    let request = |view, certificate| {
        verify(Message::ViewChange(view_change(
            2,
            1,
            view,
            Some(certificate),
        )))
    };
    for view in 0..3 {
        assert_eq!(request(3, prepared(view, &header, &[0, 1, 2])), Ok(()));
    }
    let late = Invalid::CertificateView(View::new(3));
    assert_eq!(
        request(3, prepared(3, &header, &[0, 1, 2])),
        Err(late.clone())
    );
    // The block of a certificate is one of this chain and epoch.
    let mut stranger = header.clone();
    stranger.chain = ChainId::main(b"another");
    assert_eq!(
        request(1, prepared(0, &stranger, &[0, 1, 2])),
        Err(Invalid::Chain)
    );
}

/// What a NEW-VIEW carries is bound by the claims as signed, whoever signed them.
#[test]
fn a_new_view_carries_the_certificate_that_is_claimed() {
    let s = Sandbox::new(1);
    let opening = |requests: &[ViewChange]| verify(Message::NewView(new_view(2, requests)));
    let everybody = [0, 1, 2, 3].map(|i| view_change(i, 1, 2, None));
    assert_eq!(opening(&everybody), Ok(()), "more than a quorum");

    let header = s.header(0, 1);
    let certificate = prepared(1, &header, &[0, 1, 2]);
    let requests = |first| {
        [
            view_change(0, 1, 2, Some(first)),
            view_change(1, 1, 2, None),
            view_change(2, 1, 2, None),
        ]
    };
    assert_eq!(opening(&requests(certificate.clone())), Ok(()));

    let mut other = new_view(2, &requests(certificate));
    other.prepared = Some(prepared(1, &s.header(0, 2), &[0, 1, 2]));
    assert_eq!(
        verify(Message::NewView(resigned(other))),
        Err(Invalid::OtherCertificate),
        "of the highest view, but nobody claims it"
    );

    let mut above = header.clone();
    above.height = Height::new(2);
    assert_eq!(
        opening(&requests(prepared(1, &above, &[0, 1, 2]))),
        Err(Invalid::OtherCertificate),
        "of another height"
    );
    assert_eq!(
        opening(&requests(prepared(2, &header, &[0, 1, 2]))),
        Err(Invalid::CertificateView(View::new(2))),
        "of the view that it opens"
    );
    let mut zero = new_view(2, &everybody);
    zero.view = View::ZERO;
    assert_eq!(
        verify(Message::NewView(resigned(zero))),
        Err(Invalid::ViewZero)
    );
}

#[test]
fn only_who_follows_another_set_is_excused() {
    let excused = [
        Invalid::Epoch {
            expected: Epoch::ZERO,
            actual: Epoch::new(1),
        },
        Invalid::UnknownSigner(index(4)),
    ];
    assert!(excused.iter().all(Invalid::may_be_honest));
    let faults = [
        Invalid::Chain,
        Invalid::Signature(index(1)),
        Invalid::Claims,
        Invalid::ViewZero,
        Invalid::OtherCertificate,
    ];
    assert!(!faults.iter().any(Invalid::may_be_honest));
}
