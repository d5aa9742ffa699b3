"""What a caller of the library sees: bars, a function of its own, or nothing but what it must know."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest

from headstart.apps.cli.text.console import TrainingConsole
from headstart.apps.library.watching import watching
from headstart.arguments import ArgumentError
from headstart.runs.event import Event
from headstart.runs.events import CheckpointSelected
from headstart.runs.observers import Observer
from headstart.runs.warnings import OptionWithoutEffect

EVENT = OptionWithoutEffect("epochs", "feature_extraction")


class Heard(Observer):
    def __init__(self) -> None:
        self.events: list[str] = []

    def noted(self, event: Event) -> None:
        self.events.append(event.event)


def test_auto_shows_lines_on_stderr_and_tells_the_caller_s_observer(capsys: pytest.CaptureFixture[str]):
    heard = Heard()
    with watching("auto", heard) as (progress, observer):
        assert isinstance(progress.__self__, TrainingConsole)
        progress("read", 3)(1)
        observer.noted(EVENT)
    assert heard.events == ["option_without_effect"]
    captured = capsys.readouterr()
    assert "epochs has no effect" in captured.err
    assert not captured.out


def test_none_shows_nothing_but_warns_of_an_option_that_does_nothing(capsys: pytest.CaptureFixture[str]):
    with watching("none") as (progress, observer):
        progress("read", 3)(1)
    with pytest.warns(UserWarning, match="epochs has no effect: feature_extraction fits a linear probe in one go"):
        observer.noted(EVENT)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        observer.noted(CheckpointSelected("probe", "the only one"))
    assert not any(capsys.readouterr())


def test_a_function_is_told_how_far_it_is():
    told: list[tuple[str, int]] = []

    def progress(what: str, total: int) -> Callable[[int], object]:
        told.append((what, total))
        return lambda count: told.append(("done", count))

    with watching(progress) as (shown, observer):
        shown("read", 3)(2)
        observer.work_started("tune 1/2", 8)
        observer.work_done(4)
    assert told == [("read", 3), ("done", 2), ("tune 1/2", 8), ("done", 4)]


def test_another_word_is_refused():
    with (
        pytest.raises(ArgumentError, match="progress='bars' is not valid; expected one of auto, none"),
        watching("bars"),
    ):
        pass
