"""Hashes: BLAKE3 in key-derivation mode, one context string per purpose (formats.md, 1)."""

import blake3


def derive(context: str, *parts: bytes) -> bytes:
    """The hash of the joined parts in the context `certchain v1 <context>`."""
    hasher = blake3.blake3(derive_key_context="certchain v1 " + context)
    for part in parts:
        hasher.update(part)
    return hasher.digest()


def keyed(key: bytes, *parts: bytes) -> bytes:
    """BLAKE3 in keyed mode."""
    hasher = blake3.blake3(key=key)
    for part in parts:
        hasher.update(part)
    return hasher.digest()
