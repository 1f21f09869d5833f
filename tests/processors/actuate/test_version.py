from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.actuate.version import versioned
from schemas.config import LlmConfig

CONFIG = LlmConfig(version="", provider="openai", model="gpt-5", temperature=0.5)
FLOATS = st.none() | st.sampled_from((-0.0, 0, 0.5, 1, 1.0))
CONFIGS = st.builds(
    LlmConfig,
    version=st.text(max_size=3),
    provider=st.sampled_from(("a", "b")),
    model=st.sampled_from(("a", "b")),
    temperature=FLOATS,
    top_p=FLOATS,
    max_tokens=st.none() | st.integers(1, 3),
    streaming=st.none() | st.booleans(),
    parameters=st.dictionaries(st.sampled_from(("k", "l")), st.text(max_size=1), max_size=2),
)


def test_a_version_is_v_and_twelve_hexadecimal_digits() -> None:
    version = versioned(CONFIG).version

    assert ("v-", 14) == (version[:2], len(version))
    assert set(version[2:]) <= set("0123456789abcdef")


def test_a_version_does_not_depend_on_the_one_before() -> None:
    assert versioned(CONFIG) == versioned(replace(CONFIG, version="v-1"))


def test_a_whole_temperature_is_the_same_written_as_an_integer() -> None:
    assert versioned(replace(CONFIG, temperature=1)) == versioned(replace(CONFIG, temperature=1.0))


def test_the_order_of_parameters_does_not_matter() -> None:
    one = replace(CONFIG, parameters={"a": "1", "b": "2"})
    other = replace(CONFIG, parameters={"b": "2", "a": "1"})

    assert versioned(one).version == versioned(other).version


@given(CONFIGS, CONFIGS)
def test_configs_share_a_version_exactly_when_their_settings_are_equal(
    one: LlmConfig, other: LlmConfig
) -> None:
    equal = replace(one, version="") == replace(other, version="")

    assert equal == (versioned(one).version == versioned(other).version)


def test_a_setting_that_is_not_a_number_has_no_version() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        versioned(replace(CONFIG, temperature=float("nan")))
