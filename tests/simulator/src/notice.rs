//! Restart notices as the simulated ledger has them: a transaction that only a member may sign, with the
//! key that it votes with.

use certchain_proto::hash::WitnessId;

use super::sets::{Members, Seat};

/// Tells notices from other transactions, which are drawn.
const MARK: [u8; 8] = *b"restart!";
/// Bytes of the nonce that are kept.
const KEPT: usize = 16;

/// The notice of a member with this nonce.
pub fn notice(nonce: &[u8; 32], seat: Seat) -> WitnessId {
    let mut bytes = [0; 32];
    bytes[..KEPT].copy_from_slice(&nonce[..KEPT]);
    bytes[KEPT..KEPT + 8].copy_from_slice(&MARK);
    bytes[24] = seat.node as u8;
    bytes[25] = seat.generation as u8;
    WitnessId::from_bytes(bytes)
}

/// Who signed a notice, if it is one.
fn signer(transaction: &WitnessId) -> Option<Seat> {
    let bytes = transaction.as_bytes();
    (bytes[KEPT..KEPT + 8] == MARK).then_some(Seat {
        node: usize::from(bytes[24]),
        generation: u32::from(bytes[25]),
    })
}

/// Whether a transaction may stand in a block that these decide.
pub fn is_admissible(transaction: &WitnessId, members: &Members) -> bool {
    signer(transaction).is_none_or(|seat| members.seats().contains(&seat))
}

/// Whether one of these is a notice with this nonce, whoever signed it.
pub fn contains(transactions: &[WitnessId], nonce: &[u8; 32]) -> bool {
    transactions
        .iter()
        .any(|id| signer(id).is_some() && id.as_bytes()[..KEPT] == nonce[..KEPT])
}
