"""The encoding of what nodes hash, sign, exchange and store (formats.md, 4).

A type is an object with `write(out, value)` and `read(reader)`. Byte strings are given as bytes or
as hexadecimal digits and are read as bytes.
"""

LIMIT = 64 * 1024 * 1024


class Malformed(ValueError):
    """The bytes are not the encoding of a value."""


class Reader:
    def __init__(self, data: bytes):
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise Malformed("the bytes end early")
        self.at += count
        return self.data[self.at - count : self.at]


class Number:
    def __init__(self, size):
        self.size = size

    def write(self, out, value):
        out += int(value).to_bytes(self.size, "little")

    def read(self, reader):
        return int.from_bytes(reader.take(self.size), "little")


U8, U16, U32, U64 = Number(1), Number(2), Number(4), Number(8)


class Bool:
    def write(self, out, value):
        out.append(1 if value else 0)

    def read(self, reader):
        value = U8.read(reader)
        if value > 1:
            raise Malformed("a truth value is 0 or 1")
        return value == 1


class Fixed:
    """An array of bytes: no length before it."""

    def __init__(self, size):
        self.size = size

    def write(self, out, value):
        value = bytes.fromhex(value) if isinstance(value, str) else value
        if len(value) != self.size:
            raise ValueError(f"{self.size} bytes are needed")
        out += value

    def read(self, reader):
        return reader.take(self.size)


class Bytes:
    """Bytes with their number before them."""

    def write(self, out, value):
        value = bytes.fromhex(value) if isinstance(value, str) else value
        U64.write(out, len(value))
        out += value

    def read(self, reader):
        return reader.take(U64.read(reader))


class Text:
    def write(self, out, value):
        Bytes().write(out, value.encode())

    def read(self, reader):
        return Bytes().read(reader).decode()


class List:
    def __init__(self, item):
        self.item = item

    def write(self, out, value):
        U64.write(out, len(value))
        for item in value:
            self.item.write(out, item)

    def read(self, reader):
        count = U64.read(reader)
        # Every item of every format has at least one byte.
        if count > len(reader.data) - reader.at:
            raise Malformed("the bytes end early")
        return [self.item.read(reader) for _ in range(count)]


class Option:
    def __init__(self, item):
        self.item = item

    def write(self, out, value):
        Bool().write(out, value is not None)
        if value is not None:
            self.item.write(out, value)

    def read(self, reader):
        return self.item.read(reader) if Bool().read(reader) else None


class Struct:
    """Fields one after the other; values are dictionaries."""

    def __init__(self, **fields):
        self.fields = fields

    def write(self, out, value):
        if set(value) != set(self.fields):
            raise ValueError(f"fields {sorted(value)}, expected {sorted(self.fields)}")
        for name, kind in self.fields.items():
            kind.write(out, value[name])

    def read(self, reader):
        return {name: kind.read(reader) for name, kind in self.fields.items()}


class Versioned:
    """A record with its version, one byte, in front; values are those of the record."""

    def __init__(self, version, kind):
        self.version, self.kind = version, kind

    def write(self, out, value):
        U8.write(out, self.version)
        self.kind.write(out, value)

    def read(self, reader):
        version = U8.read(reader)
        if version != self.version:
            raise Malformed(f"version {version}, only {self.version} is known")
        return self.kind.read(reader)


class Enum:
    """The number of the variant in 4 bytes, then its content, if it has one.

    Values are the variant's name, or a dictionary with the name and the content.
    """

    def __init__(self, **variants):
        self.variants = list(variants.items())

    def write(self, out, value):
        name, content = (value, None) if isinstance(value, str) else next(iter(value.items()))
        number = [variant for variant, _ in self.variants].index(name)
        U32.write(out, number)
        kind = self.variants[number][1]
        if kind is not None:
            kind.write(out, content)

    def read(self, reader):
        number = U32.read(reader)
        if number >= len(self.variants):
            raise Malformed("unknown variant")
        name, kind = self.variants[number]
        return name if kind is None else {name: kind.read(reader)}


def encode(kind, value) -> bytes:
    out = bytearray()
    kind.write(out, value)
    return bytes(out)


def decode(kind, data: bytes):
    """The value; refuses what would encode to other bytes."""
    if len(data) > LIMIT:
        raise Malformed("too many bytes")
    reader = Reader(bytes(data))
    try:
        value = kind.read(reader)
    except UnicodeDecodeError as error:
        raise Malformed("text is not UTF-8") from error
    if reader.at != len(reader.data) or encode(kind, value) != data:
        raise Malformed("not the canonical encoding")
    return value
