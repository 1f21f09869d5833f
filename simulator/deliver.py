"""How reports reach Kafka when all is not well: never, twice, late, or beside rubbish."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulator.demand import Demand, active, during
from simulator.faults import Kind
from simulator.trace import Ints

KINDS = {Kind.SILENT, Kind.DUPLICATE, Kind.LATE, Kind.GARBAGE}


@dataclass(frozen=True, slots=True)
class Delivery:
    """What happens to the report of each of n requests."""

    sends: Ints  # 0 for a silent application, 2 for a duplicate
    delay_ms: Ints  # of the last copy, in simulated time
    garbage: Ints  # unreadable messages beside it


def deliver(demand: Demand) -> Delivery:
    """Decide by the faults and the chance in *demand* how its reports are sent."""
    n = len(demand)
    sends, delay, garbage = np.ones(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)
    chance = demand.uniform
    silent: npt.NDArray[np.bool_] = np.zeros(n, np.bool_)
    for fault in active(demand, KINDS):
        on = during(demand, fault)
        match fault.kind:
            case Kind.SILENT:
                silent |= on & (chance[8] < fault.strength)
            case Kind.DUPLICATE:
                sends[on & (chance[9] < fault.strength)] = 2
            case Kind.LATE:
                late = on & (chance[10] < fault.strength)
                far = np.rint(chance[11] * fault.delay_s * 1_000).astype(np.int64)
                delay[late] = np.maximum(delay, far + 1)[late]
            case _:
                garbage += on * np.floor(fault.strength + chance[12]).astype(np.int64)
    sends[silent] = 0
    garbage[silent] = 0
    return Delivery(sends, delay, garbage)


def rubbish(name: str, i: int) -> bytes:
    """An unreadable message for `llmopt.metrics.v1`; *i* picks what is wrong with it."""
    event = (
        f'{{"timestamp":1700000000000,"service":"{name}","endpoint":"e","model":"m",'
        '"provider":"p","latency_ms":1,"tokens_input":1,"tokens_output":1}'
    )
    kinds = (
        event[:-9].encode(),
        b"\x00\x00\x00\x00\x7f" + name.encode(),
        event.replace(':1700000000000,"', ':1700000000000,"nothing":NaN,"').encode()[:-1],
        event.replace('"latency_ms":1', '"latency_ms":-5').encode(),
        event.replace('"model":"m",', "").encode(),
        event.replace('"tokens_input":1', '"tokens_input":"many"').encode(),
        event.replace(":1700000000000", ":4102444800000").encode(),
        bytes((7 * i + k) % 256 for k in range(40)) + name.encode(),
        b"[1,2,3]",
        b"\xff\xfe",
    )
    return kinds[i % len(kinds)]
