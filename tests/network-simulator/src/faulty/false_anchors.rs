//! Anchors with another block, proof or certificate than the side chain's, of blocks that are anchored
//! already, or of another chain; and reports of conflicts where there is none. Attacks main, which must
//! take what is proven only, and must freeze no chain without two sealed blocks that exclude each other.
//! What it says to other engines is what its engine wants.

use certchain_ledger::evidence::SealedHeader;
use certchain_proto::{
    ChainId, Height, codec,
    hash::{BlockId, StateRoot},
    wire::v1::{SubmitAnchor, transaction_body::Kind},
};
use certchain_sidechain::anchor::conflict_message;
use certchain_simulator::{byzantine::Behaviour, rng::Rng};

/// Says nothing wrong itself.
#[derive(Debug, Default)]
pub struct FalseAnchors;

impl Behaviour for FalseAnchors {}

/// What is submitted instead of an anchor of `block`; `earlier` is a block below it.
pub fn twist(
    rng: &mut Rng,
    chain: &ChainId,
    good: &SubmitAnchor,
    block: &SealedHeader,
    earlier: Option<&SealedHeader>,
) -> Kind {
    let mut block = block.clone();
    let mut anchor = good.clone();
    match rng.index(8) {
        0 => block.outcome.state_root = StateRoot::from_bytes(rng.bytes()),
        1 => {
            block.outcome.state_root = StateRoot::from_bytes(rng.bytes());
            block.certificate.outcome = block.outcome.digest();
        }
        2 => {
            block.header.height = Height::new(block.header.height.get() + 1);
            block.certificate.height = block.header.height;
            block.certificate.header = block.header.digest();
        }
        3 => {
            let first = block.certificate.signatures.first().copied();
            let signatures = &mut block.certificate.signatures;
            signatures.truncate(1);
            signatures.extend(first.into_iter().cycle().take(3));
        }
        4 => block.header.parent = BlockId::from_bytes(rng.bytes()),
        5 => {
            let place = rng.index(anchor.history_proof.len().max(1));
            if let Some(byte) = anchor.history_proof.get_mut(place) {
                *byte ^= 1;
            }
        }
        6 => anchor.chain_id = rng.bytes().to_vec(),
        // Two blocks of one chain, as if they excluded each other.
        _ => {
            let earlier = earlier.unwrap_or(&block);
            return Kind::ReportConflict(conflict_message(chain, earlier, &block, None));
        }
    }
    anchor.sealed_header = codec::encode(&block);
    Kind::SubmitAnchor(anchor)
}
