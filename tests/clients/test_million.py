"""A million buckets, the same in every language."""

import hashlib
import importlib.util
import itertools
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from llmopt_client import bucket_of
from llmopt_client.scope import parse
from llmopt_client.table import Plan
from schemas import hashing

VECTORS = Path(__file__).parents[2] / "clients" / "vectors"
READERS = {  # what must be there, how it is run, and the source
    "java": ("javac", ("java",), "Check.java"),
    "node": ("node", ("node",), "check.mjs"),
    "go": ("go", ("go", "run"), "check.go"),
}


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, VECTORS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MILLION = script("million")
BUCKETS = np.fromfile(VECTORS / "million.bin", "<u2").reshape(len(MILLION.SALTS), -1)


def read(reader: str, file: Path) -> subprocess.CompletedProcess[str]:
    needed, run, source = READERS[reader]
    if shutil.which(needed) is None:
        pytest.skip(f"there is no {needed} here")
    command = [*run, VECTORS / source, file]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_file_is_what_its_checksum_says_and_its_script_writes() -> None:
    data = (VECTORS / "million.bin").read_bytes()
    checksum, name = (VECTORS / "million.sha256").read_text().split()

    assert (hashlib.sha256(data).hexdigest(), "million.bin") == (checksum, name)
    assert MILLION.whole() == data


def test_both_scripts_have_one_hash() -> None:
    vectors = script("generate").vectors()
    texts = [f"{each['salt']}:{each['unit']}".encode() for each in vectors]

    assert [each["hash"] for each in vectors] == MILLION.hashes(texts).tolist()


def test_the_client_gives_every_bucket_of_the_million() -> None:
    found = [bucket_of(unit, salt) for salt, unit in MILLION.pairs()]

    assert 1_000_000 == len(found)
    assert BUCKETS.ravel().tolist() == found


def test_the_pipeline_gives_every_bucket_of_the_million() -> None:
    units = pa.array([MILLION.name(i) for i in range(MILLION.UNITS)])
    found = [hashing.buckets(units, salt) for salt in MILLION.SALTS]

    assert np.array_equal(BUCKETS, found)


def test_a_unit_that_got_the_candidate_keeps_it_while_the_share_grows() -> None:
    salt, buckets = MILLION.SALTS[3], BUCKETS[3]
    units = [MILLION.name(i) for i in range(MILLION.UNITS)]
    before = np.zeros(len(units), bool)
    for share in (1, 500, 2_500, 5_000, 10_000):
        plan = served(salt, share)
        inside = np.array([plan.serve(unit).cohort == "candidate" for unit in units])

        assert not (before & ~inside).any()
        assert np.array_equal(buckets < share, inside)
        before = inside
    assert before.all()


def served(salt: str, share: int) -> Plan:
    """How the client serves a scope whose candidate has that share."""
    config = {"version": "v", "provider": "openai"}
    record = {
        "scope": "shop/answer",
        "revision": 1,
        "epoch": 1,
        "stable": {**config, "model": "dear"},
        "candidate": {**config, "model": "cheap"},
        "split": {"rollout_id": "r", "salt": salt, "share": share},
    }
    return Plan(parse(record), None, "instance-1")


@pytest.mark.parametrize("share", [1, 100, 500, 2_500, 5_000, 9_999])
def test_a_candidate_gets_its_share_of_the_units_whatever_the_salt(share: int) -> None:
    for buckets in BUCKETS:
        inside = int((buckets < share).sum())

        assert stats.binomtest(inside, len(buckets), share / 10_000).pvalue > 1e-4


def test_rollouts_of_different_salts_choose_independently_of_each_other() -> None:
    tenths = BUCKETS // 1_000
    for a, b in itertools.combinations(tenths, 2):
        both = np.bincount(a * 10 + b, minlength=100).reshape(10, 10)

        assert stats.chi2_contingency(both).pvalue > 1e-4


@pytest.mark.parametrize("reader", READERS)
def test_other_languages_give_every_bucket_of_the_million(reader: str) -> None:
    done = read(reader, VECTORS / "million.bin")

    assert (0, "1000000 pairs agree\n") == (done.returncode, done.stdout), done.stderr


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_finds_the_one_bucket_that_is_wrong(reader: str, tmp_path: Path) -> None:
    data = bytearray((VECTORS / "million.bin").read_bytes())
    data[2 * 873_219] ^= 1
    (tmp_path / "wrong.bin").write_bytes(data)
    (tmp_path / "short.bin").write_bytes(data[:-1])

    assert 1 == read(reader, tmp_path / "wrong.bin").returncode
    assert "pair 873219" in read(reader, tmp_path / "wrong.bin").stderr
    assert "has 1999999 bytes" in read(reader, tmp_path / "short.bin").stderr


def test_the_million_are_told_as_text_too() -> None:
    command = [sys.executable, VECTORS / "million.py", "--text"]
    text = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    lines = text.split("\n")

    assert 1_000_001 == len(lines)
    assert f"r-1\tuser-5\t{BUCKETS[1, 5]}" == lines[125_005]
