"""Write million.bin, the buckets of a million pairs of salt and unit, and its checksum.

python clients/vectors/million.py            # or `make vectors`
python clients/vectors/million.py --text     # the same as text on standard output, a pair a line

The hash is an implementation of its own, of many strings of one length at a time. README.md tells
the order of the pairs, for readers in other languages.
"""  # noqa: INP001  # a script beside its output, not a package

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

U32 = npt.NDArray[np.uint32]

SALTS = ("", "r-1", "r-2", "r-3a7f", "shop/answer|7", "a:b", "söder:malm", "巡回🎈")
UNITS = 125_000  # a salt
FILE = Path(__file__).with_name("million.bin")
CHECKSUM = Path(__file__).with_name("million.sha256")


def name(i: int) -> str:
    """The i-th unit, in one of five forms in turn: of different lengths, some beyond ASCII."""
    forms = (
        f"user-{i}",
        f"{i * 2_654_435_761 % 2**32:08x}",
        f"{i}@example.org",
        f"kundin ü {i}",
        f"利用者{i}🙂",
    )
    return forms[i % 5]


def pairs() -> Iterator[tuple[str, str]]:
    """Salt and unit of each pair, in the order of the file: all units of the first salt first."""
    return ((salt, name(i)) for salt in SALTS for i in range(UNITS))


def hashes(texts: list[bytes]) -> U32:
    """MurmurHash3_x86_32 with seed 0 of each text [n]; texts of one length go together."""
    found = np.empty(len(texts), np.uint32)
    sizes = np.array([len(text) for text in texts])
    for size in np.unique(sizes).tolist():
        at = np.flatnonzero(sizes == size)
        padded = b"".join(texts[i] + bytes(-size % 4) for i in at.tolist())
        words = np.frombuffer(padded, "<u4").reshape(len(at), -(-size // 4))
        found[at] = _hashed(words, size)
    return found


def _hashed(words: U32, size: int) -> U32:
    """Of texts of *size* bytes, as little-endian words [n, size / 4, rounded up], zero-padded."""
    state = np.zeros(len(words), np.uint32)
    for column in range(words.shape[1]):
        mixed = _rotated(words[:, column] * np.uint32(0xCC9E2D51), 15) * np.uint32(0x1B873593)
        state ^= mixed
        if 4 * column + 4 <= size:  # a tail is mixed in, but not stirred
            state = _rotated(state, 13) * np.uint32(5) + np.uint32(0xE6546B64)
    state ^= np.uint32(size)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        state = (state ^ state >> np.uint32(shift)) * np.uint32(factor)
    return state ^ state >> np.uint32(16)


def _rotated(values: U32, by: int) -> U32:
    return values << np.uint32(by) | values >> np.uint32(32 - by)


def whole() -> bytes:
    """The file: a bucket is two bytes, little-endian."""
    texts = [f"{salt}:{unit}".encode() for salt, unit in pairs()]
    return (hashes(texts) % np.uint32(10_000)).astype("<u2").tobytes()


def main() -> None:
    """Write both files, or with --text the pairs and their buckets as tab-separated lines."""
    data = whole()
    if "--text" in sys.argv[1:]:
        buckets = np.frombuffer(data, "<u2").tolist()
        lines = (f"{s}\t{u}\t{b}\n" for (s, u), b in zip(pairs(), buckets, strict=True))
        sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]  # no test double here
        sys.stdout.writelines(lines)
        return
    FILE.write_bytes(data)
    CHECKSUM.write_text(f"{hashlib.sha256(data).hexdigest()}  {FILE.name}\n", "ascii")


if __name__ == "__main__":
    main()
