"""Ed25519: verification by the equation of ZIP 215, and the rules for keys (formats.md, 2).

Libraries differ in what they take at the edges, so the equation is written out here. It is slow and
not constant in time, which is fine for public data. Signing, where both would matter, is left to
the `cryptography` package.
"""

import hashlib
from functools import lru_cache

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)

IDENTITY = (0, 1, 1, 0)


def _add(a, b):
    x1, y1, z1, t1 = a
    x2, y2, z2, t2 = b
    aa = (y1 - x1) * (y2 - x2) % P
    bb = (y1 + x1) * (y2 + x2) % P
    cc = 2 * t1 * t2 * D % P
    dd = 2 * z1 * z2 % P
    e, f, g, h = bb - aa, dd - cc, dd + cc, bb + aa
    return e * f % P, g * h % P, f * g % P, e * h % P


def _multiply(scalar, point):
    result = IDENTITY
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point = _add(point, point)
        scalar >>= 1
    return result


def _negate(point):
    x, y, z, t = point
    return -x % P, y, z, -t % P


def _is_identity(point):
    x, y, z, _ = point
    return x % P == 0 and (y - z) % P == 0


def decompress(encoded):
    """The point with this encoding, canonical or not; None if there is none."""
    if len(encoded) != 32:
        return None
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, (number & (2**255 - 1)) % P
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if (v * x * x - u) % P != 0:
        x = x * ROOT % P
        if (v * x * x - u) % P != 0:
            return None
    if x & 1 != sign:
        x = -x % P
    return x, y, 1, x * y % P


def compress(point):
    x, y, z, _ = point
    inverse = pow(z, P - 2, P)
    x, y = x * inverse % P, y * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE = decompress(bytes([0x58]) + bytes([0x66]) * 31)


# A few keys are asked about again and again.
@lru_cache(maxsize=1024)
def is_public_key(key: bytes) -> bool:
    """Canonical, in the prime-order subgroup, not the identity."""
    point = decompress(key)
    return (
        point is not None
        and compress(point) == key
        and not _is_identity(point)
        and _is_identity(_multiply(ORDER, point))
    )


def zip215(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether 8 (s B - k A - R) is the identity, for any key that decompresses."""
    a, r = decompress(key), decompress(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or len(signature) != 64 or s >= ORDER:
        return False
    digest = hashlib.sha512(signature[:32] + key + message).digest()
    k = int.from_bytes(digest, "little") % ORDER
    difference = _add(_multiply(s, BASE), _negate(_add(_multiply(k, a), r)))
    return _is_identity(_multiply(8, difference))


def verify(key: bytes, message: bytes, signature: bytes) -> bool:
    """The check of a node: a good key and a good signature."""
    return is_public_key(key) and zip215(key, message, signature)


def is_encryption_key(key: bytes) -> bool:
    """Whether an X25519 key can be encrypted to: canonical, of large order."""
    number = int.from_bytes(key, "little")
    small = {
        0,
        1,
        P - 1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
    }
    return len(key) == 32 and number < P and number not in small
