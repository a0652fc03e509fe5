//! What never becomes a verified message.

use certchain_consensus::{Equivocation, Invalid, Message, Sealed, evidence::EvidenceError};
use certchain_proto::{
    ChainId, Epoch, Height, View,
    certificate::{CertificateError, Ed25519Verifier},
};

use crate::sandbox::{
    Sandbox, certificate, chain, commit, index, new_view, outcome, pre_prepare, prepare, prepared,
    resigned, validators, view_change,
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
