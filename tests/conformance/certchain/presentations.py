"""Presentations: the signed message, the package, the text of a QR code (formats.md, 15)."""

from . import base45, ed25519, fields, hpke, wire
from .chain import field_commitment
from .codec import U8, U16, Bytes, Fixed, List, Struct, Text, decode, encode
from .hashing import derive

INFO = b"certchain v1 presentation"
CLEAR, SEALED = "CC1:", "CC2:"
VERSION = 1
PACKAGE_BYTES = 16 * 1024
SEALED_BYTES = PACKAGE_BYTES + hpke.TAG_BYTES + 2 * 32 + 16
BEARER_MS = 60_000

# The message's fields, for `wire`.
MESSAGE = [
    (1, "chain_id", (32, 32)),
    (2, "certificate", (32, 32)),
    (3, "holder", (32, 32)),
    (4, "verifier", (0, 32)),
    (5, "challenge", range(33)),
    (6, "nonce", (16, 16)),
    (7, "expires_ms", None),
    (8, "disclosed_hash", (32, 32)),
]

SHOWN = Struct(index=U16, name=Text(), value=Text(), salt=Fixed(32))
PACKAGE = Struct(
    version=U8,
    presentation=Bytes(),
    signature=Fixed(64),
    type=Text(),
    commitments=List(Fixed(32)),
    shown=List(SHOWN),
)
SEALED_PACKAGE = Struct(
    version=U8, recipient_key=Fixed(32), encapsulated_key=Fixed(32), ciphertext=Bytes()
)


def encode_message(message: dict) -> bytes:
    return wire.encode(MESSAGE, message)


def decode_message(encoded: bytes) -> dict:
    return wire.decode(MESSAGE, encoded)


def signing_hash(encoded: bytes) -> bytes:
    return derive("sign presentation", encoded)


def presentation_id(encoded: bytes) -> bytes:
    return derive("presentation-id", encoded)


def disclosed_hash(type_name: str, root: bytes, shown) -> bytes:
    """Of pairs (index, commitment) in rising order."""
    parts = b"".join(index.to_bytes(2, "little") + committed for index, committed in shown)
    return derive("disclosed fields", fields.type_key(type_name), root, parts)


# The package.


def build(type_name: str, slots, names, terms: dict, sign) -> bytes:
    """The encoded package that shows the fields with these names.

    `terms` are the message's fields but for `disclosed_hash`; `sign` signs a hash with the holder's
    present key.
    """
    committed = fields.commitments(slots)
    shown = [
        {"index": index, "name": name, "value": value, "salt": salt}
        for index, (salt, name, value) in enumerate(slots)
        if name in names
    ]
    if len(shown) != len(names):
        raise ValueError("a field is unknown or named twice")
    pairs = [(field["index"], committed[field["index"]]) for field in shown]
    disclosed = disclosed_hash(type_name, fields.root(type_name, committed), pairs)
    encoded = encode_message({**terms, "disclosed_hash": disclosed})
    return encode(PACKAGE, {
        "version": VERSION,
        "presentation": encoded,
        "signature": sign(signing_hash(encoded)),
        "type": type_name,
        "commitments": committed,
        "shown": shown,
    })


def read(package: bytes) -> dict:
    """The package's parts, `message` among them. Nothing in it is verified yet."""
    if len(package) > PACKAGE_BYTES:
        raise ValueError("a package has at most 16 KiB")
    content = decode(PACKAGE, package)
    if content["version"] != VERSION:
        raise ValueError("a package of another version")
    places = [field["index"] for field in content["shown"]]
    if places != sorted(set(places)) or any(p >= len(content["commitments"]) for p in places):
        raise ValueError("the shown fields are out of order")
    return {**content, "message": decode_message(content["presentation"])}


def verify(package: bytes, certificate_type: dict, field_root: bytes, holder_key: bytes,
           terms: dict, now: int, window: int, bound: int) -> dict:
    """The shown fields by name; raises unless everything holds that needs no chain.

    `field_root` comes from the certificate's proven record and `holder_key` from the holder's.
    `terms` names what the verifier expects of the message; `window` and `bound` are the chain's
    `transaction_window_ms` and `clock_bound_ms`.
    """
    content = read(package)
    message, type_name = content["message"], certificate_type["name"]
    for name, expected in terms.items():
        if message[name] != expected and (name, message[name]) != ("verifier", b""):
            raise ValueError(f"the presentation is of another {name}")
    life = window if message["verifier"] else BEARER_MS
    if not now < message["expires_ms"] <= now + life + bound:
        raise ValueError("the presentation's time is over, or ends too late")
    definitions, committed = certificate_type["fields"], content["commitments"]
    if content["type"] != type_name or len(committed) != len(definitions):
        raise ValueError("the package is of another type")
    if fields.root(type_name, committed) != field_root:
        raise ValueError("the fields are those of another certificate")
    pairs = []
    for field in content["shown"]:
        definition, commitment = definitions[field["index"]], committed[field["index"]]
        slot = field["salt"], field["name"], field["value"]
        if field["name"] != definition["name"] or field_commitment(*slot) != commitment:
            raise ValueError(f"field {field['index']} was changed")
        fields.check_value(definition, field["value"])
        pairs.append((field["index"], commitment))
    if disclosed_hash(type_name, field_root, pairs) != message["disclosed_hash"]:
        raise ValueError("the holder signed other fields")
    hashed = signing_hash(content["presentation"])
    if not ed25519.verify(holder_key, hashed, content["signature"]):
        raise ValueError("the holder's signature does not hold")
    return {field["name"]: field["value"] for field in content["shown"]}


# The text of a QR code.


def to_text(package: bytes) -> str:
    return CLEAR + base45.encode(package)


def seal(package: bytes, verifier_key: bytes, seed: bytes = None) -> bytes:
    """The package, encrypted to the verifier that it names."""
    encapsulated, ciphertext = hpke.seal(verifier_key, INFO, verifier_key, package, seed)
    return encode(SEALED_PACKAGE, {
        "version": VERSION,
        "recipient_key": verifier_key,
        "encapsulated_key": encapsulated,
        "ciphertext": ciphertext,
    })


def to_sealed_text(package: bytes, verifier_key: bytes) -> str:
    return SEALED + base45.encode(seal(package, verifier_key))


def from_text(text: str, secret: bytes = None) -> bytes:
    """The package; `secret` is the verifier's encryption secret, for what is sealed."""
    text = text.strip()
    if text.startswith(CLEAR):
        return base45.decode(text.removeprefix(CLEAR))
    if not text.startswith(SEALED):
        raise ValueError("not a presentation")
    return unseal(base45.decode(text.removeprefix(SEALED)), secret)


def unseal(content: bytes, secret: bytes) -> bytes:
    if len(content) > SEALED_BYTES:
        raise ValueError("too many bytes")
    content = decode(SEALED_PACKAGE, content)
    if content["version"] != VERSION:
        raise ValueError("a sealed package of another version")
    if secret is None or content["recipient_key"] != hpke.public_key(secret):
        raise ValueError("sealed for another verifier")
    encapsulated, ciphertext = content["encapsulated_key"], content["ciphertext"]
    return hpke.unseal(secret, encapsulated, INFO, content["recipient_key"], ciphertext)
