#![allow(clippy::unwrap_used, clippy::expect_used)]

use certchain_config::{Field, FieldKind, Name, Title};
use certchain_proto::Address;

use super::*;

pub(crate) fn definition(name: &str, kind: FieldKind, max_bytes: u32, required: bool) -> Field {
    Field {
        name: Name::parse(name).unwrap(),
        title: Title::parse("Title").unwrap(),
        kind,
        max_bytes,
        required,
    }
}

/// A property certificate with a field of every kind; the last two are optional.
pub(crate) fn property() -> CertificateType {
    CertificateType {
        chain: SideChain::Property,
        name: Name::parse("property").unwrap(),
        title: Title::parse("Title deed").unwrap(),
        validity_days: None,
        fields: vec![
            definition("parcel", FieldKind::Text, 64, true),
            definition("area", FieldKind::Number, 20, true),
            definition("owner", FieldKind::Address, 64, true),
            definition("ends", FieldKind::Date, 10, false),
            definition("note", FieldKind::Text, 4096, false),
        ],
    }
}

pub(crate) fn owner() -> String {
    Address::from_bytes([7; 32]).to_string()
}

pub(crate) fn salts(count: u8) -> Vec<[u8; 32]> {
    (0..count).map(|index| [index + 1; 32]).collect()
}

pub(crate) fn values() -> Vec<(String, String)> {
    [
        ("area", "120"),
        ("parcel", "浦东-0042"),
        ("owner", &owner()),
        ("ends", "2090-02-28"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

pub(crate) fn example() -> CertificateFields {
    CertificateFields::new(&property(), &values(), &salts(5)).unwrap()
}

fn with(name: &str, value: &str) -> Result<CertificateFields, FieldError> {
    let mut all = values();
    all.retain(|(other, _)| other != name);
    all.push((name.to_owned(), value.to_owned()));
    CertificateFields::new(&property(), &all, &salts(5))
}

#[test]
fn the_format_is_as_documented() {
    let fields = example();
    let names = ["parcel", "area", "owner", "ends", "note"];
    let mut expected = blake3::derive_key("certchain v1 certificate type", b"property").to_vec();
    expected.extend_from_slice(&5u16.to_le_bytes());
    let mut plain = vec![1];
    plain.extend_from_slice(&8u64.to_le_bytes());
    plain.extend_from_slice(b"property");
    plain.extend_from_slice(&5u64.to_le_bytes());
    for (index, name) in names.into_iter().enumerate() {
        let value = fields.value(name).unwrap();
        let salt = [index as u8 + 1; 32];
        let mut input = salt.to_vec();
        input.extend_from_slice(&(name.len() as u16).to_le_bytes());
        input.extend_from_slice(name.as_bytes());
        input.extend_from_slice(&(value.len() as u32).to_le_bytes());
        input.extend_from_slice(value.as_bytes());
        expected.extend_from_slice(&blake3::derive_key("certchain v1 field commitment", &input));
        plain.extend_from_slice(&(name.len() as u64).to_le_bytes());
        plain.extend_from_slice(name.as_bytes());
        plain.extend_from_slice(&(value.len() as u64).to_le_bytes());
        plain.extend_from_slice(value.as_bytes());
        plain.extend_from_slice(&salt);
    }
    let root = blake3::derive_key("certchain v1 field root", &expected);
    assert_eq!(*fields.root().as_bytes(), root);
    assert_eq!(*fields.to_plaintext(), plain);
    let claim = blake3::derive_key("certchain v1 claim", "浦东-0042".as_bytes());
    assert_eq!(fields.claim(), Ok(Some(claim)));
    // A golden value: the format must never change unseen.
    assert_eq!(
        fields.root().to_string(),
        "0754d82c09375f298fffae929f9e838074ecc09fbc162b7aeba65c08a140c9e5"
    );
}

#[test]
fn each_fault_has_its_error() {
    let field = |name: &str| name.to_owned();
    assert_eq!(
        with("area", ""),
        Err(FieldError::Missing {
            field: field("area")
        })
    );
    let mut without = values();
    without.remove(1);
    assert_eq!(
        CertificateFields::new(&property(), &without, &salts(5)),
        Err(FieldError::Missing {
            field: field("parcel")
        })
    );
    assert_eq!(
        with("parcel", &"x".repeat(65)),
        Err(FieldError::TooLong {
            field: field("parcel"),
            actual: 65,
            limit: 64
        })
    );
    assert_eq!(
        with("parcel", "e\u{301}"),
        Err(FieldError::NotNfc {
            field: field("parcel")
        })
    );
    assert_eq!(
        with("colour", "red"),
        Err(FieldError::Unknown {
            field: field("colour"),
            type_name: field("property")
        })
    );
    let mut twice = values();
    twice.push((field("area"), field("121")));
    assert_eq!(
        CertificateFields::new(&property(), &twice, &salts(5)),
        Err(FieldError::Repeated {
            field: field("area")
        })
    );
    assert_eq!(
        CertificateFields::new(&property(), &values(), &salts(4)),
        Err(FieldError::Salts {
            actual: 4,
            needed: 5
        })
    );
}

#[test]
fn kinds_are_checked() {
    for number in ["0", "1", "12345678901234567890"] {
        assert!(with("area", number).is_ok(), "{number}");
    }
    for date in ["0001-01-01", "2024-02-29", "2000-02-29", "9999-12-31"] {
        assert!(with("ends", date).is_ok(), "{date}");
    }
    assert!(with("ends", "").is_ok());
    let upper = owner().to_uppercase();
    let foreign = "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0";
    let mistyped = format!("{}x", &owner()[..owner().len() - 1]);
    for (name, kind, wrong) in [
        ("area", FieldKind::Number, "007"),
        ("area", FieldKind::Number, "-1"),
        ("area", FieldKind::Number, "+1"),
        ("area", FieldKind::Number, "1.5"),
        ("area", FieldKind::Number, " 1"),
        ("area", FieldKind::Number, "１２"),
        ("ends", FieldKind::Date, "2023-02-29"),
        ("ends", FieldKind::Date, "1900-02-29"),
        ("ends", FieldKind::Date, "2023-13-01"),
        ("ends", FieldKind::Date, "2023-00-10"),
        ("ends", FieldKind::Date, "2023-04-31"),
        ("ends", FieldKind::Date, "2023-04-00"),
        ("ends", FieldKind::Date, "0000-01-01"),
        ("ends", FieldKind::Date, "2023-4-1"),
        ("ends", FieldKind::Date, "2023/04/01"),
        ("ends", FieldKind::Date, "20230401"),
        ("ends", FieldKind::Date, "+023-04-01"),
        ("owner", FieldKind::Address, "somebody"),
        ("owner", FieldKind::Address, foreign),
        ("owner", FieldKind::Address, &mistyped),
        ("owner", FieldKind::Address, &upper),
    ] {
        let expected = FieldError::WrongKind {
            field: name.to_owned(),
            kind,
        };
        assert_eq!(with(name, wrong), Err(expected), "{wrong}");
    }
}

#[test]
fn any_change_changes_the_root() {
    let fields = example();
    let root = fields.root();
    for index in 0..5 {
        let mut other = fields.clone();
        other.slots[index].salt[31] ^= 1;
        assert_ne!(other.root(), root);
        let mut other = fields.clone();
        other.slots[index].value.push('1');
        assert_ne!(other.root(), root);
    }
    assert_ne!(field_root("other", &fields.commitments()), root);
    assert_ne!(field_root("property", &fields.commitments()[..4]), root);
}

#[test]
fn plaintexts_come_back_and_others_do_not() {
    let fields = example();
    let plain = fields.to_plaintext();
    assert!(plain.len() < MAX_PLAINTEXT_BYTES);
    assert_eq!(
        CertificateFields::from_plaintext(&property(), &plain),
        Ok(fields.clone())
    );
    let read = |bytes: &[u8]| CertificateFields::from_plaintext(&property(), bytes);
    for cut in 0..plain.len() {
        assert!(read(&plain[..cut]).is_err(), "cut at {cut}");
    }
    let mut longer = plain.to_vec();
    longer.push(0);
    assert!(matches!(read(&longer), Err(PlaintextError::Decode(_))));
    assert!(matches!(
        read(&vec![0; MAX_PLAINTEXT_BYTES + 1]),
        Err(PlaintextError::Decode(DecodeError::TooLarge { .. }))
    ));
    let mut version = plain.to_vec();
    version[0] = 2;
    assert_eq!(read(&version), Err(PlaintextError::Version { actual: 2 }));
    let mut other = property();
    other.name = Name::parse("degree").unwrap();
    assert!(matches!(
        CertificateFields::from_plaintext(&other, &plain),
        Err(PlaintextError::OtherType { .. })
    ));
    let mut swapped = property();
    swapped.fields.swap(0, 1);
    assert_eq!(
        CertificateFields::from_plaintext(&swapped, &plain),
        Err(PlaintextError::Slots)
    );
    let mut broken = fields;
    broken.slots[1].value = "01".to_owned();
    assert!(matches!(
        read(&broken.to_plaintext()),
        Err(PlaintextError::Field(FieldError::WrongKind { .. }))
    ));
}

#[test]
fn claims_are_of_parcels_only() {
    let mut degree = property();
    degree.chain = SideChain::Degree;
    let fields = CertificateFields::new(&degree, &values(), &salts(5)).unwrap();
    assert_eq!(fields.claim(), Ok(None));
    let mut nameless = property();
    nameless.fields.remove(0);
    let mut rest = values();
    rest.remove(1);
    let fields = CertificateFields::new(&nameless, &rest, &salts(4)).unwrap();
    assert!(matches!(fields.claim(), Err(FieldError::Missing { .. })));
}

#[test]
fn nothing_shows_values_or_salts() {
    let fields = example();
    let text = format!("{fields:?} {:?}", fields.slots());
    for secret in ["浦东", "120", &owner(), "2090", "[1, 1"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let error = with("parcel", &"secret ".repeat(20)).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret"));
}
