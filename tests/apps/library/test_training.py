"""The library verbs `train`, `resume` and `make_plan`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import headstart
from headstart.arguments import ArgumentError
from headstart.errors import HeadstartError
from headstart.plan.plan import Plan
from headstart.workflow.training import train as workflow

QUICK: dict[str, Any] = {"strategy": "feature_extraction", "input_size": 32}


def test_training_in_one_call_with_keywords(image_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    answer = headstart.train(image_folder, **QUICK, seed=3, limit_train="4/class", out=tmp_path / "a")
    plan = answer.run.plan()
    assert (plan.strategy, plan.input.size, plan.seed, plan.data.limit_train) == (
        "feature_extraction",
        32,
        3,
        "4/class",
    )
    captured = capfd.readouterr()
    assert "phase 0 probe: fits the head on frozen features" in captured.err
    assert not captured.out
    figures = headstart.evaluate(answer.run.bundle, image_folder, progress="none")
    assert figures.accuracy == 1.0
    told: list[str] = []

    def counting(what: str, total: int) -> Callable[[int], object]:
        told.append(what)
        return lambda count: None

    assert headstart.check(image_folder, progress=counting, checks="files").images == 16
    assert told == ["read"]
    assert not any(capfd.readouterr())


def test_a_plan_is_taken_as_object_or_file_and_data_overrides_its_source(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    seen: list[tuple[Any, Any]] = []
    monkeypatch.setattr(workflow, "train", lambda request, **rest: seen.append((request, rest["budget_seconds"])))
    plan = headstart.partial(headstart.Request(headstart.DataPlan(source="photos"), seed=7))
    (tmp_path / "plan.yaml").write_text(plan.to_yaml())
    headstart.train(plan, budget_seconds=60, progress="none")
    headstart.train(plan=plan, progress="none")
    headstart.train("other", plan=tmp_path / "plan.yaml", progress="none")
    headstart.train(headstart.Request(headstart.DataPlan(source="photos"), epochs=2), seed=5, progress="none")
    assert [request.data.source for request, _ in seen] == ["photos", "photos", "other", "photos"]
    assert [budget for _, budget in seen] == [60, None, None, None]
    assert all(isinstance(request, Plan) and request.seed == 7 for request, _ in seen[:3])
    assert (seen[3][0].epochs, seen[3][0].seed) == (2, 5)


def test_a_plan_is_made_and_nothing_trained(image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    plan = headstart.make_plan(image_folder, strategy="partial", unfreeze=1, epochs=3, progress="none")
    assert (plan.strategy, plan.phases[1].epochs, plan.phases[1].unfreeze) == ("partial", 3, 1)
    assert list((tmp_path / "here").iterdir()) == []
    with pytest.raises(ArgumentError, match="did you mean strategy"):
        headstart.make_plan(image_folder, stratgy="partial")


PLAN = headstart.full(headstart.Request(headstart.DataPlan(source="photos")))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: headstart.train("photos", stratgy="gradual"),
            r"headstart\.train has no argument 'stratgy'; .*strat",
        ),
        (lambda: headstart.train("photos", budget="10m"), r"write budget_seconds=600"),
        (lambda: headstart.train(), r"no images are given; expected DATA"),
        (
            lambda: headstart.train("photos", plan="a.yaml", epochs=3),
            r"epochs has no effect together with a plan; change the pl",
        ),
        (lambda: headstart.train(PLAN, plan=PLAN), r"both data and plan are plans"),
        (lambda: headstart.train("photos", progress="bars"), r"progress: 'bars' must be one of auto, none"),
        (lambda: headstart.train(3), r"data: 3 must be text, a path, DataPlan, Request, Plan, None"),
        (lambda: headstart.train("photos", track="mlflow"), r"track: 'mlflow' must be a list"),
        (
            lambda: headstart.train("photos", strategy="gradul"),
            r"strategy: 'gradul' must be one of .* did you mean gradu",
        ),
        (lambda: headstart.resume(None), r"folder: None must be text, a path"),
    ],
)
def test_every_argument_is_checked(call: Callable[[], object], words: str):
    with pytest.raises(HeadstartError, match=words):
        call()
