"""HPKE (RFC 9180) in base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305.

One message per encapsulated key, which is all that formats.md (15) needs.
"""

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

KEM_SUITE = b"KEM" + (0x0020).to_bytes(2, "big")
SUITE = b"HPKE" + b"".join(part.to_bytes(2, "big") for part in (0x0020, 0x0001, 0x0003))
BASE = b"\0"
TAG_BYTES = 16


class DoesNotOpen(ValueError):
    """Encrypted to another key, in another context, or changed."""


def _extract(suite: bytes, salt: bytes, label: bytes, secret: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + secret, "sha256")


def _expand(suite: bytes, key: bytes, label: bytes, info: bytes, length: int) -> bytes:
    info = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    out, block = b"", b""
    for number in range(1, -(-length // hashlib.sha256().digest_size) + 1):
        block = hmac.digest(key, block + info + bytes([number]), "sha256")
        out += block
    return out[:length]


def key_pair(seed: bytes):
    """Secret and public key from 32 random bytes (DeriveKeyPair)."""
    secret = _expand(KEM_SUITE, _extract(KEM_SUITE, b"", b"dkp_prk", seed), b"sk", b"", 32)
    return secret, public_key(secret)


def public_key(secret: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def _exchange(secret: bytes, public: bytes) -> bytes:
    # Raises for a key of small order, as the RFC asks.
    return X25519PrivateKey.from_private_bytes(secret).exchange(
        X25519PublicKey.from_public_bytes(public)
    )


def shared_secret(dh: bytes, encapsulated: bytes, recipient: bytes) -> bytes:
    key = _extract(KEM_SUITE, b"", b"eae_prk", dh)
    return _expand(KEM_SUITE, key, b"shared_secret", encapsulated + recipient, 32)


def schedule(shared: bytes, info: bytes):
    """Key and nonce of the first message."""
    context = BASE + _extract(SUITE, b"", b"psk_id_hash", b"")
    context += _extract(SUITE, b"", b"info_hash", info)
    secret = _extract(SUITE, shared, b"secret", b"")
    key = _expand(SUITE, secret, b"key", context, 32)
    return key, _expand(SUITE, secret, b"base_nonce", context, 12)


def seal(recipient: bytes, info: bytes, associated: bytes, plaintext: bytes, seed: bytes = None):
    """The encapsulated key and the ciphertext; `seed` is for vectors only."""
    secret, encapsulated = key_pair(seed or os.urandom(32))
    shared = shared_secret(_exchange(secret, recipient), encapsulated, recipient)
    key, nonce = schedule(shared, info)
    return encapsulated, ChaCha20Poly1305(key).encrypt(nonce, plaintext, associated)


def unseal(secret: bytes, encapsulated: bytes, info: bytes, associated: bytes, ciphertext: bytes):
    """The plaintext; raises DoesNotOpen."""
    try:
        shared = shared_secret(_exchange(secret, encapsulated), encapsulated, public_key(secret))
        key, nonce = schedule(shared, info)
        return ChaCha20Poly1305(key).decrypt(nonce, ciphertext, associated)
    except (InvalidTag, ValueError) as error:
        raise DoesNotOpen("encrypted to another key, in another context, or changed") from error
