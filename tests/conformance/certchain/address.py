"""Addresses: bech32m with the prefix `cc` over 32 bytes (formats.md, 3)."""

from .hashing import derive

CHARACTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
PREFIX = "cc"
BECH32M = 0x2BC830A3


def of(first_key: bytes) -> bytes:
    """The address of the account whose first public key this is."""
    return derive("address", first_key)


def _checksum(values):
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, factor in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            if top >> bit & 1:
                check ^= factor
    return check


def _expanded():
    return [ord(c) >> 5 for c in PREFIX] + [0] + [ord(c) & 31 for c in PREFIX]


def _regroup(values, width, new_width, pad):
    bits, held, out = 0, 0, []
    for value in values:
        bits, held = (bits << width) | value, held + width
        while held >= new_width:
            held -= new_width
            out.append(bits >> held & (1 << new_width) - 1)
    if pad and held:
        out.append(bits << new_width - held & (1 << new_width) - 1)
    elif not pad and (held >= width or bits & (1 << held) - 1):
        raise ValueError("padding is not zero")
    return out


def to_text(address: bytes) -> str:
    data = _regroup(address, 8, 5, True)
    check = _checksum(_expanded() + data + [0] * 6) ^ BECH32M
    data += [check >> 5 * (5 - i) & 31 for i in range(6)]
    return PREFIX + "1" + "".join(CHARACTERS[value] for value in data)


def from_text(text: str) -> bytes:
    if text != text.lower() and text != text.upper():
        raise ValueError("mixed case")
    prefix, separator, data = text.lower().rpartition("1")
    if prefix != PREFIX or not separator or len(data) < 6 or set(data) - set(CHARACTERS):
        raise ValueError("not an address")
    values = [CHARACTERS.index(character) for character in data]
    if _checksum(_expanded() + values) != BECH32M:
        raise ValueError("wrong checksum")
    address = bytes(_regroup(values[:-6], 5, 8, False))
    if len(address) != 32:
        raise ValueError("an address has 32 bytes")
    return address
