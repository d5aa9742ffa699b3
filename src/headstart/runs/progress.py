"""Progress of steps with a known number of images, as functions that the command line or a caller passes in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[str, int], Callable[[int], object]]
"""Called with what begins and how many images or networks it has; returns a function of how many more are done."""


def no_progress(what: str, total: int) -> Callable[[int], object]:
    """Progress that nobody watches."""
    del what, total
    return lambda count: None
