//! The encoding of presentations.

use certchain_config::catalogue::SideChain;
use certchain_proto::{hash::CertificateId, wire::v1::Presentation};
use prost::Message as _;

use super::{
    check::shown,
    world::{World, address, citizen, verifier},
};
use crate::presentation::{Audience, Presentation as Read, PresentationError};

#[test]
fn presentations_have_one_encoding() {
    let world = World::new(SideChain::Degree);
    let id = CertificateId::from_bytes([4; 32]);
    let m = shown(&world, &id, citizen(0), Some(verifier(0)));
    let bytes = m.encode_to_vec();
    let read = Read::decode(&bytes).unwrap();
    assert_eq!(read.encode(), bytes);
    assert_eq!(read.chain, world.chain_id());
    assert_eq!(read.certificate, id);
    assert_eq!(read.holder, address(citizen(0)));
    assert_eq!(read.audience, Audience::Verifier(address(verifier(0))));
    assert_eq!(read.challenge, [3; 8]);
    assert_eq!(read.expires.get(), world.now() + 10_000);
    assert_eq!(
        read.disclosed.as_bytes(),
        &super::world::bytes("disclosed", 0)
    );

    let refused = |bytes: &[u8]| Read::decode(bytes).unwrap_err();
    // The same message with a default written out, with an unknown field, and cut short.
    let mut longer = bytes.clone();
    longer.extend([0x38, 0x00]);
    assert_eq!(refused(&longer), PresentationError::NotCanonical);
    let mut unknown = bytes.clone();
    unknown.extend([0x78, 0x01]);
    assert_eq!(refused(&unknown), PresentationError::NotCanonical);
    assert_eq!(
        refused(&bytes[..bytes.len() - 1]),
        PresentationError::Malformed
    );
    assert_eq!(
        refused(&[0; 600]),
        PresentationError::TooLarge { actual: 600 }
    );
    let field = "nonce";
    let short = Presentation {
        nonce: Vec::new(),
        ..m
    };
    assert_eq!(
        refused(&short.encode_to_vec()),
        PresentationError::Field {
            field,
            problem: "must have 16 bytes"
        }
    );
}
