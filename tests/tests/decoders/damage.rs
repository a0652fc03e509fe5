//! What is done to valid encodings.

use proptest::{prelude::*, sample::Index};

/// What damages an encoding.
#[derive(Clone, Debug)]
pub enum Damage {
    Flip(Index, u8),
    Set(Index, u8),
    Cut(Index),
    Remove(Index),
    Insert(Index, u8),
    /// A number where a length may stand.
    Number(Index, u64),
    /// A piece of another encoding.
    Splice(Index, Index, Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    let number = prop_oneof![
        Just(0),
        Just(1),
        Just(u64::MAX),
        Just(u64::MAX / 2),
        Just(1 << 32),
        0..2_000u64,
        any::<u64>()
    ];
    prop_oneof![
        (at(), 0..8u8).prop_map(|(i, bit)| Damage::Flip(i, 1 << bit)),
        (at(), any::<u8>()).prop_map(|(i, byte)| Damage::Set(i, byte)),
        at().prop_map(Damage::Cut),
        at().prop_map(Damage::Remove),
        (at(), any::<u8>()).prop_map(|(i, byte)| Damage::Insert(i, byte)),
        (at(), number).prop_map(|(i, number)| Damage::Number(i, number)),
        (at(), at(), at()).prop_map(|(i, other, from)| Damage::Splice(i, other, from)),
    ]
}

/// Does it to an encoding; pieces come from the corpus.
pub fn apply(bytes: &mut Vec<u8>, damage: &Damage, corpus: &[Vec<u8>]) {
    if bytes.is_empty() {
        return;
    }
    let length = bytes.len();
    match damage {
        Damage::Flip(at, mask) => bytes[at.index(length)] ^= mask,
        Damage::Set(at, byte) => bytes[at.index(length)] = *byte,
        Damage::Cut(at) => bytes.truncate(at.index(length)),
        Damage::Remove(at) => {
            bytes.remove(at.index(length));
        }
        Damage::Insert(at, byte) => bytes.insert(at.index(length), *byte),
        Damage::Number(at, number) => {
            let number = number.to_le_bytes();
            for (place, byte) in bytes.iter_mut().skip(at.index(length)).zip(number) {
                *place = byte;
            }
        }
        Damage::Splice(at, other, from) => {
            let other = &corpus[other.index(corpus.len())];
            let piece = other.get(from.index(other.len().max(1))..);
            bytes.truncate(at.index(length));
            bytes.extend_from_slice(piece.unwrap_or_default());
        }
    }
}

/// Some of them.
pub fn damages() -> impl Strategy<Value = Vec<Damage>> {
    proptest::collection::vec(damage(), 1..4)
}
