"""The Python door: the command line's options as keywords, checked, with progress that can be switched off."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

import headstart
from headstart.apps.cli.main import app
from headstart.arguments import ArgumentError
from headstart.errors import HeadstartError, PlanError
from headstart.plan.plan import Plan
from headstart.workflow.training import train as workflow

QUICK: dict[str, Any] = {"strategy": "feature_extraction", "input_size": 32}

COMMANDS = {
    "train": headstart.fit,
    "evaluate": headstart.score,
    "check": headstart.check,
    "advise": headstart.recommend,
    "plan": headstart.make_plan,
    "probe": headstart.probe,
    "embed": headstart.embed,
    "shortlist": headstart.shortlist,
    "compare": headstart.compare,
    "report": headstart.report,
}
FLAGS = {
    "allow_noncommercial": ("noncommercial_weights", "refuse"),
    "find_rate": ("peak_rates", "planned"),
    "strict": ("unreadable", "leave_out"),
    "budget": ("budget_seconds", None),
    "commercial": ("commercial_use", None),
    "pareto": ("front", "all"),
    "quick": ("extent", "full"),
    "with_images": ("images", "named"),
}
"""Option of the command line -> keyword, and its value where the option is not given."""
ELSEWHERE = {
    "train": {"resume": "headstart.resume"},
    "compare": {"resume": "headstart.resume_comparison"},
    "advise": {"out": "advice.plan.to_yaml()"},
    "plan": {"out": "made.to_yaml()"},
    "probe": {"out": "found.to_dict()", "chart": "needs the table of the command"},
    "embed": {"out": "the features are returned; `store` is its folder"},
}
"""Options whose place in Python is another one."""
LIBRARY_ONLY = {"progress", "observer", "seed", "store", "query", "noncommercial_weights"}
TRAIN_ONLY = {
    "learning_rate",
    "optimizer",
    "weight_decay",
    "report_share",
    "report_seed",
    "select_share",
    "class_weight",
    "validation",
}


def plain(value: Any) -> Any:
    """A default of either door as one and the same."""
    return None if value in (None, "", ()) else str(value)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_keywords_are_the_options_of_the_command_with_the_same_defaults(name: str):
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    keywords = dict(inspect.signature(COMMANDS[name]).parameters)
    unused = set(keywords) - LIBRARY_ONLY - (TRAIN_ONLY if name in ("train", "plan") else set())
    for option in command.params:
        if option.name == "as_json" or option.name in ELSEWHERE.get(name, {}):
            continue
        keyword, default = FLAGS.get(str(option.name), (option.name, option.default))
        assert keyword in keywords, f"{name} has the option {option.name}, headstart.{COMMANDS[name].__name__} does not"
        unused.discard(keyword)
        if option.param_type_name != "argument" and (name, keyword) not in DEFAULTS_ELSEWHERE:
            assert plain(keywords[keyword].default) == plain(default), (name, keyword)
    assert not unused, f"headstart.{COMMANDS[name].__name__} has keywords that the command lacks: {unused}"


DEFAULTS_ELSEWHERE = {("train", "strategy"), ("plan", "strategy"), ("compare", "noncommercial_weights")}
"""None on the command line stands for the default that `TrainOptions` has."""


def test_training_in_one_call_with_keywords(image_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    answer = headstart.fit(image_folder, **QUICK, seed=3, limit_train="4/class", out=tmp_path / "a")
    plan = answer.run.plan()
    assert (plan.strategy, plan.input.size, plan.seed, plan.data.limit_train) == (
        "feature_extraction",
        32,
        3,
        "4/class",
    )
    captured = capfd.readouterr()
    assert "phase 0 probe: solve the head" in captured.err
    assert not captured.out
    figures = headstart.score(answer.run.bundle, image_folder, progress="none")
    assert figures["accuracy"] == 1.0
    told: list[str] = []

    def counting(what: str, total: int) -> Callable[[int], object]:
        told.append(what)
        return lambda count: None

    assert headstart.check(image_folder, progress=counting)["images"] == 16
    assert told == ["read"]
    assert not any(capfd.readouterr())


def test_a_plan_is_taken_as_object_or_file_and_data_overrides_its_source(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    seen: list[tuple[Any, Any]] = []
    monkeypatch.setattr(workflow, "train", lambda request, **rest: seen.append((request, rest["budget_seconds"])))
    plan = headstart.partial(headstart.Request(headstart.DataPlan(source="photos"), seed=7))
    (tmp_path / "plan.yaml").write_text(plan.to_yaml())
    headstart.fit(plan, budget_seconds=60, progress="none")
    headstart.fit(plan=plan, progress="none")
    headstart.fit("other", plan=tmp_path / "plan.yaml", progress="none")
    headstart.fit(headstart.TrainOptions(headstart.DataPlan(source="photos"), epochs=2), seed=5, progress="none")
    assert [request.data.source for request, _ in seen] == ["photos", "photos", "other", "photos"]
    assert [budget for _, budget in seen] == [60, None, None, None]
    assert all(isinstance(request, Plan) and request.seed == 7 for request, _ in seen[:3])
    assert (seen[3][0].epochs, seen[3][0].seed) == (2, 5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: headstart.fit("photos", stratgy="gradual"), r"headstart\.fit has no argument 'stratgy'; .*strategy"),
        (lambda: headstart.fit("photos", budget="10m"), r"write budget_seconds=600"),
        (lambda: headstart.fit(), r"no images are given; expected DATA"),
        (
            lambda: headstart.fit("photos", plan="a.yaml", epochs=3),
            r"epochs has no effect beside a plan; change the pl",
        ),
        (lambda: headstart.fit(PLAN, plan=PLAN), r"both data and plan are plans"),
        (lambda: headstart.fit("photos", progress="bars"), r"progress: 'bars' must be one of auto, none"),
        (lambda: headstart.fit(3), r"data: 3 must be text, a path, DataPlan, TrainOptions, Plan, None"),
        (lambda: headstart.fit("photos", track="mlflow"), r"track: 'mlflow' must be a list"),
        (
            lambda: headstart.fit("photos", strategy="gradul"),
            r"strategy: 'gradul' must be one of .* did you mean gradu",
        ),
        (lambda: headstart.resume(None), r"folder: None must be text, a path"),
        (lambda: headstart.score("b", "photos", split="tset"), r"split: 'tset' must be one of .* did you mean test"),
        (lambda: headstart.check("photos", domain="photo"), r"domain has no effect without preview"),
        (
            lambda: headstart.check("photos", gruop="x"),
            r"headstart\.check has no argument 'gruop'; .*did you mean group",
        ),
        (lambda: headstart.recommend(images="800"), r"images: '800' must be a whole number, None"),
        (lambda: headstart.recommend(images=8, gpu="yes"), r"gpu: 'yes' must be one of auto, none, one"),
        (lambda: headstart.report(["a", 3]), r"runs\[1\]: 3 must be text, a path"),
        (lambda: headstart.report("a", images="with"), r"images: 'with' must be one of named, shown"),
        (
            lambda: headstart.compare("strategy", "photos"),
            r"what: 'strategy' must be one of .* did you mean strategies",
        ),
        (
            lambda: headstart.resume_comparison("x", progres="none"),
            r"has no argument 'progres'; .* did you mean progress",
        ),
    ],
)
def test_every_argument_is_checked(call: Callable[[], object], words: str):
    with pytest.raises(HeadstartError, match=words) as caught:
        call()
    assert isinstance(caught.value, PlanError | ArgumentError) or "no count" in words


PLAN = headstart.full(headstart.Request(headstart.DataPlan(source="photos")))


def test_help_shows_every_keyword_with_its_default():
    shown = inspect.signature(headstart.fit)
    assert shown.parameters["strategy"].default == headstart.TrainOptions.strategy
    assert "limit_train" in shown.parameters
    assert "options" not in shown.parameters
