"""Two numbers, as a rule compares them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping

COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
