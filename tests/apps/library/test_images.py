"""The library verbs about images before a training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import headstart
from headstart.errors import HeadstartError


def test_steps_of_the_advice_are_shown(image_folder: Path, monkeypatch: pytest.MonkeyPatch):
    from headstart.workflow import advising

    def advise(data: object, *, progress: Callable[[str, int], Callable[[int], object]], **rest: object) -> str:
        progress("looking at images", 4)(4)
        return "advice"

    monkeypatch.setattr(advising, "advise", advise)
    told: list[str] = []

    def watch(what: str, total: int) -> Callable[[int], object]:
        told.append(f"{what} {total}")
        return lambda count: None

    assert headstart.advise(image_folder, progress=watch) == "advice"
    assert told == ["looking at images 4"]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: headstart.probe("photos", allow_noncommercial=True), r"write noncommercial_weights='allow'"),
        (lambda: headstart.embed("photos", precision="float8"), r"precision: 'float8' must be one of .* float"),
        (lambda: headstart.check("photos", domain="photo"), r"domain has no effect without preview"),
        (
            lambda: headstart.check("photos", gruop="x"),
            r"headstart\.check has no argument 'gruop'; .*did you mean group",
        ),
        (lambda: headstart.advise(images="800"), r"images: '800' must be a whole number, None"),
        (lambda: headstart.advise(images=8, gpu="yes"), r"gpu: 'yes' must be one of auto, none, one"),
    ],
)
def test_every_argument_is_checked(call: Callable[[], object], words: str):
    with pytest.raises(HeadstartError, match=words):
        call()
