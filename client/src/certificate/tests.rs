#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use certchain_config::{CertificateType, Field, FieldKind, Name, SideChain, Title};
use certchain_proto::{
    Address, ChainId, SecretKey, TimeMs,
    hash::{CertificateId, ContentHash, FieldRoot},
    limits::MAX_TRANSACTION_BYTES,
    transaction::Transaction,
    wire::v1::{CertificateDraft, SignedTransaction, transaction_body::Kind},
};
use certchain_sidechain::{
    encryption::{EncryptionError, FieldsScope, MAX_INLINE_BYTES},
    fields::{CertificateFields, FieldError},
    package::{Expected, PresentationPackage, VerifyError, text::Carried},
    presentation::Audience,
};
use prost::Message as _;

use super::*;
use crate::{
    qr::{QrCode, read_presentation},
    transaction::{Draft, DraftError, Role, Signer, Terms, record_check},
    wallet::{AccountKind, KdfParameters, NewWallet, Passphrase, Wallet},
};

const NOW: TimeMs = TimeMs::new(1_800_000_000_000);

fn definition(name: &str, kind: FieldKind, max_bytes: u32, required: bool) -> Field {
    Field {
        name: Name::parse(name).unwrap(),
        title: Title::parse("Title").unwrap(),
        kind,
        max_bytes,
        required,
    }
}

fn certificate_type(chain: SideChain) -> CertificateType {
    CertificateType {
        chain,
        name: Name::parse(chain.name()).unwrap(),
        title: Title::parse("Certificate").unwrap(),
        validity_days: None,
        fields: vec![
            definition("parcel", FieldKind::Text, 64, true),
            definition("subject", FieldKind::Text, 128, true),
            definition("awarded_on", FieldKind::Date, 10, true),
            definition("notes", FieldKind::Text, 4096, false),
        ],
    }
}

fn values(notes: &str) -> Vec<(String, String)> {
    [
        ("parcel", "浦东-0042"),
        ("subject", "Physique ge\u{301}ne\u{301}rale"),
        ("awarded_on", "2026-06-30"),
        ("notes", notes),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

fn wallet(folder: &Path, name: &str) -> Wallet {
    let new = NewWallet {
        name: name.into(),
        kind: AccountKind::Citizen,
        organisation_code: String::new(),
        recovers: None,
    };
    let fast = KdfParameters::new(8, 1, 1).unwrap();
    Wallet::create(
        &folder.join(name),
        new,
        &Passphrase::new("p").unwrap(),
        fast,
    )
    .unwrap()
}

fn chain() -> ChainId {
    ChainId::from_bytes([5; 32])
}

fn issuer() -> Address {
    Address::of(SecretKey::from_seed(&[1; 32]).public())
}

fn prepared(keeper: SideChain, holders: &[Recipient], notes: &str) -> PreparedCertificate {
    try_prepare(keeper, holders, &values(notes)).unwrap()
}

fn try_prepare(
    keeper: SideChain,
    holders: &[Recipient],
    values: &[(String, String)],
) -> Result<PreparedCertificate, PrepareError> {
    prepare(&Order {
        chain: chain(),
        issuer: issuer(),
        certificate_type: &certificate_type(keeper),
        values,
        holders,
        valid_from: None,
        valid_until: None,
    })
}

fn received(draft: CertificateDraft) -> ReceivedCertificate {
    ReceivedCertificate::new(chain(), issuer(), draft, None).unwrap()
}

/// A presentation as a holder makes one, for the tests of QR codes.
pub(crate) fn package() -> PresentationPackage {
    let salts: Vec<[u8; 32]> = (1..=4).map(|index| [index; 32]).collect();
    let values = values("")
        .iter()
        .map(|(n, v)| (n.clone(), nfc(v)))
        .collect::<Vec<_>>();
    let fields =
        CertificateFields::new(&certificate_type(SideChain::Degree), &values, &salts).unwrap();
    let key = SecretKey::from_seed(&[2; 32]);
    let terms = certchain_sidechain::package::PresentationTerms {
        chain: chain(),
        certificate: CertificateId::from_bytes([6; 32]),
        holder: Address::of(key.public()),
        audience: Audience::Bearer,
        challenge: Vec::new(),
        nonce: [7; 16],
        expires: NOW,
    };
    PresentationPackage::build(&fields, &["subject", "awarded_on"], &terms, &key).unwrap()
}

fn nfc(text: &str) -> String {
    unicode_normalization::UnicodeNormalization::nfc(text).collect()
}

#[test]
fn the_holder_reads_what_the_issuer_wrote_and_nobody_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let (mut holder, other) = (wallet(folder.path(), "a"), wallet(folder.path(), "b"));
    let holders = [Recipient::from(holder.account())];
    let prepared = prepared(SideChain::Degree, &holders, "");
    let degree = certificate_type(SideChain::Degree);
    // The id is that of what the chain will see.
    let received =
        ReceivedCertificate::new(chain(), issuer(), prepared.draft.clone(), Some(prepared.id))
            .unwrap();
    assert_eq!(received.id(), prepared.id);
    let opened = received.open(&degree, &holder, None).unwrap();
    assert_eq!(opened, prepared.fields);
    assert_eq!(opened.value("subject"), Some("Physique g\u{e9}n\u{e9}rale"));
    assert_eq!(opened.value("notes"), Some(""));
    // Nothing of the values is in the draft.
    let bytes = prepared.draft.encode_to_vec();
    for value in ["浦东", "2026-06-30", "Physique"] {
        let found = bytes.windows(value.len()).any(|w| w == value.as_bytes());
        assert!(!found, "{value}");
    }
    assert_eq!(
        received.open(&degree, &other, None),
        Err(OpenError::NotHolder {
            account: other.address()
        })
    );
    // A past key still opens it.
    holder.begin_rotation().unwrap();
    assert!(holder.complete_rotation());
    assert_eq!(received.open(&degree, &holder, None), Ok(opened));
}

#[test]
fn what_does_not_fit_the_draft_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (holder, other) = (wallet(folder.path(), "a"), wallet(folder.path(), "b"));
    let holders = [Recipient::from(holder.account())];
    let good = prepared(SideChain::Degree, &holders, "");
    let degree = certificate_type(SideChain::Degree);
    let open = |draft: CertificateDraft| received(draft).open(&degree, &holder, None);

    // An issuer that encrypts other fields than it commits to.
    let mut lying = good.draft.clone();
    lying.field_root = vec![9; 32];
    let committed = FieldRoot::from_bytes([9; 32]);
    let id = received(lying.clone()).id();
    let scope = FieldsScope {
        chain: chain(),
        certificate: id,
        version: 0,
    };
    let plaintext = good.fields.to_plaintext();
    let sealed = scope
        .seal(holder.account().encryption_key(), &plaintext, &[3; 32])
        .unwrap();
    lying.encrypted = vec![sealed.into_wire().0];
    let sent = good.fields.root();
    assert_eq!(open(lying), Err(OpenError::OtherRoot { sent, committed }));

    // A title that claims another parcel than its fields name.
    let mut elsewhere = prepared(SideChain::Property, &holders, "").draft;
    let title = certificate_type(SideChain::Property);
    let open_title = |draft: CertificateDraft| received(draft).open(&title, &holder, None);
    assert!(open_title(elsewhere.clone()).is_ok());
    elsewhere.claim = vec![9; 32];
    assert_eq!(open_title(elsewhere), Err(OpenError::OtherClaim));

    // One certificate's ciphertext under another one's draft.
    let another = prepared(SideChain::Degree, &holders, "");
    let mut mixed = good.draft.clone();
    mixed.encrypted = another.draft.encrypted.clone();
    assert_eq!(
        open(mixed),
        Err(OpenError::Encryption(EncryptionError::DoesNotOpen))
    );
    // Encrypted to somebody else's key.
    let strangers = [Recipient {
        address: holder.address(),
        encryption_key: *other.account().encryption_key(),
    }];
    assert_eq!(
        open(prepared(SideChain::Degree, &strangers, "").draft),
        Err(OpenError::NotForThisWallet)
    );
    let health = certificate_type(SideChain::Health);
    assert!(matches!(
        received(good.draft.clone()).open(&health, &holder, None),
        Err(OpenError::OtherType { .. })
    ));
    let asked = another.id;
    assert_eq!(
        ReceivedCertificate::new(chain(), issuer(), good.draft.clone(), Some(asked)),
        Err(OpenError::OtherCertificate {
            asked,
            actual: good.id
        })
    );
    type Cut = fn(&mut CertificateDraft);
    let cuts: [(&str, Cut); 3] = [
        ("field_root", |draft| draft.field_root.truncate(31)),
        ("nonce", |draft| draft.nonce.push(0)),
        ("encrypted", |draft| draft.encrypted.clear()),
    ];
    for (name, cut) in cuts {
        let mut draft = good.draft.clone();
        cut(&mut draft);
        assert_eq!(
            ReceivedCertificate::new(chain(), issuer(), draft, None),
            Err(OpenError::Malformed { field: name })
        );
    }
}

#[test]
fn large_fields_go_off_the_chain() {
    let folder = tempfile::tempdir().unwrap();
    let holder = wallet(folder.path(), "a");
    let holders = [Recipient::from(holder.account())];
    let degree = certificate_type(SideChain::Degree);
    let prepared = prepared(SideChain::Degree, &holders, &"x".repeat(4096));
    let [content] = prepared.contents.as_slice() else {
        panic!("one content");
    };
    assert!(content.len() > MAX_INLINE_BYTES);
    assert!(prepared.draft.encoded_len() < 1024);
    let received = received(prepared.draft.clone());
    let hash = ContentHash::of(content);
    assert_eq!(
        received.open(&degree, &holder, None),
        Err(OpenError::Encryption(EncryptionError::ContentNeeded {
            hash
        }))
    );
    assert_eq!(
        received.open(&degree, &holder, Some(content)),
        Ok(prepared.fields)
    );
    assert_eq!(
        received.open(&degree, &holder, Some(&content[1..])),
        Err(OpenError::Encryption(EncryptionError::OtherContent {
            hash
        }))
    );
}

#[test]
fn issuers_are_told_what_does_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (wallet(folder.path(), "a"), wallet(folder.path(), "b"));
    let (a, b) = (Recipient::from(a.account()), Recipient::from(b.account()));
    for (keeper, fitting) in [
        (SideChain::Marriage, 2..=2),
        (SideChain::Property, 1..=2),
        (SideChain::Degree, 1..=1),
        (SideChain::Business, 1..=1),
        (SideChain::Health, 1..=1),
    ] {
        let third = Recipient {
            address: issuer(),
            ..a
        };
        for count in 0..=3 {
            let verdict = try_prepare(keeper, &[a, b, third][..count], &values(""));
            if fitting.contains(&count) {
                assert_eq!(verdict.unwrap().draft.holders.len(), count);
            } else {
                assert_eq!(
                    verdict,
                    Err(PrepareError::Holders {
                        actual: count,
                        least: *fitting.start(),
                        most: *fitting.end()
                    })
                );
            }
        }
    }
    assert_eq!(
        try_prepare(SideChain::Marriage, &[a, a], &values("")),
        Err(PrepareError::RepeatedHolder { holder: a.address })
    );
    let mut without = values("");
    without.remove(1);
    assert!(matches!(
        try_prepare(SideChain::Degree, &[a], &without),
        Err(PrepareError::Field(FieldError::Missing { .. }))
    ));
    let nobody = Recipient {
        encryption_key: [0; 32],
        ..a
    };
    assert_eq!(
        try_prepare(SideChain::Degree, &[nobody], &values("")),
        Err(PrepareError::Encryption {
            holder: a.address,
            source: EncryptionError::RecipientKey
        })
    );
    let degree = certificate_type(SideChain::Degree);
    let verdict = prepare(&Order {
        chain: chain(),
        issuer: issuer(),
        certificate_type: &degree,
        values: &values(""),
        holders: &[a],
        valid_from: Some(NOW),
        valid_until: Some(NOW),
    });
    assert_eq!(verdict, Err(PrepareError::Validity));
}

#[test]
fn only_titles_of_parcels_claim_in_the_draft() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (wallet(folder.path(), "a"), wallet(folder.path(), "b"));
    let (a, b) = (Recipient::from(a.account()), Recipient::from(b.account()));
    let claim = |keeper, holders: &[Recipient]| prepared(keeper, holders, "").draft.claim;
    // The same parcel claims the same, whoever owns it and whatever the salts.
    let first = claim(SideChain::Property, &[a]);
    assert_eq!(first.len(), 32);
    assert_eq!(first, claim(SideChain::Property, &[b]));
    assert!(claim(SideChain::Degree, &[a]).is_empty());
    assert!(claim(SideChain::Marriage, &[a, b]).is_empty());
}

#[test]
fn kinds_name_their_signers() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (wallet(folder.path(), "a"), wallet(folder.path(), "b"));
    let holders = [Recipient::from(b.account()), Recipient::from(a.account())];
    let terms = Terms {
        chain: chain(),
        valid_until: NOW,
    };
    let marriage = prepared(SideChain::Marriage, &holders, "");
    let body = terms.body(issue_kind(issuer(), &marriage)).unwrap();
    let mut draft = Draft::new(&body).unwrap();
    let account = |role, address| crate::transaction::Party {
        role,
        signer: Signer::Account(address),
    };
    assert_eq!(
        draft.parties(),
        [
            account(Role::Issuer, issuer()),
            account(Role::Holder, b.address()),
            account(Role::Holder, a.address())
        ]
    );
    assert!(matches!(
        draft.sign_with(&b),
        Err(DraftError::NotYourTurn { .. })
    ));
    draft
        .sign(issuer(), &SecretKey::from_seed(&[1; 32]))
        .unwrap();
    assert!(matches!(
        draft.sign_with(&a),
        Err(DraftError::NotYourTurn { .. })
    ));
    draft.sign_with(&b).unwrap();
    draft.sign_with(&a).unwrap();
    let transaction = Transaction::from_envelope(draft.finish().unwrap()).unwrap();
    assert_eq!(transaction.witnesses().len(), 3);

    let degree = prepared(SideChain::Degree, &holders[..1], "");
    let body = terms.body(issue_kind(issuer(), &degree)).unwrap();
    assert_eq!(Draft::new(&body).unwrap().parties().len(), 1);
    assert_eq!(
        batch_kind(issuer(), &[degree.clone(), marriage]),
        Err(PrepareError::NoBatch)
    );
    let Ok(Kind::IssueBatch(batch)) = batch_kind(issuer(), std::slice::from_ref(&degree)) else {
        panic!("no batch");
    };
    assert_eq!(
        batch.certificates.as_slice(),
        std::slice::from_ref(&degree.draft)
    );
    for count in [0, 1025] {
        assert_eq!(
            batch_kind(issuer(), &vec![degree.clone(); count]),
            Err(PrepareError::Batch { actual: count })
        );
    }
}

#[test]
fn batches_are_split_to_fit() {
    let folder = tempfile::tempdir().unwrap();
    let holder = wallet(folder.path(), "a");
    let holders = [Recipient::from(holder.account())];
    let one = prepared(SideChain::Degree, &holders, &"x".repeat(2000));
    let key = SecretKey::from_seed(&[1; 32]);
    let batches = split_batches(vec![one.clone(); 300], MAX_TRANSACTION_BYTES);
    assert!(batches.len() > 1);
    assert_eq!(batches.iter().map(Vec::len).sum::<usize>(), 300);
    let terms = Terms {
        chain: chain(),
        valid_until: NOW,
    };
    for batch in &batches {
        let body = terms.body(batch_kind(issuer(), batch).unwrap()).unwrap();
        let signed: SignedTransaction = certchain_proto::transaction::sign(&body, &[&key]);
        Transaction::from_envelope(signed).unwrap();
    }
    let small = prepared(SideChain::Degree, &holders, "");
    let batches = split_batches(vec![small; 1500], usize::MAX);
    assert_eq!(
        batches.iter().map(Vec::len).collect::<Vec<_>>(),
        [1024, 476]
    );
    // What fits nowhere stands alone, and the chain's limit refuses it.
    assert_eq!(split_batches(vec![one; 2], 100).len(), 2);
}

#[test]
fn a_certificate_is_shown_as_a_picture_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let (holder, verifier) = (wallet(folder.path(), "a"), wallet(folder.path(), "v"));
    let holders = [Recipient::from(holder.account())];
    let degree = certificate_type(SideChain::Degree);
    let issued = prepared(SideChain::Degree, &holders, "");
    let fields = received(issued.draft.clone())
        .open(&degree, &holder, None)
        .unwrap();
    let showing = Showing {
        chain: chain(),
        certificate: issued.id,
        names: &["subject"],
        audience: Audience::Verifier(verifier.address()),
        challenge: b"desk 4",
        expires: TimeMs::new(NOW.get() + 60_000),
    };
    let expected = Expected {
        chain: chain(),
        certificate: issued.id,
        certificate_type: &degree,
        field_root: FieldRoot::from_slice(&issued.draft.field_root).unwrap(),
        holder: holder.address(),
        holder_keys: std::slice::from_ref(holder.account().public_key()),
        verifier: verifier.address(),
        challenge: Some(b"desk 4"),
        now: NOW,
        clock_bound_ms: 0,
        window_ms: 60_000,
    };

    let package = present(&holder, &fields, &showing).unwrap();
    let path = folder.path().join("show.png");
    let carried = Carried::Clear(Box::new(package));
    QrCode::of(&carried).unwrap().write_file(&path).unwrap();
    let Carried::Clear(read) = read_presentation(&path).unwrap() else {
        panic!("not in clear");
    };
    let shown = read.verify(&expected).unwrap();
    assert_eq!(shown[0].value(), "Physique g\u{e9}n\u{e9}rale");
    assert_eq!(shown.len(), 1);

    // The check carries what was signed, and its verifier signs it alone.
    let terms = Terms {
        chain: chain(),
        valid_until: NOW,
    };
    let kind = record_check(verifier.address(), read.signed(), 3);
    let mut draft = Draft::new(&terms.body(kind).unwrap()).unwrap();
    draft.sign_with(&verifier).unwrap();
    draft.finish().unwrap();

    // The same, for the verifier's eyes only.
    let key = verifier.account().encryption_key();
    let carried = present_sealed(&holder, &fields, &showing, key).unwrap();
    let path = folder.path().join("sealed.png");
    QrCode::of(&carried).unwrap().write_file(&path).unwrap();
    let Carried::Sealed(sealed) = read_presentation(&path).unwrap() else {
        panic!("in clear");
    };
    let secret = verifier.keys().encryption_secret().as_bytes();
    let opened = sealed.open(secret).unwrap();
    assert_eq!(opened.verify(&expected).map(<[_]>::len), Ok(1));
    assert!(
        sealed
            .open(holder.keys().encryption_secret().as_bytes())
            .is_err()
    );
    // Two presentations of the same are two.
    assert_ne!(opened.id(), read.id());

    let other = Address::from_bytes([9; 32]);
    let stolen = Expected {
        verifier: other,
        ..expected
    };
    assert_eq!(
        read.verify(&stolen),
        Err(VerifyError::OtherVerifier {
            named: verifier.address()
        })
    );
    let bearer = Showing {
        audience: Audience::Bearer,
        ..showing
    };
    assert_eq!(
        present_sealed(&holder, &fields, &bearer, key),
        Err(PresentError::Bearer)
    );
}
