"""What the scripts of this folder share: how they tell, compare, wait and mutate."""

import random
import time

from .rpc import Refused

MUTATIONS = 1000
# Longest wait for what the network does by itself: an anchor.
PATIENCE = 60


def say(text):
    print(text, flush=True)


def expect(what, expected, actual):
    if expected != actual:
        raise ValueError(f"{what}: expected {expected!r}, got {actual!r}")


def refusal(call, *args, **named):
    """How a call is refused: its code, or else its status."""
    try:
        call(*args, **named)
    except Refused as refused:
        return refused.code or refused.status.name
    return "CODE_OK"


def until(what, condition):
    """Waits for what the network does by itself."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.1)
    raise ValueError(f"{what} did not come within {PATIENCE} s")


def mutated(good):
    """The bytes with one of them changed, which one and how."""
    place, change = random.randrange(len(good)), random.randrange(1, 256)
    spoiled = bytearray(good)
    spoiled[place] ^= change
    return bytes(spoiled), place, change


def refused_mutations(good, accept, accept_good=True, count=MUTATIONS) -> int:
    """Changes one random byte at a time; gives how many were refused: all."""
    if accept_good:
        accept(good)
    for _ in range(count):
        spoiled, place, change = mutated(good)
        try:
            accept(spoiled)
        except ValueError:
            continue
        raise ValueError(f"byte {place} changed by {change:#04x} is believed")
    return count
