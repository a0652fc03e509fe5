"""Fields of certificates: slots, commitments, the field root, their ciphertexts (formats.md, 15).

A slot is a triple (salt, name, value); a definition is an entry of the catalogue's `fields`.
"""

import datetime
import os
import re
import unicodedata

from . import address, hpke
from .chain import field_commitment
from .codec import U8, Fixed, List, Struct, Text, decode, encode
from .hashing import derive

INFO = b"certchain v1 fields"
INLINE_BYTES = 4096
VERSION = 1
PLAINTEXT = Struct(
    version=U8,
    type=Text(),
    slots=List(Struct(name=Text(), value=Text(), salt=Fixed(32))),
)


def type_key(type_name: str) -> bytes:
    return derive("certificate type", type_name.encode())


def check_value(definition: dict, value: str):
    """Raises unless the value may stand in the field."""
    name, kind = definition["name"], definition["kind"]
    if value == "":
        if definition["required"]:
            raise ValueError(f"field '{name}' is missing")
        return
    if len(value.encode()) > definition["max_bytes"]:
        raise ValueError(f"field '{name}' is too long")
    if unicodedata.normalize("NFC", value) != value:
        raise ValueError(f"field '{name}' is not in normalisation form C")
    if kind == "date":
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            raise ValueError(f"field '{name}' is no date")
        datetime.date.fromisoformat(value)
    elif kind == "number":
        if not re.fullmatch(r"0|[1-9][0-9]*", value):
            raise ValueError(f"field '{name}' is no number")
    elif kind == "address":
        if address.to_text(address.from_text(value)) != value:
            raise ValueError(f"field '{name}' is no address as it is written")


def make(certificate_type: dict, values: dict, salts=None) -> list:
    """The slots of a new certificate, in the catalogue's order."""
    definitions = certificate_type["fields"]
    unknown = set(values) - {definition["name"] for definition in definitions}
    if unknown:
        raise ValueError(f"the type has no fields {sorted(unknown)}")
    slots = []
    for place, definition in enumerate(definitions):
        value = values.get(definition["name"], "")
        check_value(definition, value)
        slots.append((salts[place] if salts else os.urandom(32), definition["name"], value))
    return slots


def commitments(slots) -> list:
    return [field_commitment(*slot) for slot in slots]


def root(type_name: str, committed) -> bytes:
    """Of the commitments of all slots, in order."""
    count = len(committed).to_bytes(2, "little")
    return derive("field root", type_key(type_name), count, *committed)


def property_claim(parcel: str) -> bytes:
    """What a draft of a property certificate claims."""
    return derive("claim", parcel.encode())


def to_plaintext(type_name: str, slots) -> bytes:
    slots = [{"name": name, "value": value, "salt": salt} for salt, name, value in slots]
    return encode(PLAINTEXT, {"version": VERSION, "type": type_name, "slots": slots})


def from_plaintext(certificate_type: dict, plain: bytes) -> list:
    """The slots; raises unless they are those of a certificate of this type."""
    content = decode(PLAINTEXT, plain)
    if (content["version"], content["type"]) != (VERSION, certificate_type["name"]):
        raise ValueError("the fields are of another version or type")
    slots = [(slot["salt"], slot["name"], slot["value"]) for slot in content["slots"]]
    if [name for _, name, _ in slots] != [d["name"] for d in certificate_type["fields"]]:
        raise ValueError("the fields are not those of the type")
    for definition, (_, _, value) in zip(certificate_type["fields"], slots):
        check_value(definition, value)
    return slots


def associated(chain: bytes, certificate: bytes, version: int, recipient: bytes) -> bytes:
    return chain + certificate + version.to_bytes(4, "little") + recipient


def seal(chain, certificate, version, recipient, plain, seed=None):
    """Encapsulated key and ciphertext for one holder."""
    bound = associated(chain, certificate, version, recipient)
    return hpke.seal(recipient, INFO, bound, plain, seed)


def unseal(secret, chain, certificate, version, encapsulated, ciphertext) -> bytes:
    bound = associated(chain, certificate, version, hpke.public_key(secret))
    return hpke.unseal(secret, encapsulated, INFO, bound, ciphertext)


def content_hash(ciphertext: bytes) -> bytes:
    """Under which a ciphertext lies that is too large for the chain."""
    return derive("content", ciphertext)
