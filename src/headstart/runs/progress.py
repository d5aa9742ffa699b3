"""How steps tell a door how far they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[str, int], Callable[[int], object]]
"""Called with what begins and how many images or networks it has; the answer is called with how many are done."""


def no_progress(what: str, total: int) -> Callable[[int], object]:
    """For those who do not watch."""
    del what, total
    return lambda count: None
