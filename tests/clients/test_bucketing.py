"""One hash, the same in every language."""

import importlib.util
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from llmopt_client import bucket_of, is_candidate, murmur3_32
from schemas import scope

VECTORS = Path(__file__).parents[2] / "clients" / "vectors"


@pytest.mark.parametrize(
    ("text", "seed", "expected"),
    [  # published with the reference implementation and its ports
        (b"", 0, 0),
        (b"", 1, 0x514E28B7),
        (b"", 0xFFFFFFFF, 0x81F16F39),
        (b"\xff\xff\xff\xff", 0, 0x76293B50),
        (b"\x21\x43\x65\x87", 0, 0xF55B516B),
        (b"\x21\x43\x65\x87", 0x5082EDEE, 0x2362F9DE),
        (b"\x21\x43\x65", 0, 0x7E4A8634),
        (b"\x21\x43", 0, 0xA0F7B07A),
        (b"\x21", 0, 0x72661CF4),
        (b"\x00\x00\x00\x00", 0, 0x2362F9DE),
        (b"\x00\x00\x00", 0, 0x85F0B427),
        (b"\x00\x00", 0, 0x30F4C306),
        (b"\x00", 0, 0x514E28B7),
        (b"hello", 0, 613153351),
        (b"The quick brown fox jumps over the lazy dog", 0x9747B28C, 0x2FA826CD),
    ],
)
def test_the_hash_is_murmur3_as_published(text: bytes, seed: int, expected: int) -> None:
    assert expected == murmur3_32(text, seed)


def test_every_vector_is_met() -> None:
    vectors = json.loads((VECTORS / "bucketing.json").read_text())["vectors"]

    assert 300 <= len(vectors)
    for vector in vectors:
        whole = f"{vector['salt']}:{vector['unit']}".encode()
        assert vector["hash"] == murmur3_32(whole)
        assert vector["bucket"] == bucket_of(vector["unit"], vector["salt"])


def test_the_vectors_are_what_their_script_writes() -> None:
    spec = importlib.util.spec_from_file_location("generate", VECTORS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)

    assert json.loads((VECTORS / "bucketing.json").read_text())["vectors"] == script.vectors()


@given(st.text(max_size=60), st.text(max_size=30))
def test_the_pipeline_puts_units_into_the_same_buckets(unit: str, salt: str) -> None:
    assert scope.bucket_of(unit, salt) == bucket_of(unit, salt)


@given(st.text(max_size=30), st.integers(0, 10_000), st.integers(0, 10_000))
def test_a_unit_that_is_in_stays_in_while_the_share_grows(unit: str, a: int, b: int) -> None:
    small, large = sorted((a, b))

    assert is_candidate(unit, "r", small) <= is_candidate(unit, "r", large)
    assert not is_candidate(unit, "r", 0)
    assert is_candidate(unit, "r", 10_000)


@pytest.mark.parametrize("share", [100, 500, 2_500, 5_000])
@pytest.mark.parametrize("pattern", ["user-{}", "{:032x}", "{}@example.org"])
def test_a_candidate_gets_its_share_of_units(pattern: str, share: int) -> None:
    n = 20_000
    inside = sum(is_candidate(pattern.format(i), "rollout-7", share) for i in range(n))

    assert stats.binomtest(inside, n, share / 10_000).pvalue > 1e-4


def test_two_rollouts_choose_independently_of_each_other() -> None:
    units = [f"user-{i}" for i in range(20_000)]
    both = sum(is_candidate(u, "one", 5_000) and is_candidate(u, "two", 5_000) for u in units)

    assert stats.binomtest(both, len(units), 0.25).pvalue > 1e-4
