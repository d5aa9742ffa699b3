"""The library verbs `evaluate` and `report`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import headstart
from headstart.errors import HeadstartError


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: headstart.evaluate("b", "photos", split="tset"), r"split: 'tset' must be one of .* did you mean test"),
        (lambda: headstart.report(["a", 3]), r"runs\[1\]: 3 must be text, a path"),
        (lambda: headstart.report("a", images="with"), r"images: 'with' must be one of named, shown"),
    ],
)
def test_every_argument_is_checked(call: Callable[[], object], words: str):
    with pytest.raises(HeadstartError, match=words):
        call()
