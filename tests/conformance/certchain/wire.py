"""Protobuf's wire format, as far as flat messages need it that travel as bytes (formats.md, 5).

A layout lists (number, name, lengths that the field may have) in order; None for the lengths: a
number. The canonical form is the only one that is read: fields in order, defaults left out.
"""


class Shape(ValueError):
    """Not the bytes of such a message in canonical form."""


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


def encode(layout, message: dict) -> bytes:
    out = b""
    for number, name, lengths in layout:
        value = message[name]
        if lengths is None:
            out += varint(number << 3) + varint(value) if value else b""
            continue
        if len(value) not in lengths:
            raise Shape(f"{name} has {len(value)} bytes")
        out += varint(number << 3 | 2) + varint(len(value)) + value if value else b""
    return out


class _Reader:
    def __init__(self, data: bytes):
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise Shape("the message ends early")
        self.at += count
        return self.data[self.at - count : self.at]

    def varint(self) -> int:
        number = 0
        for shift in range(0, 70, 7):
            (byte,) = self.take(1)
            number |= (byte & 0x7F) << shift
            if byte < 0x80 and number < 2**64:
                return number
        raise Shape("a number is too large")


def decode(layout, encoded: bytes) -> dict:
    """Refuses every encoding but the one."""
    tags = {number << 3 | (0 if lengths is None else 2): (name, lengths)
            for number, name, lengths in layout}
    message = {name: 0 if lengths is None else b"" for _, name, lengths in layout}
    reader = _Reader(bytes(encoded))
    while reader.at < len(reader.data):
        name, lengths = tags.get(reader.varint(), (None, None))
        if name is None:
            raise Shape("the message has an unknown field")
        value = reader.varint()
        message[name] = value if lengths is None else reader.take(value)
    if encode(layout, message) != encoded:
        raise Shape("the message is not in canonical form")
    return message
