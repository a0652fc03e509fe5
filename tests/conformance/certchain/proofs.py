"""Merkle trees, the block history, the state tree (formats.md, 7 to 9)."""

from .hashing import derive, keyed


def merkle_root(items) -> bytes:
    """The root over a block's witness ids or receipt hashes."""
    level = [derive("merkle leaf", item) for item in items]
    while len(level) > 1:
        pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
        level = [derive("merkle node", *pair) if len(pair) == 2 else pair[0] for pair in pairs]
    top = level[0] if level else bytes(32)
    return derive("merkle root", len(items).to_bytes(4, "little"), top)


def check_merkle(root: bytes, item: bytes, index: int, count: int, siblings) -> bool:
    if not 0 <= index < count < 2**32:
        return False
    siblings, value, place, width = list(siblings), derive("merkle leaf", item), index, count
    while width > 1:
        if place % 2 == 1 or place + 1 < width:
            if not siblings:
                return False
            other = siblings.pop(0)
            pair = (other, value) if place % 2 else (value, other)
            value = derive("merkle node", *pair)
        place, width = place // 2, (width + 1) // 2
    return not siblings and derive("merkle root", count.to_bytes(4, "little"), value) == root


def _peaks(size: int):
    """Level and place of each mountain, from left to right."""
    levels = [level for level in range(63, -1, -1) if size >> level & 1]
    return [(level, (size >> level) - 1) for level in levels]


def _mountain(blocks) -> bytes:
    if len(blocks) == 1:
        return blocks[0]
    half = len(blocks) // 2
    return derive("history node", _mountain(blocks[:half]), _mountain(blocks[half:]))


def _mountains(block_ids):
    """The blocks of each mountain, from left to right."""
    return [block_ids[place << level : (place + 1) << level] for level, place in _peaks(len(block_ids))]


def history_root(block_ids) -> bytes:
    """The root over the names of blocks 0 to n - 1: what the header of height n holds."""
    peaks = [_mountain(blocks) for blocks in _mountains(block_ids)]
    return derive("history root", len(block_ids).to_bytes(8, "little"), *peaks)


def prove_history(block_ids, height: int) -> dict:
    """The proof, by the definition, that the block of a height stands among these."""
    siblings, peaks, start = [], [], 0
    for blocks in _mountains(block_ids):
        place = height - start
        start += len(blocks)
        if not 0 <= place < len(blocks):
            peaks.append(_mountain(blocks))
            continue
        while len(blocks) > 1:
            half = len(blocks) // 2
            sides = blocks[:half], blocks[half:]
            siblings.insert(0, _mountain(sides[place < half]))
            blocks, place = sides[place >= half], place % half
    return {"height": height, "size": len(block_ids), "siblings": siblings, "peaks": peaks}


def check_history(root: bytes, block_id: bytes, height: int, size: int, siblings, peaks) -> bool:
    if not 0 <= height < size < 2**64:
        return False
    others, every = list(peaks), []
    for level, place in _peaks(size):
        if height >> level != place:
            if not others:
                return False
            every.append(others.pop(0))
            continue
        if len(siblings) != level:
            return False
        value = block_id
        for step, other in enumerate(siblings):
            pair = (other, value) if height >> step & 1 else (value, other)
            value = derive("history node", *pair)
        every.append(value)
    return not others and derive("history root", size.to_bytes(8, "little"), *every) == root


BITS = 768
_branch_keys = {}


def value_hash(value: bytes) -> bytes:
    return derive("state value", value)


def state_leaf(key: bytes, hashed_value: bytes) -> bytes:
    return derive("state leaf", len(key).to_bytes(2, "little"), key, hashed_value)


def state_branch(bit: int, left: bytes, right: bytes) -> bytes:
    if bit not in _branch_keys:
        _branch_keys[bit] = derive("state branch", bit.to_bytes(2, "little"))
    return keyed(_branch_keys[bit], left, right)


def key_bit(key: bytes, bit: int) -> int:
    """Bits count from the most significant one of byte 0; past the end they are 0."""
    return key[bit // 8] >> 7 - bit % 8 & 1 if bit // 8 < len(key) else 0


def _sides(keys):
    """The bit at which sorted keys part, those with 0 there, those with 1."""
    bit = next(b for b in range(BITS) if key_bit(keys[0], b) != key_bit(keys[-1], b))
    left = [key for key in keys if not key_bit(key, bit)]
    return bit, left, keys[len(left) :]


def state_root(leaves: dict) -> bytes:
    """The root over keys and values, by the definition."""

    def tree(keys):
        if len(keys) == 1:
            return state_leaf(keys[0], value_hash(leaves[keys[0]]))
        bit, left, right = _sides(keys)
        return state_branch(bit, tree(left), tree(right))

    return tree(sorted(leaves)) if leaves else derive("state empty")


def prove_state(leaves: dict, key: bytes) -> dict:
    """The proof, by the definition, of what stands under a key, or that nothing does."""
    branches, keys = [], sorted(leaves)
    while len(keys) > 1:
        bit, *sides = _sides(keys)
        right = key_bit(key, bit)
        sibling = state_root({other: leaves[other] for other in sides[1 - right]})
        branches.append({"bit": bit, "sibling": sibling})
        keys = sides[right]
    leaf = {"key": keys[0], "value_hash": value_hash(leaves[keys[0]])} if keys else None
    return {"branches": branches, "leaf": leaf}


def check_state(root: bytes, key: bytes, branches, leaf):
    """The value hash that the proof shows under `key`, or None for absence; raises if it is none.

    `branches` are pairs (bit, sibling) from the root downwards; `leaf` is (key, value hash) or None.
    """
    bits = [bit for bit, _ in branches]
    if any(a >= b for a, b in zip(bits, bits[1:])) or any(bit >= BITS for bit in bits):
        raise ValueError("branches are out of order")
    if leaf is None:
        if branches or root != derive("state empty"):
            raise ValueError("the proof leads to another root")
        return None
    leaf_key, leaf_value = leaf
    value = state_leaf(leaf_key, leaf_value)
    for bit, sibling in reversed(list(branches)):
        right = key_bit(key, bit)
        if key_bit(leaf_key, bit) != right:
            raise ValueError("the leaf is not on the way of the asked key")
        value = state_branch(bit, *((sibling, value) if right else (value, sibling)))
    if value != root:
        raise ValueError("the proof leads to another root")
    return leaf_value if leaf_key == key else None
