from __future__ import annotations

from collections.abc import Callable

import pytest

from schemas.rollout import Deployment, Phase, Verdict


@pytest.fixture
def deployment() -> Callable[[str, int], Deployment]:
    """Records for the counting stage to count."""
    return build


def build(scope: str, revision: int) -> Deployment:
    return Deployment(
        id="x", scope=scope, revision=revision, sequence=1, at=0, phase=Phase.PENDING,
        previous=None, step=0, steps=0, share=0, verdict=Verdict.PASS, guardrails=(), reason="",
        by="test", decision_id=None, stable_version=None, candidate_version=None,
        stable_model=None, candidate_model=None,
    )  # fmt: skip
