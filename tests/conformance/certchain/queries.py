"""Signed queries: they show that the account itself asks (formats.md, 15)."""

import os
import time

from . import ed25519, wire
from .hashing import derive

# The fields of QueryAuthorisation, for `wire`.
MESSAGE = [
    (1, "topic", None),
    (2, "address", (32,)),
    (3, "time_ms", None),
    (4, "nonce", (16,)),
    (5, "signature", (64,)),
]
HELD, ISSUED, CHECKED, CHECKS, INBOX, PUT_CONTENT = range(1, 7)


def signing_hash(chain: bytes, topic: int, address: bytes, time_ms: int, nonce: bytes) -> bytes:
    moment = time_ms.to_bytes(8, "little")
    return derive("sign query", chain, bytes([topic]), address, moment, nonce)


def sign(chain: bytes, topic: int, address: bytes, sign, nonce: bytes = None,
         time_ms: int = None) -> dict:
    """The fields of a QueryAuthorisation; `sign` signs a hash with the account's present key."""
    nonce, now = nonce or os.urandom(16), time_ms or time.time_ns() // 1_000_000
    signature = sign(signing_hash(chain, topic, address, now, nonce))
    return dict(topic=topic, address=address, time_ms=now, nonce=nonce, signature=signature)


def encode(authorisation: dict) -> bytes:
    return wire.encode(MESSAGE, authorisation)


def verify(encoded: bytes, chain: bytes, key: bytes) -> dict:
    """The fields of what an account with this key has signed for a chain; raises unless it has."""
    asked = wire.decode(MESSAGE, encoded)
    words = (asked[name] for name in ("topic", "address", "time_ms", "nonce"))
    if asked["topic"] not in range(HELD, PUT_CONTENT + 1):
        raise ValueError("no topic")
    if not ed25519.verify(key, signing_hash(chain, *words), asked["signature"]):
        raise ValueError("the signature does not hold")
    return asked
