from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from processors.actuate.policy import ActuatePolicy, shared
from schemas.catalog import Catalog, Constraints
from streams.agents.actuate import stage
from streams.settings import Settings


@given(limit=st.integers(1, 200), partitions=st.integers(1, 64))
def test_the_parts_of_a_limit_add_up_to_it_but_each_partition_has_one(
    limit: int, partitions: int
) -> None:
    policy = ActuatePolicy(max_rollouts=limit)
    parts = [shared(policy, p, partitions).max_rollouts for p in range(partitions)]

    assert (max(limit, partitions), True) == (sum(parts), max(parts) - min(parts) <= 1)


def test_the_limits_are_those_that_the_catalog_has_for_everything() -> None:
    limits = Constraints(max_optimizations=12, max_rollouts=7, max_returns=2)
    catalog = Catalog(constraints={"*": limits, "search": Constraints(scope="search")})
    policy = stage(Settings()).policy(catalog)

    assert (12, 7, 2) == (policy.max_optimizations, policy.max_rollouts, policy.max_returns)
