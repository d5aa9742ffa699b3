"""The library verbs about networks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import headstart
from headstart.errors import HeadstartError


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: headstart.shortlist("photos", library="tim"), r"library: 'tim' must be one of .* did you mean timm"),
        (lambda: headstart.shortlist("photos", max_params="many"), r"max_params 'many' is no count"),
    ],
)
def test_every_argument_is_checked(call: Callable[[], object], words: str):
    with pytest.raises(HeadstartError, match=words):
        call()
