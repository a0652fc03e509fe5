#![allow(clippy::unwrap_used, clippy::expect_used)]

use certchain_proto::codec::DecodeError;
use proptest::prelude::*;

use super::{
    sealed::{OpenError, SealedPackage},
    text::{Carried, TextError},
    *,
};
use crate::{
    encryption::EncryptionError,
    fields::tests::{example, owner, property, salts, values},
    presentation::{MAX_PRESENTATION_BYTES, PresentationError, signing_hash},
};

const NOW: TimeMs = TimeMs::new(1_800_000_000_000);

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn address(seed: u8) -> Address {
    Address::of(key(seed).public())
}

/// Holder 1 for verifier 2.
fn terms() -> PresentationTerms {
    PresentationTerms {
        chain: ChainId::from_bytes([5; 32]),
        certificate: CertificateId::from_bytes([6; 32]),
        holder: address(1),
        audience: Audience::Verifier(address(2)),
        challenge: vec![3; 32],
        nonce: [4; 16],
        expires: TimeMs::new(NOW.get() + 30_000),
    }
}

fn build(names: &[&str], terms: &PresentationTerms) -> PresentationPackage {
    PresentationPackage::build(&example(), names, terms, &key(1)).unwrap()
}

fn package() -> PresentationPackage {
    build(&["ends", "parcel"], &terms())
}

struct World {
    certificate_type: CertificateType,
    holder_key: PublicKey,
}

impl World {
    fn new() -> Self {
        Self {
            certificate_type: property(),
            holder_key: key(1).public().clone(),
        }
    }

    fn expected(&self) -> Expected<'_> {
        Expected {
            chain: ChainId::from_bytes([5; 32]),
            certificate: CertificateId::from_bytes([6; 32]),
            certificate_type: &self.certificate_type,
            field_root: example().root(),
            holder: address(1),
            holder_keys: std::slice::from_ref(&self.holder_key),
            verifier: address(2),
            challenge: Some(&[3; 32]),
            now: NOW,
            clock_bound_ms: 1_000,
            window_ms: 3_600_000,
        }
    }
}

/// Decodes and verifies; gives what was verified.
fn judge(bytes: &[u8]) -> Option<(PresentationId, Vec<(String, String)>)> {
    let package = PresentationPackage::decode(bytes).ok()?;
    let world = World::new();
    let shown = package.verify(&world.expected()).ok()?;
    let pairs = shown
        .iter()
        .map(|field| (field.name().to_owned(), field.value().to_owned()))
        .collect();
    Some((package.id(), pairs))
}

#[test]
fn a_package_shows_what_was_chosen_and_nothing_else() {
    let bytes = package().encode();
    let (id, shown) = judge(&bytes).unwrap();
    assert_eq!(id, PresentationId::of(package().signed().encoded()));
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        shown,
        [pair("parcel", "浦东-0042"), pair("ends", "2090-02-28")]
    );
    let hidden = owner();
    assert!(
        !bytes
            .windows(hidden.len())
            .any(|window| window == hidden.as_bytes())
    );
    // What is shown may be nothing, or that a field is left out.
    for names in [&[][..], &["note"]] {
        let bytes = build(names, &terms()).encode();
        assert_eq!(judge(&bytes).unwrap().1.len(), names.len());
    }
}

#[test]
fn the_disclosed_hash_is_as_documented() {
    let fields = example();
    let mut input = blake3::derive_key("certchain v1 certificate type", b"property").to_vec();
    input.extend_from_slice(fields.root().as_bytes());
    for index in [0u16, 3] {
        input.extend_from_slice(&index.to_le_bytes());
        input.extend_from_slice(&fields.commitments()[usize::from(index)]);
    }
    let expected = blake3::derive_key("certchain v1 disclosed fields", &input);
    assert_eq!(*package().presentation().disclosed.as_bytes(), expected);
    let hash = blake3::derive_key(
        "certchain v1 sign presentation",
        package().signed().encoded(),
    );
    assert_eq!(*signing_hash(package().signed().encoded()).as_bytes(), hash);
}

/// Golden values: the bytes that travel must never change unseen.
#[test]
fn the_bytes_are_pinned() {
    let digest = |bytes: &[u8]| blake3::hash(bytes).to_hex().to_string();
    assert_eq!(package().encode().len(), 625);
    assert_eq!(
        digest(package().signed().encoded()),
        "795513f972c5de8173788eb844508fd19cd8153cc8079bf5d4cf0695bf09461f"
    );
    assert_eq!(
        digest(&package().encode()),
        "24384273c984ab1a6f06a24fb16a1e653b19b47a913f8117630ddca15eac6e4d"
    );
    let recipient = bytes_of_key();
    let sealed = SealedPackage::seal(&package(), &recipient, &[8; 32]).unwrap();
    assert_eq!(
        digest(&sealed.encode()),
        "aa5d77858eb2983181964f10a291695259fa5b79bf2553ef7d6ee75b8b49e4d1"
    );
}

/// The X25519 key of RFC 9180, appendix A.2.1.
fn bytes_of_key() -> [u8; 32] {
    let digits = "4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a";
    hex::decode(digits).unwrap().try_into().unwrap()
}

#[test]
fn builders_refuse_what_cannot_be_shown() {
    let try_build = |names: &[&str], terms: &PresentationTerms| {
        PresentationPackage::build(&example(), names, terms, &key(1)).unwrap_err()
    };
    let name = |name: &str| name.to_owned();
    assert_eq!(
        try_build(&["colour"], &terms()),
        BuildError::UnknownField {
            name: name("colour")
        }
    );
    assert_eq!(
        try_build(&["area", "area"], &terms()),
        BuildError::RepeatedField { name: name("area") }
    );
    let mut long = terms();
    long.challenge = vec![0; 33];
    assert!(matches!(
        try_build(&[], &long),
        BuildError::Presentation(PresentationError::Field {
            field: "challenge",
            ..
        })
    ));
    let mut wide = property();
    for index in 0..8 {
        wide.fields.push(crate::fields::tests::definition(
            &format!("text{index}"),
            certchain_config::FieldKind::Text,
            4096,
            false,
        ));
    }
    let mut all = values();
    for index in 0..8 {
        all.push((format!("text{index}"), "x".repeat(4096)));
    }
    let fields = CertificateFields::new(&wide, &all, &salts(13)).unwrap();
    let names: Vec<_> = fields.slots().iter().map(|slot| slot.name()).collect();
    assert!(matches!(
        PresentationPackage::build(&fields, &names, &terms(), &key(1)),
        Err(BuildError::TooLarge { .. })
    ));
}

#[test]
fn each_misuse_has_its_error() {
    let world = World::new();
    let good = package();
    let verify = |change: &dyn Fn(&mut Expected<'_>)| {
        let mut expected = world.expected();
        change(&mut expected);
        good.verify(&expected).map(<[ShownField]>::len)
    };
    assert_eq!(verify(&|_| ()), Ok(2));
    assert_eq!(verify(&|e| e.challenge = None), Ok(2));
    assert_eq!(
        verify(&|e| e.chain = ChainId::from_bytes([9; 32])),
        Err(VerifyError::OtherChain)
    );
    let actual = good.presentation().certificate;
    assert_eq!(
        verify(&|e| e.certificate = CertificateId::from_bytes([9; 32])),
        Err(VerifyError::OtherCertificate { actual })
    );
    assert_eq!(
        verify(&|e| e.holder = address(3)),
        Err(VerifyError::OtherHolder { actual: address(1) })
    );
    assert_eq!(
        verify(&|e| e.verifier = address(3)),
        Err(VerifyError::OtherVerifier { named: address(2) })
    );
    assert_eq!(
        verify(&|e| e.challenge = Some(b"")),
        Err(VerifyError::OtherChallenge)
    );
    let expires = good.presentation().expires;
    assert_eq!(
        verify(&|e| e.now = expires),
        Err(VerifyError::Expired { expires })
    );
    assert_eq!(
        verify(&|e| e.window_ms = 28_999),
        Err(VerifyError::TooFar { expires })
    );
    // Another certificate's root under this one's id: another person's certificate.
    assert_eq!(
        verify(&|e| e.field_root = FieldRoot::from_bytes([9; 32])),
        Err(VerifyError::ForeignFields)
    );
    let other_key = key(3);
    let mut rotated = world.expected();
    rotated.holder_keys = std::slice::from_ref(other_key.public());
    assert_eq!(good.verify(&rotated), Err(VerifyError::BadSignature));
    let several = [other_key.public().clone(), key(1).public().clone()];
    rotated.holder_keys = &several;
    assert!(good.verify(&rotated).is_ok());
    let mut degree = property();
    degree.name = certchain_config::Name::parse("degree").unwrap();
    let mut other_type = world.expected();
    other_type.certificate_type = &degree;
    assert_eq!(good.verify(&other_type), Err(VerifyError::OtherType));
}

#[test]
fn bearers_have_a_minute_and_any_verifier() {
    let world = World::new();
    let mut bearer = terms();
    bearer.audience = Audience::Bearer;
    bearer.expires = TimeMs::new(NOW.get() + BEARER_LIFE_MS + 1_000);
    let package = build(&["parcel"], &bearer);
    let mut expected = world.expected();
    expected.verifier = address(7);
    assert!(package.verify(&expected).is_ok());
    expected.now = TimeMs::new(NOW.get() - 1);
    let expires = bearer.expires;
    assert_eq!(
        package.verify(&expected),
        Err(VerifyError::TooFar { expires })
    );
}

#[test]
fn what_the_holder_changes_is_found() {
    let world = World::new();
    let resigned = |change: &dyn Fn(&mut PresentationPackage)| {
        let mut bad = package();
        change(&mut bad);
        bad.verify(&world.expected()).map(<[ShownField]>::len)
    };
    let name = |name: &str| name.to_owned();
    assert_eq!(
        resigned(&|p| p.shown[1].value = name("2099-12-31")),
        Err(VerifyError::ChangedField { name: name("ends") })
    );
    assert_eq!(
        resigned(&|p| p.shown[0].salt[0] ^= 1),
        Err(VerifyError::ChangedField {
            name: name("parcel")
        })
    );
    assert_eq!(
        resigned(&|p| p.shown[0].index = 1),
        Err(VerifyError::ChangedField {
            name: name("parcel")
        })
    );
    // Fitting commitments for a forged value are another certificate's.
    assert_eq!(
        resigned(&|p| {
            p.shown[0].value = name("浦东-0043");
            let field = &p.shown[0];
            p.commitments[0] = commitment(&field.salt, &field.name, &field.value);
        }),
        Err(VerifyError::ForeignFields)
    );
    // Fewer or more fields than were signed for.
    assert_eq!(
        resigned(&|p| drop(p.shown.pop())),
        Err(VerifyError::OtherDisclosure)
    );
    assert_eq!(
        resigned(&|p| {
            let fields = example();
            let slot = &fields.slots()[4];
            p.shown.push(ShownField {
                index: 4,
                name: slot.name().to_owned(),
                value: slot.value().to_owned(),
                salt: *slot.salt(),
            });
        }),
        Err(VerifyError::OtherDisclosure)
    );
}

#[test]
fn decoding_refuses_what_breaks_the_shape() {
    let decode = |raw: &RawPackage| PresentationPackage::decode(&codec::encode(raw)).unwrap_err();
    let raw = || -> RawPackage { codec::decode(&package().encode(), MAX_PACKAGE_BYTES).unwrap() };
    let mut bad = raw();
    bad.version = 2;
    assert_eq!(decode(&bad), PackageError::Version { actual: 2 });
    let mut bad = raw();
    bad.shown.swap(0, 1);
    assert_eq!(decode(&bad), PackageError::Order);
    let mut bad = raw();
    bad.shown[1].index = bad.shown[0].index;
    assert_eq!(decode(&bad), PackageError::Order);
    let mut bad = raw();
    bad.shown[1].index = 5;
    assert_eq!(decode(&bad), PackageError::Order);
    for count in [0, MAX_FIELDS + 1] {
        let mut bad = raw();
        bad.shown.clear();
        bad.commitments = vec![[0; 32]; count];
        assert_eq!(decode(&bad), PackageError::Slots { actual: count });
    }
    let mut bad = raw();
    bad.presentation.push(0);
    assert!(matches!(decode(&bad), PackageError::Presentation(_)));
    assert!(matches!(
        PresentationPackage::decode(&vec![1; MAX_PACKAGE_BYTES + 1]),
        Err(PackageError::Decode(DecodeError::TooLarge { .. }))
    ));
}

#[test]
fn presentations_have_one_form() {
    let good = package().presentation().clone();
    let encoded = good.encode();
    assert!(encoded.len() <= MAX_PRESENTATION_BYTES);
    assert_eq!(Presentation::decode(&encoded), Ok(good.clone()));
    let mut explicit_default = encoded.clone();
    explicit_default.extend_from_slice(&[0x2a, 0]);
    assert!(Presentation::decode(&explicit_default).is_err());
    let mut unknown = encoded.clone();
    unknown.extend_from_slice(&[0x48, 1]);
    assert_eq!(
        Presentation::decode(&unknown),
        Err(PresentationError::NotCanonical)
    );
    assert_eq!(
        Presentation::decode(&[0xff; 8]),
        Err(PresentationError::Malformed)
    );
    assert_eq!(
        Presentation::decode(&[0; MAX_PRESENTATION_BYTES + 1]),
        Err(PresentationError::TooLarge {
            actual: MAX_PRESENTATION_BYTES + 1
        })
    );
    for cut in 0..encoded.len() {
        assert!(
            Presentation::decode(&encoded[..cut]).is_err(),
            "cut at {cut}"
        );
    }
    let mut bearer = good;
    bearer.audience = Audience::Bearer;
    bearer.challenge.clear();
    assert_eq!(Presentation::decode(&bearer.encode()), Ok(bearer.clone()));
}

#[test]
fn sealed_packages_open_for_their_verifier_only() {
    use hpke::{Kem as _, Serializable as _, kem::X25519HkdfSha256 as Kem};
    let pair = |seed: u8| -> ([u8; 32], [u8; 32]) {
        let (secret, public) = Kem::derive_keypair(&[seed; 32]);
        (secret.to_bytes().into(), public.to_bytes().into())
    };
    let ((secret, public), (other, _)) = (pair(1), pair(2));
    let sealed = SealedPackage::seal(&package(), &public, &[8; 32]).unwrap();
    let text = Carried::Sealed(sealed).to_text();
    let Ok(Carried::Sealed(sealed)) = Carried::from_text(&text) else {
        panic!("not sealed");
    };
    assert_eq!(sealed.open(&secret), Ok(package()));
    assert_eq!(
        sealed.open(&other),
        Err(OpenError::Encryption(EncryptionError::OtherRecipient))
    );
    let bytes = sealed.encode();
    for index in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[index] ^= 1;
        let opened = SealedPackage::decode(&bad).map(|sealed| sealed.open(&secret));
        assert!(!matches!(opened, Ok(Ok(_))), "byte {index}");
    }
}

#[test]
fn texts_come_back() {
    let text = Carried::Clear(Box::new(package())).to_text();
    assert!(text.starts_with("CC1:"));
    assert_eq!(
        Carried::from_text(&format!("\n {} \r\n", *text)),
        Ok(Carried::Clear(Box::new(package())))
    );
    assert!(matches!(
        Carried::from_text(&text[..text.len() - 3]),
        Err(TextError::Package(_) | TextError::Damaged)
    ));
}

#[test]
fn nothing_shows_personal_data() {
    let carried = Carried::Clear(Box::new(package()));
    let text = format!("{carried:?} {:?}", package().shown());
    for secret in [
        "浦东",
        "2090",
        "[1, 1",
        "[4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4",
    ] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[test]
fn every_flipped_bit_of_a_package_is_refused() {
    let good = package().encode();
    assert!(judge(&good).is_some());
    for index in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.to_vec();
            bad[index] ^= 1 << bit;
            assert_eq!(judge(&bad), None, "bit {bit} of byte {index}");
        }
    }
}

proptest! {
    /// Whatever is done to the bytes: they are refused, or say the very same.
    #[test]
    fn changed_packages_are_refused_or_say_the_same(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
        tail in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        let good = package().encode();
        let mut bad = good.to_vec();
        for (index, byte) in edits {
            let index = index.index(bad.len());
            bad[index] = byte;
        }
        if let Some(cut) = cut {
            bad.truncate(cut.index(bad.len()));
        }
        bad.extend_from_slice(&tail);
        if bad == *good {
            prop_assert_eq!(judge(&bad), judge(&good));
        } else {
            prop_assert_eq!(judge(&bad), None);
        }
    }

    /// The same for the text of the QR code.
    #[test]
    fn changed_texts_are_refused_or_say_the_same(
        index in any::<prop::sample::Index>(),
        with in "[0-9A-Z $%*+./:-]",
    ) {
        let good = Carried::Clear(Box::new(package())).to_text();
        let mut bad = good.to_string();
        let at = index.index(bad.len());
        bad.replace_range(at..=at, &with);
        match Carried::from_text(&bad) {
            Ok(Carried::Clear(read)) if bad == *good => prop_assert_eq!(*read, package()),
            Ok(Carried::Clear(read)) => prop_assert_eq!(judge(&read.encode()), None),
            Ok(Carried::Sealed(_)) => prop_assert!(false, "a clear text cannot be sealed"),
            Err(_) => {}
        }
    }
}
