from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.settings import VARIABLES, InvalidSettings, Settings, duration


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings() == Settings.read({"PATH": "/bin", "LLMOPT_LOG_LEVEL": ""})


def test_every_setting_has_a_variable() -> None:
    assert set(Settings.__dataclass_fields__) == {name for name, _ in VARIABLES.values()}


def test_durations_are_read_with_their_unit() -> None:
    settings = Settings.read(
        {
            "LLMOPT_COMMIT_INTERVAL": "0.25",
            "LLMOPT_WINDOW_GRACE": "2h",
            "LLMOPT_IDLE_AFTER": "750ms",
        }
    )

    assert (250, 7_200_000, 750) == (
        settings.commit_interval_ms,
        settings.window_grace_ms,
        settings.idle_after_ms,
    )


@given(st.integers(0, 10**6), st.sampled_from([("ms", 1), ("s", 1_000), ("m", 60_000)]))
def test_a_duration_is_its_number_times_its_unit(number: int, unit: tuple[str, int]) -> None:
    assert number * unit[1] == duration(f"{number}{unit[0]}")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LLMOPT_BOOTSTRAP_SERVERS", "localhost"),
        ("LLMOPT_SCHEMA_REGISTRY_URL", "localhost:8081"),
        ("LLMOPT_DATABASE_URL", "my database"),
        ("LLMOPT_PARTITIONS_INGEST", "0"),
        ("LLMOPT_PARTITIONS_DERIVED", "four"),
        ("LLMOPT_COMMIT_INTERVAL", "0"),
        ("LLMOPT_WINDOW_GRACE", "-1s"),
        ("LLMOPT_WINDOW_DELAY", "1 fortnight"),
        ("LLMOPT_STATE_DIR", "state"),
        ("LLMOPT_WORKER_NAME", "worker 1"),
        ("LLMOPT_LOG_LEVEL", "loud"),
    ],
)
def test_a_broken_value_is_refused_by_its_name(variable: str, value: str) -> None:
    with pytest.raises(InvalidSettings, match=variable):
        Settings.read({variable: value})


def test_a_misspelt_variable_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InvalidSettings, match="did you mean LLMOPT_BOOTSTRAP_SERVERS"):
        Settings.read({"LLMOPT_BOOTSTRAP_SERVER": "127.0.0.1:9092"})


def test_a_variable_like_no_other_is_refused_with_all_names() -> None:
    with pytest.raises(InvalidSettings) as refused:
        Settings.read({"LLMOPT_NOPE": "1"})

    assert "did you mean" not in str(refused.value)
    assert all(name in str(refused.value) for name in VARIABLES)


def test_no_password_is_shown() -> None:
    url = "postgresql://optimizer:hunter2@db:5432/llmopt"

    assert "hunter2" not in repr(Settings.read({"LLMOPT_DATABASE_URL": url}))
    with pytest.raises(InvalidSettings) as refused:
        Settings.read({"LLMOPT_DATABASE_URL": "hunter2@db"})
    assert "hunter2" not in str(refused.value)


def test_a_child_process_that_gets_the_variables_reads_the_same_servers() -> None:
    settings = Settings.read(
        {
            "LLMOPT_BOOTSTRAP_SERVERS": "one:9092,two:9092",
            "LLMOPT_SCHEMA_REGISTRY_URL": "http://registry:8081/",
            "LLMOPT_DATABASE_URL": "postgresql://u:p@db/llmopt",
        }
    )

    assert settings == Settings.read(settings.environment())
