"""Values as people type them."""

from __future__ import annotations

import math
import re

from headstart.errors import HeadstartError

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_seconds(text: str | None) -> float | None:
    """`90s`, `10m`, `1.5h`, `600` (seconds), `unlimited` (infinite); None stays None: nothing was said.

    Raises:
        HeadstartError: anything else.
    """
    if text is None:
        return None
    if text == "unlimited":
        return math.inf
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if found is None or float(found[1]) == 0:
        raise HeadstartError(f"--budget {text!r} is no duration", expected="such as 90s, 10m, 2h or unlimited")
    return float(found[1]) * _UNITS[found[2]]
