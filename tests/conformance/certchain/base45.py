"""Base45 (RFC 9285)."""

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"


def encode(data: bytes) -> str:
    text = ""
    for start in range(0, len(data), 2):
        pair = data[start : start + 2]
        number = int.from_bytes(pair, "big")
        for _ in range(len(pair) + 1):
            text += ALPHABET[number % 45]
            number //= 45
    return text


def decode(text: str) -> bytes:
    out = b""
    for start in range(0, len(text), 3):
        group = text[start : start + 3]
        if len(group) == 1 or any(character not in ALPHABET for character in group):
            raise ValueError("not base45")
        number = sum(ALPHABET.index(c) * 45**place for place, c in enumerate(group))
        if number >= 256 ** (len(group) - 1):
            raise ValueError("not base45")
        out += number.to_bytes(len(group) - 1, "big")
    return out
