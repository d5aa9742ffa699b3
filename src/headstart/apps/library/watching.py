"""What a caller of the library sees while it waits: the bars and lines of the command line, or nothing."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

from headstart.apps.cli.text.console import TrainingConsole
from headstart.arguments import one_of
from headstart.runs.event import Event
from headstart.runs.observers import All, Observer
from headstart.runs.progress import Progress
from headstart.runs.warnings import OptionWithoutEffect

Watch: TypeAlias = Literal["auto", "none"] | Progress
"""auto: bars and lines on stderr, in a notebook below the cell. none: nothing. Or a function that is called with what
begins and how much it is, and returns one that is called with how much was done."""


@contextmanager
def watching(watch: Watch, observer: Observer | None = None) -> Iterator[tuple[Progress, Observer]]:
    """(progress, observer) for a workflow function, while the block runs.

    Args:
        watch: See `Watch`.
        observer: Of the caller; receives the events too.

    Raises:
        ArgumentError: no such word.
    """
    own = observer or Observer()
    if callable(watch):
        yield watch, All([_Counted(watch), _Warned(), own])
    elif one_of("progress", watch, ("auto", "none")) == "none":
        yield (lambda what, total: lambda count: None), All([_Warned(), own])
    else:
        console = TrainingConsole()
        try:
            yield console.progress, All([console, own])
        finally:
            console.close()


class _Counted(Observer):
    """Tells a function of the caller's how far the work is."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tick: Callable[[int], object] = lambda count: None

    def work_started(self, what: str, total: int) -> None:
        """A new piece of work."""
        self._tick = self._progress(what, total)

    def work_done(self, count: int) -> None:
        """Some of it."""
        self._tick(count)


class _Warned(Observer):
    """What a caller must know even if nothing is shown: an option that does nothing."""

    def noted(self, event: Event) -> None:
        """A warning of Python's own."""
        if isinstance(event, OptionWithoutEffect):
            text = f"{event.option} has no effect: {event.why}"
            warnings.warn(text, UserWarning, stacklevel=2)
