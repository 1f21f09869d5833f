"""What is said of a value that was judged, and when it is not said again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from processors.detect.judge import ENSEMBLE, POOLED, heard, loudest
from processors.detect.layout import NEVER, Rows
from processors.detect.past import Past, Scales, badness, confidence, deviation, natural, sigma
from processors.detect.policy import DetectPolicy, rung_of
from processors.detect.series import chance
from schemas.anomaly import Anomaly, Severity
from schemas.catalog import Metric, Signal
from schemas.window import MINUTE, WindowAggregate

DETECTORS = ("robust_z", "ensemble", "several_minutes")
SEVERITIES = tuple(Severity)


@dataclass(frozen=True, slots=True)
class Seen:
    """A value of a window, on its scale and as it came."""

    value: float
    x: float
    weight: float  # independent observations behind it
    noise: float  # its standard error by itself, on its scale


def speak(policy: DetectPolicy, rows: Rows, at: int, start: int, rung: int, *, hush: bool) -> bool:
    """Whether a value is told (or, with *hush*, said to be held back); remembered if it is.

    It is repeated after the quiet time only, or when it got more severe; what was held back does
    not keep anything quiet that is not.
    """
    row, minute = rows[at], start // MINUTE
    again = (
        int(row["spoken"]) == NEVER
        or abs(minute - int(row["spoken"])) * MINUTE >= policy.quiet_ms
        or rung > int(row["rung"])
        or (bool(row["hushed"]) and not hush)
    )
    if again:
        row["spoken"], row["rung"], row["hushed"] = minute, rung, hush
    return again


def judge_again(
    policy: DetectPolicy, scale: Scales, judged: np.void, seen: Seen
) -> tuple[int, int]:
    """The rung of a value by the past that its window was judged by, NEVER when it is usual.

    Args:
        policy: When what is told.
        scale: Of the one series.
        judged: Its slot of the series.
        seen: The value.

    Returns:
        The rung, and which of DETECTORS says so. Of a window of which the ensemble, or the minutes
        together, said nothing, they say nothing.
    """
    z, _ = _z(policy, scale, judged, seen)
    bad = badness(scale, np.array([z]))
    silent = np.array([NEVER])
    word, several = silent, silent
    if 0 < judged["edge"] <= bad[0]:
        word = heard(policy, np.array([float(judged["score"])]))
    if 0 < judged["rest"] <= bad[0]:
        several = rung_of(policy, np.array([float(judged["sum"])]))
    rung, by = loudest(rung_of(policy, bad), word, several)
    return int(rung[0]), int(by[0])


def past_of(judged: np.void) -> Past:
    """What a window was judged by, [1]."""
    return Past(
        np.array([float(judged["center"])]),
        np.array([float(judged["slack"])]),
        np.array([float(judged["spread"])]),
        np.array([float(judged["weight"])]),
        np.array([int(judged["samples"])]),
    )


def _z(policy: DetectPolicy, scale: Scales, judged: np.void, seen: Seen) -> tuple[float, float]:
    """How many σ the value is out, and σ."""
    past = past_of(judged)
    sigmas = sigma(scale, past, np.array([seen.weight]), np.array([seen.noise]))
    return float(deviation(past, np.array([seen.x]), sigmas, policy.cap)[0]), float(sigmas[0])


def say(
    policy: DetectPolicy,
    which: tuple[Scales, Metric | Signal],
    window: WindowAggregate,
    judged: np.void,
    seen: Seen,
) -> Anomaly:
    """The record of a judgement, without causes and incident.

    Args:
        policy: When what is told.
        which: The scale of the one series, and its metric.
        window: Whose value it is.
        judged: A slot of the series.
        seen: The value.
    """
    scale, metric = which
    past, (z, sigmas) = past_of(judged), _z(policy, scale, judged, seen)
    ends = (float(judged["edge"]), float(judged["rest"]), policy.rungs[0])
    first = min(end for end in ends if end > 0)
    reach = past.slack + first * sigmas
    center, low, high = (
        float(natural(scale, x)[0]) for x in (past.center, past.center - reach, past.center + reach)
    )
    by = int(judged["by"])
    sure = {
        ENSEMBLE: 1.0 - chance(float(judged["score"])),
        POOLED: confidence(float(judged["sum"])),
    }
    return Anomaly(
        id=f"{window.scope}|{metric}|{window.start}",
        scope=window.scope,
        metric=str(metric),
        window=window.window,
        start=window.start,
        end=window.end,
        revision=window.revision,
        is_anomaly=True,
        severity=SEVERITIES[max(int(judged["rung"]), 0)],
        confidence=sure.get(by, confidence(z)),
        actual=seen.value,
        expected=center,
        expected_low=low,
        expected_high=high,
        deviation=z,
        detector=DETECTORS[by],
        samples=int(judged["samples"]),
    )
