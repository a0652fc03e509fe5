"""What the scripts share that check without a network: comparing, refusing, counting, telling."""

import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .codec import decode, encode

VECTORS = Path(__file__).resolve().parents[2] / "vectors"


class Tally:
    """How much was compared, was refused as it must be, and was taken from the vectors as given."""

    compared = refused = given = 0


class Given:
    """A value that a vector chooses: what else stands there is computed from it."""

    def __init__(self, value):
        self.value = value


def given(vector: dict, *names) -> dict:
    """The named values of a vector, as given."""
    return {name: Given(vector[name]) for name in names}


def load(name):
    return json.loads((VECTORS / name).read_text())


def hexes(items):
    return [bytes.fromhex(item) for item in items]


def plain(value):
    return value.hex() if isinstance(value, bytes) else value


def same(what, expected, actual):
    Tally.compared += 1
    expected, actual = plain(expected), plain(actual)
    if type(expected) is not type(actual) or expected != actual:
        raise SystemExit(f"{what}: expected {expected!r}, computed was {actual!r}")


def holds(what, condition):
    same(what, True, bool(condition))


def agree(what, vector, computed):
    """Compares two JSON values leaf by leaf: nothing of the vector may be left out or be new."""
    if isinstance(computed, Given):
        # Taken whole: what the vector chooses is checked by what follows from it.
        Tally.given += leaves_of(computed.value)
        computed = computed.value
        if vector != computed:
            raise SystemExit(f"{what}: {computed!r} was taken from another place")
    elif isinstance(vector, dict) and isinstance(computed, dict):
        same(f"names in {what}", sorted(vector), sorted(computed))
        for name, value in vector.items():
            agree(f"{what}.{name}", value, computed[name])
    elif isinstance(vector, list) and isinstance(computed, list):
        same(f"length of {what}", len(vector), len(computed))
        for place, pair in enumerate(zip(vector, computed)):
            agree(f"{what}[{place}]", *pair)
    else:
        same(what, vector, computed)


def leaves_of(value) -> int:
    if isinstance(value, (dict, list)):
        return sum(map(leaves_of, value.values() if isinstance(value, dict) else value))
    return 1


def refused(what, call, *args, **named):
    """Raises unless the call refuses."""
    try:
        call(*args, **named)
    except (ValueError, KeyError):
        Tally.refused += 1
        return
    raise SystemExit(f"{what}: must be refused")


def refused_flips(what, good, accept, every=1):
    """One bit flipped in each byte, or in one of `every` bytes, and other lengths: all must be
    refused; tells how many."""
    accept(good)
    places = range(0, len(good), every)
    for place in places:
        spoiled = bytearray(good)
        spoiled[place] ^= 1 << place % 8
        refused(f"{what} with byte {place} changed", accept, bytes(spoiled))
    refused(f"{what}, cut short", accept, good[:-1])
    refused(f"{what}, with a byte left over", accept, good + b"\0")
    print(f"  {what}, {len(good)} bytes: refused with any of {len(places)} flipped", flush=True)


def structure(what, kind, vector):
    """Fields to bytes and back; gives the bytes."""
    encoded = encode(kind, vector["fields"])
    same(f"{what} encoding", vector["encoded"], encoded)
    holds(f"{what} decoding", encode(kind, decode(kind, encoded)) == encoded)
    for bad in (encoded[:-1], encoded + b"\0"):
        refused(f"{what}: {len(bad)} bytes", decode, kind, bad)
    return encoded


def signer(seed):
    seed = bytes.fromhex(seed) if isinstance(seed, str) else seed
    return Ed25519PrivateKey.from_private_bytes(seed)


def public(seed):
    return signer(seed).public_key().public_bytes_raw()


def run(script: dict):
    """Runs the functions `check_...` of a script in their order and tells what each has done."""
    for name, check in script.items():
        if not name.startswith("check_"):
            continue
        before = Tally.compared, Tally.refused, Tally.given
        check()
        tell(name.removeprefix("check_"), before)
    tell("all", (0, 0, 0))


def tell(name, before):
    compared, refused_ones, given = (now - then for now, then in zip(
        (Tally.compared, Tally.refused, Tally.given), before))
    words = f"{name:<16}{compared:>6} comparisons hold, {refused_ones:>5} refused"
    print(words + (f", {given} values as given" if given else ""), flush=True)
