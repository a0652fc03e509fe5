//! Attribute commitments and identity tags.

use std::fmt::Write as _;

use certchain_client::{
    attributes::AttributeSet,
    tag::{Document, TagKey},
    wallet::{AccountKind, KdfParameters, NewWallet, Passphrase, Wallet},
};
use serde_json::{Value, json};

use crate::golden::{bless, check, hex, path};

/// The file of an attribute set with chosen salts: the only way to a set that is not random.
fn attributes_file() -> String {
    let mut text = String::from(
        "# Personal data in clear: give it to the holder only, then delete it.\n\
         format = \"certchain attributes 1\"\n",
    );
    for slot in 0..16u8 {
        let (name, value) = match slot {
            2 => ("name", "王小明"),
            5 => ("birth_date", "1990-01-02"),
            11 => ("place", "Køge"),
            _ => ("", ""),
        };
        let salt = hex([0xe0 | slot; 32]);
        write!(
            text,
            "\n[[slot]]\nname = \"{name}\"\nvalue = \"{value}\"\nsalt = \"{salt}\"\n"
        )
        .unwrap();
    }
    text
}

#[test]
fn attributes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("attributes.toml");
    std::fs::write(&file, attributes_file()).unwrap();
    let set = AttributeSet::read_file(&file).unwrap();
    let slots: Vec<Value> = set
        .slots()
        .iter()
        .enumerate()
        .map(|(index, slot)| {
            json!({
                "name": slot.name(),
                "value": slot.value(),
                "salt": hex([0xe0 | index as u8; 32]),
                "commitment": hex(slot.commitment()),
            })
        })
        .collect();
    check(
        "attributes.json",
        &json!({ "slots": slots, "root": hex(set.root().as_bytes()) }),
    );
}

#[test]
fn tags() {
    let cases = [
        ("CN", "id", "11010519491231002X"),
        (" cn ", "ID", "110105-19491231 002-x"),
        ("CN", "id", "１１０１０５１９４９１２３１００２Ｘ"),
        ("DE", "passport", "C01X00T47"),
        ("CN", "business-licence", "91440300MA5"),
    ];
    let key = [0x07; 32];
    let vectors: Vec<Value> = cases
        .iter()
        .flat_map(|case| [1u32, 300].map(|version| (case, version)))
        .map(|((country, kind, number), version)| {
            let document = Document::new(country, kind, number).unwrap();
            json!({
                "country": country, "type": kind, "number": number,
                "key": hex(key), "key_version": version,
                "tag": hex(TagKey::new(key, version).tag(&document).as_bytes()),
            })
        })
        .collect();
    check("tags.json", &json!(vectors));
}

/// A wallet is sealed with fresh random numbers each time, so the vector is a file that was made
/// once; it is made anew only if it is removed first.
#[test]
fn wallet() {
    let file = path("wallet.toml");
    let passphrase = Passphrase::new("correct horse battery staple").unwrap();
    if bless() && !file.exists() {
        let new = NewWallet {
            name: "Ada Conformance".to_owned(),
            kind: AccountKind::Citizen,
            organisation_code: String::new(),
            recovers: None,
        };
        // Cheap, since nothing is kept in it.
        let kdf = KdfParameters::new(1024, 2, 1).unwrap();
        Wallet::create(&file, new, &passphrase, kdf).unwrap();
    }
    // Vector files are for all to read; a wallet is its owner's only.
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("wallet.toml");
    std::fs::copy(&file, &copy).unwrap();
    let opened = Wallet::open(&copy, &passphrase).unwrap();
    assert_eq!(opened.signing_key().public(), opened.account().public_key());
    assert!(Wallet::open(&copy, &Passphrase::new("another").unwrap()).is_err());
}
