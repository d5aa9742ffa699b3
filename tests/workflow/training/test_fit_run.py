"""A run folder is trained in: what is logged first, and how its errors say what to do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from headstart.errors import DataError, Interrupted, UnreachableError
from headstart.runs.warnings import AdviceWarning
from headstart.training import loop
from headstart.workflow.training.build import build_training
from headstart.workflow.training.fit_run import fit_run


def fit_of(task: Any, **options: Any) -> Any:
    built = build_training(task.plan, task.choice, task.data)
    return fit_run(built, task.run, trackers=(), observer=None, started=time.monotonic(), **options)


def test_notes_from_before_the_run_come_first_in_its_log(prepare: Callable[..., Any]):
    task = prepare(strategy="feature_extraction")
    result = fit_of(task, notes=[AdviceWarning("few images")])
    assert result.run.events()[0].event == AdviceWarning("few images")
    assert result.bundle.is_dir()
    assert result.metrics == task.run.metrics()


@pytest.mark.parametrize(
    ("raised", "kind", "words"),
    [
        (DataError("a.png cannot be read", remedy="restore it"), DataError, "a.png cannot be read; restore it; then "),
        (UnreachableError("no network"), UnreachableError, "no network; "),
        (KeyboardInterrupt(), Interrupted, "stopped at once; what was saved last is whole; "),
    ],
)
def test_errors_name_the_command_that_resumes_the_run(
    prepare: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    raised: BaseException,
    kind: type[Exception],
    words: str,
):
    def fails(training: object) -> None:
        raise raised

    monkeypatch.setattr(loop, "fit", fails)
    task = prepare(strategy="feature_extraction")
    with pytest.raises(kind) as caught:
        fit_of(task)
    assert str(caught.value) == f"{words}go on with: headstart train --resume {task.run.folder}"
