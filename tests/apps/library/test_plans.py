"""Plans from Python: made without training, and the advice with its steps shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import headstart
from headstart.arguments import ArgumentError


def test_a_plan_is_made_and_nothing_trained(image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    plan = headstart.make_plan(image_folder, strategy="partial", thaw=1, epochs=3, progress="none")
    assert (plan.strategy, plan.phases[1].epochs, plan.phases[1].thaw) == ("partial", 3, 1)
    assert list((tmp_path / "here").iterdir()) == []
    with pytest.raises(ArgumentError, match="did you mean strategy"):
        headstart.make_plan(image_folder, stratgy="partial")


def test_steps_of_the_advice_are_shown(image_folder: Path, monkeypatch: pytest.MonkeyPatch):
    from headstart.workflow import advising

    def recommend(data: object, *, progress: Callable[[str, int], Callable[[int], object]], **rest: object) -> str:
        progress("looking at images", 4)(4)
        return "advice"

    monkeypatch.setattr(advising, "recommend", recommend)
    told: list[str] = []

    def watch(what: str, total: int) -> Callable[[int], object]:
        told.append(f"{what} {total}")
        return lambda count: None

    assert headstart.recommend(image_folder, progress=watch) == "advice"
    assert told == ["looking at images 4"]
