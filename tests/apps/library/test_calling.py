"""The command line's options are the library's keywords, with the same defaults."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import typer

import headstart
from headstart.apps.cli.main import app

COMMANDS = {
    "train": headstart.train,
    "evaluate": headstart.evaluate,
    "check": headstart.check,
    "advise": headstart.advise,
    "models": headstart.models,
    "plan": headstart.make_plan,
    "predict": headstart.predict,
    "probe": headstart.probe,
    "embed": headstart.embed,
    "shortlist": headstart.shortlist,
    "compare": headstart.compare,
    "report": headstart.report,
}
FLAGS = {
    "allow_noncommercial": ("noncommercial_weights", "refuse"),
    "find_lr": ("peak_lr", "planned"),
    "rescue": ("after_alarm", "go_on"),
    "strict": ("unreadable", "leave_out"),
    "budget": ("budget_seconds", None),
    "commercial": ("commercial_use", None),
    "pareto": ("front", "all"),
    "quick": ("extent", "full"),
    "with_images": ("images", "named"),
    "measure": ("speed", "published"),
}
"""Option of the command line -> keyword, and its value where the option is not given."""
ELSEWHERE = {
    "train": {"resume": "headstart.resume", "explain": "result.run.plan().reasons"},
    "compare": {"resume": "headstart.resume_comparison"},
    "advise": {"out": "advice.plan.to_yaml()"},
    "plan": {"out": "made.to_yaml()", "file": "headstart.Plan.read upgrades"},
    "probe": {"out": "found.to_dict()", "chart": "needs the table of the command"},
    "embed": {"out": "the features are returned; `store` is its folder"},
}
"""Options whose place in Python is another one."""
LIBRARY_ONLY = {"band_count", "progress", "observer", "seed", "store", "query", "noncommercial_weights"}
TRAIN_ONLY = {
    "lr",
    "optimizer",
    "weight_decay",
    "test_fraction",
    "test_seed",
    "validation_fraction",
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
"""None on the command line stands for the default that `Request` has."""


def test_help_shows_every_keyword_with_its_default():
    shown = inspect.signature(headstart.train)
    assert shown.parameters["strategy"].default == headstart.Request.strategy
    assert "limit_train" in shown.parameters
    assert "options" not in shown.parameters
