from __future__ import annotations

import secrets
from collections.abc import Iterator

import psycopg
import pytest

from infra.environment import Environment


@pytest.fixture
def empty(environment: Environment) -> Iterator[str]:
    """The address of a database of its own, without tables."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(environment.database_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
    yield environment.database_url.rsplit("/", 1)[0] + f"/{name}"
    # Another connection: a test may have killed the server in between.
    with psycopg.connect(environment.database_url, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
