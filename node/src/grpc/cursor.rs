//! Where a list goes on: positions in the order of the chain, as clients hand them back.

use certchain_ledger::chain::ListPosition;
use certchain_proto::Height;

/// A cursor: the position before which to go on, its numbers big-endian.
pub(super) fn write_cursor(at: ListPosition) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&at.height.to_be_bytes());
    bytes[8..12].copy_from_slice(&at.place.to_be_bytes());
    bytes[12..].copy_from_slice(&at.number.to_be_bytes());
    bytes
}

/// The position of a cursor, none at the beginning; `None` if it is no cursor.
pub(super) fn read_cursor(bytes: &[u8]) -> Option<Option<ListPosition>> {
    if bytes.is_empty() {
        return Some(None);
    }
    let (height, rest) = bytes.split_first_chunk::<8>()?;
    let (place, rest) = rest.split_first_chunk::<4>()?;
    let number: [u8; 4] = rest.try_into().ok()?;
    Some(Some(ListPosition {
        height: Height::new(u64::from_be_bytes(*height)),
        place: u32::from_be_bytes(*place),
        number: u32::from_be_bytes(number),
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_as_they_went() {
        for (height, place, number) in [(0, 0, 0), (7, 2, 1023), (u64::MAX, u32::MAX, u32::MAX)] {
            let at = ListPosition {
                height: Height::new(height),
                place,
                number,
            };
            assert_eq!(read_cursor(&write_cursor(at)), Some(Some(at)));
        }
        assert_eq!(read_cursor(&[]), Some(None));
        for length in [1, 15, 17, 100] {
            assert_eq!(read_cursor(&vec![0; length]), None, "{length} bytes");
        }
    }
}
