import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import native
from bench.windows import window  # noqa: F401  # one of `records`
from infra.environment import BOOTSTRAP_SERVERS, Environment
from schemas.anomaly import Anomaly, Severity
from schemas.rollout import Deployment, Phase, Verdict

# A broker lives for seconds here. With its second compiler, which pays within minutes, each needs
# twice the processor time.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")

# How long an example takes says more of who else uses the machine than of what is tested.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

ANOMALY = Anomaly(
    id="search/answer|p95|0",
    scope="search/answer",
    metric="p95_latency_ms",
    window="1m",
    start=0,
    end=60_000,
    revision=1,
    is_anomaly=True,
    severity=Severity.LOW,
    confidence=0.5,
    actual=2.0,
    expected=1.0,
    expected_low=0.5,
    expected_high=1.5,
    deviation=4.0,
    detector="robust_z",
    samples=60,
)
DEPLOYMENT = Deployment(
    id="r1",
    scope="search/answer",
    revision=4,
    sequence=1,
    at=0,
    phase=Phase.PENDING,
    previous=None,
    step=0,
    steps=4,
    share=0,
    verdict=Verdict.INCONCLUSIVE,
    guardrails=(),
    reason="cheaper",
    by="optimizer",
    decision_id="d1",
    stable_version="v1",
    candidate_version="v2",
    stable_model="gpt-4o",
    candidate_model="gpt-4o-mini",
)


def anomaly(**changes: Any) -> Anomaly:
    """A latency that its own past does not explain."""
    return replace(ANOMALY, **changes)


def deployment(**changes: Any) -> Deployment:
    """The first event of a rollout."""
    return replace(DEPLOYMENT, **changes)


@pytest.fixture(scope="session")
def records() -> ModuleType:
    """Builders of records that several folders need: `anomaly`, `deployment`, `window`."""
    return sys.modules[__name__]


@pytest.fixture(scope="session")
def own_servers() -> None:
    """Leaves a test out that starts servers, or Kafka's tools, where servers of yours are named."""
    if os.environ.get(BOOTSTRAP_SERVERS):
        pytest.skip(f"starts servers of its own, and {BOOTSTRAP_SERVERS} names yours")


@pytest.fixture(scope="session")
def environment() -> Iterator[Environment]:
    """Kafka, registry and Postgres, shared by the whole session: use names of your own."""
    # Not below pytest's folder, which every session closes to other users: as root, PostgreSQL
    # runs as one.
    folder = Path(tempfile.mkdtemp(prefix="llmopt-test-"))
    try:
        with Environment(folder, say=lambda _: None, given=os.environ) as started:
            yield started
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["C", "Python"], scope="module")
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tests of a module run with the loops in C, and with their twins in Python."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "Python":
            patch.setattr(native, "core", None)
        else:
            assert native.core is not None, "it was not built: is there a compiler?"
        yield
