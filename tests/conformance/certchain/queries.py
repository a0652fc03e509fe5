"""Signed queries: they show that the account itself asks (formats.md, 15)."""

import os
import time

from .hashing import derive

HELD, ISSUED, CHECKED, CHECKS, INBOX, PUT_CONTENT = range(1, 7)


def signing_hash(chain: bytes, topic: int, address: bytes, time_ms: int, nonce: bytes) -> bytes:
    moment = time_ms.to_bytes(8, "little")
    return derive("sign query", chain, bytes([topic]), address, moment, nonce)


def sign(chain: bytes, topic: int, address: bytes, sign, nonce: bytes = None) -> dict:
    """The fields of a QueryAuthorisation; `sign` signs a hash with the account's present key."""
    nonce, now = nonce or os.urandom(16), time.time_ns() // 1_000_000
    signature = sign(signing_hash(chain, topic, address, now, nonce))
    return dict(topic=topic, address=address, time_ms=now, nonce=nonce, signature=signature)
