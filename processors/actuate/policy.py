"""What the actuator is told: the catalog, and limits that are not in it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from schemas.catalog import Catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class ActuatePolicy:
    """Limits of all rollouts; all times are event time.

    `max_optimizations`, `max_rollouts` and `max_returns` are of the whole system, divided among the
    tasks, see `shared`.

    `max_optimizations` and `max_rollouts` do not count those that are quiet, see
    processors.actuate.silence. A candidate's rollback is one record, which no limit holds back;
    `max_returns` is of stable configs, see processors.actuate.triggers.watch.

    `settle_s`: a share counts as applied everywhere this long after the scope's clock at which it
    was written. It must cover how far the watermark runs behind the applications, and a minute is
    evidence only when it lies wholly after it. `critical_*`: the trigger that needs no patience,
    see processors.actuate.critical.
    """

    catalog: Catalog = field(default_factory=Catalog)
    max_optimizations: int = 10  # at once
    max_rollouts: int = 5  # of them with traffic, or about to have some
    max_returns: int = 3  # of stable configs by triggers, at once
    breaker_failures: int = 3  # failed changes in a row, of a task
    breaker_s: int = 3600  # that nothing starts after them
    settle_s: int = 60
    stale_s: int = 3600  # a decision that is older has none of the hour left that it rests on
    regret_s: int = 3600  # for so long after a promotion a rollback decision undoes it
    critical_error_rate: float = 0.10
    critical_requests: int = 50  # of the candidate in one minute
    reference_requests: int = 500  # that a row must hold to stand for the pre-period


def shared(policy: ActuatePolicy, partition: int, partitions: int) -> ActuatePolicy:
    """*policy* with one task's part of the limits, which tasks cannot count together.

    The parts add up to the limit, but a task has one at least: a scope in it could never change
    otherwise.

    >>> [shared(ActuatePolicy(), p, 4).max_rollouts for p in range(4)]
    [2, 1, 1, 1]
    """
    return replace(
        policy,
        **{
            name: max(1, (getattr(policy, name) + partitions - 1 - partition) // partitions)
            for name in ("max_optimizations", "max_rollouts", "max_returns")
        },
    )
