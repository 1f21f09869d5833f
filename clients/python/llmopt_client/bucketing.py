"""Which units a rollout sends to its candidate: one hash, the same in every language."""

from __future__ import annotations

BUCKETS = 10_000  # one bucket is a hundredth of a percent of the units


def murmur3_32(data: bytes, seed: int = 0) -> int:
    """MurmurHash3 (x86, 32 bit) of *data*, unsigned.

    Args:
        data: Any bytes.
        seed: Unsigned 32-bit start value; bucketing uses 0.

    Returns:
        0 to 2³² − 1.

    References:
        Austin Appleby, MurmurHash3 (public domain), MurmurHash3_x86_32.

    >>> murmur3_32(b"hello")
    613153351
    """
    mask = 0xFFFFFFFF
    state = seed & mask
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        word = int.from_bytes(data[at : at + 4], "little") * 0xCC9E2D51 & mask
        word = (word << 15 | word >> 17) * 0x1B873593 & mask
        state ^= word
        state = ((state << 13 | state >> 19) * 5 + 0xE6546B64) & mask
    if whole < len(data):
        word = int.from_bytes(data[whole:], "little") * 0xCC9E2D51 & mask
        state ^= (word << 15 | word >> 17) * 0x1B873593 & mask
    state ^= len(data)
    state = (state ^ state >> 16) * 0x85EBCA6B & mask
    state = (state ^ state >> 13) * 0xC2B2AE35 & mask
    return state ^ state >> 16


def bucket_of(unit: str, salt: str) -> int:
    """The bucket, 0 to 9,999, of *unit* in the rollout with that *salt*.

    >>> bucket_of("user-1", "rollout-1") == bucket_of("user-1", "rollout-1")
    True
    """
    return murmur3_32(f"{salt}:{unit}".encode()) % BUCKETS


def is_candidate(unit: str, salt: str, share: int) -> bool:
    """Whether *unit* is served the candidate while *share* hundredths of a percent are.

    A unit that is in stays in while the share grows.
    """
    return bucket_of(unit, salt) < share
