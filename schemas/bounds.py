"""Between what numbers a number must lie, and how to say so."""

from __future__ import annotations

import math

Bounds = tuple[float, float, str]
SHARE: Bounds = (0.0, 1.0, "a share from 0 to 1 (0 % to 100 %)")
POINTS: Bounds = (0.0, 100.0, "points from 0 to 100")
POSITIVE: Bounds = (math.nextafter(0.0, 1.0), math.inf, "a number above 0")
ANY: Bounds = (0.0, math.inf, "a number of 0 or more")
COUNT: Bounds = (1.0, math.inf, "a number of 1 or more")
OPEN: Bounds = (math.nextafter(0.0, 1.0), math.nextafter(1.0, 0.0), "a share between 0 and 1")
NUMBER: Bounds = (-math.inf, math.inf, "a finite number")
