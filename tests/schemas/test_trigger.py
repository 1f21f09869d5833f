from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.declare import declare, gather
from schemas.errors import InvalidCatalog
from schemas.trigger import Trigger

DEFAULT = Path(__file__).parents[2] / "infra" / "catalog" / "default.yaml"


def trigger(**fields: object) -> dict[str, Any]:
    return {"triggers": {"spike": {"metric": "error_rate", "limit": "10%"} | fields}}


def test_a_trigger_is_read_as_people_write_it() -> None:
    entries = declare(trigger(window="5m", confirm="1m", mode="semi_automatic", expires="2h"))

    assert {
        "trigger/spike": Trigger(
            id="spike",
            metric="error_rate",
            limit=0.1,
            window_s=300,
            confirm_s=60,
            mode="semi_automatic",
            expires_s=7200,
        )
    } == entries
    assert ["spike"] == list(gather(entries, 0).triggers)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"window": "90s"}, "window: 90 s cannot be looked back at; write whole minutes"),
        ({"window": "1h"}, "window: 3600 s cannot be looked back at; write whole minutes"),
        ({"confirm": 30}, "confirm: 30 s are no whole minutes; write 1m, 2m"),
        ({"severity": "critical", "confirm": "1m"}, "confirm: a critical trigger acts at once"),
        (
            {"relative_to": "baseline"},
            "relative_to: error_rate is compared with a limit of its own",
        ),
        ({"limit": 1}, "limit: no error rate is above 1; write one below 100 %"),
        ({"limit": 0}, "limit: 0 is not possible; write a number above 0"),
        ({"target": ""}, "target: it is empty; write previous, or a version"),
        ({"mode": "auto"}, "'auto' is unknown; did you mean 'automatic'?"),
        ({"metric": "latency"}, "'latency' is unknown"),
        ({"scopes": []}, "scopes: the list is empty"),
        ({"scopes": ["a|b/c"]}, "write service/endpoint, service or"),
        ({"min_requests": 0}, "min_requests: 0 is not possible"),
    ],
)
def test_what_could_never_hold_is_refused_with_a_sentence(
    fields: dict[str, object], sentence: str
) -> None:
    with pytest.raises(InvalidCatalog) as error:
        declare(trigger(**fields))

    assert str(error.value).startswith("trigger/spike, ")
    assert sentence in str(error.value)


def test_the_catalog_to_start_with_has_the_table_of_triggers() -> None:
    triggers = gather(declare(yaml.safe_load(DEFAULT.read_text())), 0).triggers

    assert {
        "error_rate": ("error_rate", 0.1, 60, 0, "critical", "automatic"),
        "p95_latency": ("p95_latency_ms", 2000.0, 300, 60, "high", "automatic"),
        "quality": ("quality", 0.9, 600, 0, "medium", "semi_automatic"),
        "cost_per_request": ("cost_per_request_usd", 2.0, 900, 0, "low", "manual"),
    } == {
        name: (t.metric, t.limit, t.window_s, t.confirm_s, t.severity, t.mode)
        for name, t in triggers.items()
    }
