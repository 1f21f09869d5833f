"""Identities and buckets are the same for many strings as for each of them."""

from __future__ import annotations

import uuid

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.hashing import buckets, identities, identity_of
from schemas.scope import BUCKETS, bucket_of

NAMES = st.lists(st.text(max_size=40), max_size=20)
QUIET = settings(max_examples=100, database=None, derandomize=True)


def of(names: list[str]) -> np.ndarray:
    return identities([pa.array(names, pa.string())])


@given(NAMES, NAMES)
@QUIET
def test_identities_are_what_the_reference_says(ones: list[str], twos: list[str]) -> None:
    pairs = list(zip(ones, twos, strict=False))
    arrays = [pa.array([pair[i] for pair in pairs], pa.string()) for i in (0, 1)]

    expected = [identity_of("quality", one, two) for one, two in pairs]
    assert expected == identities(["quality", *arrays]).tolist()
    assert [identity_of(one) for one in ones] == of(ones).tolist()


@given(NAMES)
@QUIET
def test_a_part_of_an_array_hashes_as_if_it_stood_alone(names: list[str]) -> None:
    whole = pa.array(["before", *names, "after"], pa.string())

    assert of(names).tolist() == identities([whole.slice(1, len(names))]).tolist()


@given(NAMES, st.text(max_size=9))
@QUIET
def test_buckets_are_what_the_specification_says(names: list[str], salt: str) -> None:
    expected = [bucket_of(name, salt) for name in names]

    assert expected == buckets(pa.array(names, pa.string()), salt).tolist()


@pytest.mark.parametrize(
    ("expected", "parts"),
    [
        (0x3694D9CF922B921F, ("7d1c9f6e-1a0e-4f3b-9a55-0c8c3d1f2b11",)),
        (identity_of("a"), ("a",)),
    ],
)
def test_identities_stay_what_they_were_in_earlier_versions(
    expected: int, parts: tuple[str, ...]
) -> None:
    assert expected == identity_of(*parts)


def test_parts_are_told_apart() -> None:
    names = [("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("", "abc"), ("abc\0",), ("quality",)]

    assert len(names) == len({identity_of(*parts) for parts in names})


@pytest.mark.parametrize(
    "names",
    [
        [f"req-{i}" for i in range(200_000)],
        [str(i) for i in range(200_000)],
        [f"{i:016x}" for i in range(200_000)],
        [f"{i:032d}-tail" for i in range(200_000)],
        [str(uuid.UUID(int=i << 64 | i)) for i in range(200_000)],
        ["\0" * i for i in range(300)],
    ],
    ids=["prefixed", "decimal", "hex", "long", "uuid", "zeros"],
)
def test_names_that_differ_a_little_never_meet_and_spread_evenly(names: list[str]) -> None:
    found = of(names)

    assert len(names) == len(np.unique(found))
    for shift in (0, 16, 32, 48):
        cells = np.bincount(
            (found >> np.uint64(shift) & np.uint64(255)).astype(np.int64), None, 256
        )
        mean = len(names) / 256
        chi2 = float(((cells - mean) ** 2 / mean).sum())

        # 255 degrees of freedom: mean 255, deviation 22.6
        assert 255 - 6 * 22.6 < chi2 < 255 + 6 * 22.6


def test_any_bit_of_a_name_turns_half_of_its_identity() -> None:
    name = bytearray(b"abcdefghijklmnop")
    start = identity_of(name.decode())
    turned = []
    for bit in range(len(name) * 8):
        if bit % 8 == 7:
            continue  # stay in ASCII
        other = bytearray(name)
        other[bit // 8] ^= 1 << bit % 8
        turned.append((start ^ identity_of(other.decode())).bit_count())

    assert 30 < float(np.mean(turned)) < 34
    assert 14 < min(turned)


def test_buckets_cover_their_range() -> None:
    found = buckets(pa.array([f"user-{i}" for i in range(100_000)]), "unit")

    assert 0 == found.min()
    assert BUCKETS - 1 == found.max()
