"""What a judgement is published with: its causes, its incident, or why it is held back."""

from __future__ import annotations

from dataclasses import replace

from processors.detect import keys
from processors.detect.incident import join
from processors.detect.policy import DetectPolicy
from processors.detect.state import Detector, Told
from schemas.anomaly import Anomaly


def publish(
    policy: DetectPolicy, detector: Detector, which: int, anomaly: Anomaly, reason: str
) -> tuple[Detector, Anomaly]:
    """A judgement that is published for the first time.

    Args:
        policy: How far apart anomalies of one incident may be.
        detector: Of the scope.
        which: The watch, by its place.
        anomaly: Without causes and incident.
        reason: Why it was to be expected; "" when it was not.

    Returns:
        The scope, with what a revision will need to know, and the record.
    """
    causes = keys.hints(policy, detector.keys, anomaly.start, which)
    begun = (detector.incident, detector.incident_end)
    if not reason:
        begun = join(begun, anomaly, policy.gap_ms)
    told = Told(anomaly.start, anomaly.metric, begun[0], causes, reason)
    after = replace(detector, told=(*detector.told, told), incident=begun[0], incident_end=begun[1])
    return after, _with(anomaly, told)


def publish_again(detector: Detector, anomaly: Anomaly) -> Anomaly:
    """A revision of what was published, with what was said of it then."""
    for told in detector.told:
        if (told.start, told.metric) == (anomaly.start, anomaly.metric):
            return _with(anomaly, told)
    return anomaly


def _with(anomaly: Anomaly, told: Told) -> Anomaly:
    return replace(
        anomaly,
        is_anomaly=anomaly.is_anomaly and not told.reason,
        causes=told.causes,
        incident="" if told.reason else f"{anomaly.scope}|{told.incident}",
        suppressed=told.reason if anomaly.is_anomaly else "",
    )
