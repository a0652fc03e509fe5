//! Certificates: records, fields, presentations, packages, packs, ciphertexts.

#![no_main]

use std::sync::LazyLock;

use certchain_config::{CertificateType, Genesis, document::Document};
use certchain_fuzz::{Decoder, canonical};
use certchain_proto::wire::v1::{EncryptedFields, encrypted_fields::Content};
use certchain_sidechain::{
    certificate::{CertificateRecord, CheckRecord},
    encryption::Sealed,
    fields::CertificateFields,
    pack::Pack,
    package::{PresentationPackage, sealed::SealedPackage, text::Carried},
    presentation::Presentation,
};
use libfuzzer_sys::fuzz_target;
use prost::Message as _;

/// The types of the vectors' catalogue.
static TYPES: LazyLock<Vec<CertificateType>> = LazyLock::new(|| {
    let text = include_str!("../../vectors/genesis.toml").to_owned();
    let genesis = Genesis::read(&Document::new("genesis.toml".as_ref(), text));
    genesis.expect("the vectors' genesis").catalogue.clone()
});

const DECODERS: &[Decoder] = &[
    ("certificate record", |bytes| {
        Some(CertificateRecord::decode(bytes).ok()?.encode())
    }),
    ("check record", |bytes| {
        Some(CheckRecord::decode(bytes).ok()?.encode())
    }),
    ("fields", |bytes| {
        let read = |kind| CertificateFields::from_plaintext(kind, bytes).ok();
        let fields = TYPES.iter().find_map(read)?;
        Some(fields.to_plaintext().to_vec())
    }),
    ("presentation", |bytes| {
        Some(Presentation::decode(bytes).ok()?.encode())
    }),
    ("package", |bytes| {
        Some(PresentationPackage::decode(bytes).ok()?.encode().to_vec())
    }),
    ("sealed package", |bytes| {
        Some(SealedPackage::decode(bytes).ok()?.encode())
    }),
    ("pack", |bytes| Some(Pack::decode(bytes).ok()?.encode())),
];

fuzz_target!(|bytes: &[u8]| {
    canonical(DECODERS, bytes);
    if let Ok(message) = EncryptedFields::decode(bytes) {
        // The other content is what a reference would have to name.
        if let Ok(sealed) = Sealed::from_wire(&message, Some(b"a ciphertext")) {
            let (mut again, _) = sealed.into_wire();
            if let Some(Content::Ciphertext(_)) = &message.content {
                assert_eq!(again, message);
            }
            again.content = None;
            assert!(Sealed::from_wire(&again, None).is_err());
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(carried) = Carried::from_text(text) {
            assert_eq!(*carried.to_text(), text.trim(), "a code has two texts");
        }
    }
});
