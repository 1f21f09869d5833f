"""A catalog as people write it, and what is said when it cannot be."""

from typing import Any

import pytest

from schemas.declare import declare
from schemas.errors import InvalidCatalog


def rule(**fields: object) -> dict[str, Any]:
    return {
        "rules": {"spike": {"when": {"metric": "error_rate", "op": ">", "value": 0.1}} | fields}
    }


def refused(document: dict[str, Any]) -> str:
    with pytest.raises(InvalidCatalog) as error:
        declare(document)
    return str(error.value)
