"""Write bucketing.json: what every SDK must compute, by an implementation of its own.

python clients/vectors/generate.py
"""  # noqa: INP001  # a script beside its output, not a package

from __future__ import annotations

import ctypes
import json
import random
from pathlib import Path
from typing import Any

UNITS = (
    *("", " ", "a", "ab", "abc", "abcd", "abcde", "user-1", "user-2", "0", "ü", "日本語", "🙂"),
    *("e\u0301", "\u00e9", "a:b", ":", "::", "\u0000", "line\nbreak", "\U0010ffff", "x" * 300),
)
SALTS = ("", "rollout-1", "söder:malm", "r|shop/answer|7")
SHARES = (0, 1, 100, 500, 2_500, 5_000, 9_999, 10_000)


def murmur3(data: bytes) -> int:
    """MurmurHash3_x86_32 with seed 0, in the wrapping arithmetic of a C compiler."""

    def u32(value: int) -> int:
        return ctypes.c_uint32(value).value

    def rotated(value: int, by: int) -> int:
        return u32(value << by) | value >> (32 - by)

    state = 0
    padded = data + bytes(-len(data) % 4)
    for at in range(0, len(padded), 4):
        word = u32(int.from_bytes(padded[at : at + 4], "little") * 0xCC9E2D51)
        state ^= u32(rotated(word, 15) * 0x1B873593)
        if at + 4 <= len(data):
            state = u32(rotated(state, 13) * 5 + 0xE6546B64)
    state ^= len(data)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        state = u32((state ^ state >> shift) * factor)
    return state ^ state >> 16


def vectors() -> list[dict[str, Any]]:
    """Salt, unit, hash and bucket of names that go wrong, and of many that do not."""
    chance = random.Random(20_240_501)  # noqa: S311  # vectors, not secrets
    pairs = [(salt, unit) for salt in SALTS for unit in UNITS]
    alphabet = "abcdefghijklmnopqrstuvwxyz0123456789-_:/éß漢🎈"
    for length in range(1, 41):
        pairs += [
            ("".join(chance.choices(alphabet, k=8)), "".join(chance.choices(alphabet, k=length)))
            for _ in range(6)
        ]
    hashes = [(salt, unit, murmur3(f"{salt}:{unit}".encode())) for salt, unit in pairs]
    return [{"salt": s, "unit": u, "hash": h, "bucket": h % 10_000} for s, u, h in hashes]


def main() -> None:
    """Write the file beside this script."""
    whole = {
        "hash": 'murmur3_32(utf8(salt + ":" + unit)), seed 0, unsigned',
        "bucket": "hash mod 10000",
        "candidate": "bucket < share",
        "shares": SHARES,
        "vectors": vectors(),
    }
    text = json.dumps(whole, ensure_ascii=True, indent=1)
    Path(__file__).with_name("bucketing.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
