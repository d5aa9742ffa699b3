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
        (lambda: headstart.models("resnet18", family="resnet"), r"a search has no effect together with a name"),
        (lambda: headstart.models(limit=0), r"limit=0 is not valid; expected a whole number >= 1"),
        (lambda: headstart.models(sort="sped"), r"sort: 'sped' must be one of .* did you mean speed"),
        (lambda: headstart.shortlist("photos", max_params="many"), r"max_params 'many' is no count"),
    ],
)
def test_every_argument_is_checked(call: Callable[[], object], words: str):
    with pytest.raises(HeadstartError, match=words):
        call()


def test_the_catalog_is_searched_by_keywords():
    found = headstart.models(family="resnet", max_params="12M", min_top1=69, library="torchvision")
    assert found.names == ["resnet18:IMAGENET1K_V1"]
    assert found[0].parameters < 12e6
    assert headstart.models("resnet18").names == found.names
    assert len(headstart.models(limit=3, sort="top1")) == 3
