import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.environment import Environment


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
