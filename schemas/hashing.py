"""Hashes of many strings at once: identities of events, buckets of units."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.scope import BUCKETS

U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]

MASK = 0xFFFF_FFFF_FFFF_FFFF
SEED = 0x6C6C_6D6F_7074_2E31  # "llmopt.1"
SPREAD = 0x9E37_79B9_7F4A_7C15  # 2⁶⁴ / golden ratio, odd
MIX = 0xD6E8_FEB8_6659_FD93  # odd, about half of its bits set


def identity_of(*parts: str) -> int:
    """The 64-bit identity of a name in parts; the reference of `identities`.

    Never 0, which stands for none. Each part is taken in as its length and its UTF-8 bytes in
    little-endian words of 8, the last one filled up with zeros.

    >>> hex(identity_of("7d1c9f6e-1a0e-4f3b-9a55-0c8c3d1f2b11"))
    '0x3694d9cf922b921f'
    """
    state = SEED
    for part in parts:
        data = part.encode()
        state = _absorb(state, len(data))
        for i in range(0, len(data), 8):
            state = _absorb(state, int.from_bytes(data[i : i + 8], "little"))
    state = _absorb(state, 0)
    return state or 1


def identities(parts: Iterable[Any]) -> U64:
    """The identities of n names in parts.

    Args:
        parts: For each part either a string, the same for all, or an Arrow string array [n]
            without nulls; at least one array.

    Returns:
        [n], each what `identity_of` says.
    """
    state: U64 = np.array([SEED], np.uint64)
    for part in parts:
        if isinstance(part, str):
            data = part.encode()
            words = [data[i : i + 8].ljust(8, b"\0") for i in range(0, len(data), 8)]
            for word in (len(data), *(int.from_bytes(w, "little") for w in words)):
                state = _absorb_all(state, np.uint64(word))
            continue
        starts, sizes, room = strings(part)
        state = _absorb_all(state, sizes.astype(np.uint64))
        words_at = np.ndarray((len(room) - 7,), "<u8", buffer=room, strides=(1,))
        longest = int(sizes.max(initial=0))
        shortest = int(sizes.min(initial=longest))
        for i in range(0, longest, 8):
            if i + 8 <= shortest:
                state = _absorb_all(state, words_at[starts + i])
                continue
            rows = np.flatnonzero(sizes > i)
            left = np.minimum(sizes[rows] - i, 8).astype(np.uint64)
            mask = np.uint64(MASK) >> ((np.uint64(8) - left) * np.uint64(8))
            state[rows] = _absorb_all(state[rows], words_at[starts[rows] + i] & mask)
    state = _absorb_all(state, np.uint64(0))
    state[state == 0] = 1
    return state


def buckets(names: Any, salt: str) -> Ints:  # an Arrow string array
    """The buckets of n units, each what `schemas.scope.bucket_of` says.

    Args:
        names: Arrow string array [n] without nulls.
        salt: The salt of the bucketing.
    """
    starts, sizes, data = strings(names)
    prefix = np.frombuffer(f"{salt}:".encode(), np.uint8)
    # Salted names are laid out anew, so that their words of 4 begin where murmur3 reads them.
    room = len(prefix) + int(sizes.max(initial=0)) + 4
    table = np.zeros((len(sizes), room), np.uint8)
    table[:, : len(prefix)] = prefix
    rows = np.repeat(np.arange(len(sizes)), sizes)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    table[rows, len(prefix) + within] = data[starts[rows] + within]
    return (_murmur3(table, sizes + len(prefix)) % np.uint32(BUCKETS)).astype(np.int64)


def strings(array: Any) -> tuple[Ints, Ints, npt.NDArray[np.uint8]]:
    """Where the strings of an Arrow array lie.

    Returns:
        starts [n] and sizes [n] in bytes, and the bytes with at least 8 more behind them.
    """
    n = len(array)
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, np.int32, n + 1, array.offset * 4).astype(np.int64)
    first, last = (int(ends[0]), int(ends[-1])) if n else (0, 0)
    room = np.zeros(last - first + 8, np.uint8)
    if last > first:
        room[:-8] = np.frombuffer(data, np.uint8, last - first, first)
    return ends[:-1] - first, np.diff(ends), room


def _absorb(state: int, word: int) -> int:
    word = word * SPREAD & MASK
    state = (state ^ word ^ word >> 32) * MIX & MASK
    return state ^ state >> 29


def _absorb_all(state: U64, word: U64 | np.uint64) -> U64:
    mixed = np.atleast_1d(word) * np.uint64(SPREAD)
    mixed ^= mixed >> np.uint64(32)
    mixed = (state ^ mixed) * np.uint64(MIX)
    mixed ^= mixed >> np.uint64(29)
    return mixed


def _murmur3(table: npt.NDArray[np.uint8], sizes: Ints) -> U32:
    """murmur3_32, seed 0, of each row's first `sizes` bytes; zeros must follow them."""
    words = np.ascontiguousarray(table[:, : table.shape[1] & ~3]).view("<u4")
    whole = sizes // 4
    h = np.zeros(len(sizes), np.uint32)
    for i in range(words.shape[1]):
        k = words[:, i] * np.uint32(0xCC9E2D51)
        k = (k << np.uint32(15) | k >> np.uint32(17)) * np.uint32(0x1B873593)
        mixed = h ^ k
        turned = mixed << np.uint32(13) | mixed >> np.uint32(19)
        # A row's last, unfinished word is not turned; words behind it are not its own.
        h = np.where(
            i < whole,
            turned * np.uint32(5) + np.uint32(0xE6546B64),
            np.where(i == whole, mixed, h),
        )
    h ^= sizes.astype(np.uint32)
    h = (h ^ h >> np.uint32(16)) * np.uint32(0x85EBCA6B)
    h = (h ^ h >> np.uint32(13)) * np.uint32(0xC2B2AE35)
    return h ^ h >> np.uint32(16)
