from collections.abc import Iterator
from fractions import Fraction
from itertools import permutations, product
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.attribute.attribute import Cause, attribute
from processors.attribute.usage import Amount, Usage

AMOUNTS = st.builds(Amount, st.integers(1, 10**9), st.integers(0, 10**13))
USAGES = st.builds(
    Usage,
    st.sampled_from("ab"),
    st.sampled_from("xy"),
    st.integers(1, 10**6),
    st.fixed_dictionaries({}, optional={"input": AMOUNTS, "output": AMOUNTS}),
)
PERIODS = st.lists(USAGES, max_size=4, unique_by=lambda each: (each.scope, each.model))


def cost(period: list[Usage]) -> int:
    return sum(amount.nano for usage in period for amount in usage.kinds.values())


@given(PERIODS, PERIODS)
def test_parts_add_up_to_the_change_to_the_last_nano_dollar(
    before: list[Usage], after: list[Usage]
) -> None:
    found = attribute(before, after)
    change = cost(after) - cost(before)

    assert change == found.change == sum(part.nano for part in found.parts)
    for name in ("scope", "model", "kind", "cause"):
        assert change == sum(found.by(name).values())


@given(PERIODS, PERIODS)
def test_each_line_gets_its_own_change(before: list[Usage], after: list[Usage]) -> None:
    """Each of its four parts off by less than a nano-dollar."""
    found = attribute(before, after)
    for scope, model, kind in product("ab", "xy", ("input", "output")):
        own = [
            sum(
                each.kinds.get(kind, Amount(0, 0)).nano
                for each in period
                if (each.scope, each.model) == (scope, model)
            )
            for period in (before, after)
        ]
        told = sum(part.nano for part in found.parts if part[:3] == (scope, model, kind))

        assert abs(own[1] - own[0] - told) < 4


@given(PERIODS, PERIODS)
def test_the_way_back_undoes_it(before: list[Usage], after: list[Usage]) -> None:
    there, back = attribute(before, after), attribute(after, before)
    of = {part[:4]: part.nano for part in back.parts}

    assert all(abs(part.nano + of.get(part[:4], 0)) <= 2 for part in there.parts)


@given(PERIODS)
def test_nothing_comes_of_no_change(period: list[Usage]) -> None:
    assert () == attribute(period, period).parts


@given(
    *(
        st.tuples(
            st.integers(1, 10**4),
            st.integers(1, 10**4),
            st.integers(1, 10**6),
            st.integers(1, 10**9),
        )
        for _ in range(2)
    )
)
def test_parts_are_the_mean_over_all_orders(
    old: tuple[int, int, int, int], new: tuple[int, int, int, int]
) -> None:
    """Of one model beside another one that uses nothing: by changing one factor after another."""
    found = attribute(*(list(_pair(*each)) for each in (old, new)))
    factors = [
        (
            Fraction(mine + others),
            Fraction(mine, mine + others),
            Fraction(tokens, mine),
            Fraction(nano, tokens),
        )
        for mine, others, tokens, nano in (old, new)
    ]
    added = dict.fromkeys(Cause, Fraction(0))
    for order in permutations(range(4)):
        now = list(factors[0])
        for number in order:
            was = prod(now)
            now[number] = factors[1][number]
            added[tuple(Cause)[number]] += Fraction(prod(now) - was, 24)
    by = found.by("cause")

    assert all(abs(share - by.get(cause, 0)) < 1 for cause, share in added.items())


def _pair(mine: int, others: int, tokens: int, nano: int) -> Iterator[Usage]:
    yield Usage("a", "x", mine, {"input": Amount(tokens, nano)})
    yield Usage("a", "y", others, {})


def one(requests: int, tokens: int, nano: int, model: str = "x", scope: str = "a") -> Usage:
    return Usage(scope, model, requests, {"input": Amount(tokens, nano)})


@pytest.mark.parametrize(
    ("after", "cause"),
    [
        (one(20, 2000, 10_000), Cause.TRAFFIC),
        (one(10, 2000, 10_000), Cause.TOKENS),
        (one(10, 1000, 10_000), Cause.PRICE),
    ],
)
def test_what_alone_has_changed_is_all_of_it(after: Usage, cause: Cause) -> None:
    assert {cause: 5_000} == attribute([one(10, 1000, 5_000)], [after]).by("cause")


def test_a_new_scope_is_traffic_and_a_switch_is_models() -> None:
    old = one(10, 1000, 5_000)
    opened = attribute([old], [old, one(4, 40, 700, scope="b")])
    switched = attribute([old], [one(10, 1000, 800, model="y")])

    assert [("b", "x", "input", Cause.TRAFFIC, 700)] == list(opened.parts)
    assert {Cause.MODELS: -4_200} == switched.by("cause")
    assert {"x": -5_000, "y": 800} == switched.by("model")


def test_a_kind_never_used_before_is_tokens() -> None:
    old = Usage("a", "x", 10, {"input": Amount(1000, 5_000)})
    new = Usage("a", "x", 10, {"input": Amount(1000, 5_000), "output": Amount(50, 900)})

    assert [("a", "x", "output", Cause.TOKENS, 900)] == list(attribute([old], [new]).parts)


def test_the_largest_comes_first() -> None:
    found = attribute([], [one(1, 1, 5), one(1, 1, 900, scope="b"), one(1, 1, 70, scope="c")])

    assert ["b", "c", "a"] == list(found.by("scope"))


def test_a_model_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="x in a was given twice"):
        attribute([one(1, 1, 1), one(1, 1, 1)], [])
