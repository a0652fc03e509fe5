"""Wallets of the command `certchain` (formats.md, 12)."""

import tomllib
import unicodedata

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id


def open_wallet(text: str, passphrase: str) -> dict:
    """The public part, and the secrets of the present keys: `seed` and `encryption_secret`."""
    wallet = tomllib.loads(text)
    kdf, secret = wallet["kdf"], wallet["secret"]
    if (wallet["format"], kdf["name"], secret["cipher"]) != (
        "certchain wallet 1", "argon2id", "chacha20-poly1305",
    ):
        raise ValueError("a wallet of another format")
    key = Argon2id(
        salt=bytes.fromhex(kdf["salt"]),
        length=32,
        iterations=kdf["passes"],
        lanes=kdf["lanes"],
        memory_cost=kdf["memory_kib"],
    ).derive(unicodedata.normalize("NFC", passphrase).encode())
    sealed = text[: text.index('ciphertext = "')].encode()
    try:
        plain = ChaCha20Poly1305(key).decrypt(
            bytes.fromhex(secret["nonce"]), bytes.fromhex(secret["ciphertext"]), sealed
        )
    except InvalidTag:
        raise ValueError("another passphrase, or the wallet was altered") from None
    count = int.from_bytes(plain[1:3], "little")
    if plain[0] != 1 or count < 1:
        raise ValueError("a wallet of another layout")
    pair = plain[3 + 64 * (count - 1) :][:64]
    return {**wallet["account"], "seed": pair[:32], "encryption_secret": pair[32:]}
