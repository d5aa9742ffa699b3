"""What an error says, how it exits, and how near a typo is to a known name."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from headstart.errors import (
    BundleError,
    DataError,
    DiskFullError,
    FrozenMovedError,
    HeadstartError,
    Interrupted,
    MissingExtraError,
    ModelError,
    PlanError,
    RunError,
    nearest,
    require,
)


@pytest.mark.parametrize(
    ("expected", "remedy", "message"),
    [
        ("", "", "3 images found"),
        ("at least 4", "", "3 images found; expected at least 4"),
        ("", "add images", "3 images found; add images"),
        ("at least 4", "add images", "3 images found; expected at least 4; add images"),
    ],
)
def test_message_joins_the_parts_that_are_there(expected: str, remedy: str, message: str) -> None:
    error = HeadstartError("3 images found", expected=expected, remedy=remedy)
    assert str(error) == message
    assert (error.found, error.expected, error.remedy) == ("3 images found", expected, remedy)


def test_every_error_is_the_users_and_exits_with_one_but_a_stop_with_130() -> None:
    kinds = [DataError, ModelError, RunError, DiskFullError, FrozenMovedError, BundleError, MissingExtraError]
    assert {kind("x").exit_code for kind in kinds} == {1}
    assert PlanError(["a: b"]).exit_code == 1
    assert Interrupted("stopped").exit_code == 130
    assert all(issubclass(kind, HeadstartError) for kind in [*kinds, PlanError, Interrupted])
    assert issubclass(DiskFullError, RunError)
    assert issubclass(FrozenMovedError, RunError)


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        (["seed: -1 must be >= 0"], "p.yaml has 1 fault: seed: -1 must be >= 0"),
        (["a: x", "b: y"], "p.yaml has 2 faults: a: x | b: y"),
    ],
)
def test_plan_error_counts_and_lists_its_faults(faults: list[str], message: str) -> None:
    error = PlanError(faults, source="p.yaml")
    assert str(error) == message
    assert error.faults == tuple(faults)


@pytest.mark.parametrize("typo", ["resnet81", "RESNET81", "resnt18"])
def test_nearest_offers_the_name_that_was_meant(typo: str) -> None:
    assert nearest(typo, ["vit_tiny", "resnet18", "xyz"]) == "did you mean resnet18?"


def test_nearest_offers_at_most_count_names_and_nothing_for_nonsense() -> None:
    known = ["resnet18", "resnet34", "resnet50", "resnet101"]
    assert nearest("resnet", known, count=2).count("resnet") == 2
    assert nearest("resnet", known).count("resnet") == 3
    assert nearest("0000", known) == ""
    assert nearest("resnet", []) == ""


def test_require_hands_back_the_module() -> None:
    assert require("json", extra="train") is json


def test_require_names_the_missing_library_and_the_pip_command() -> None:
    with pytest.raises(MissingExtraError) as caught:
        require("a_library_nobody_has", extra="serve")
    assert str(caught.value) == 'a_library_nobody_has is not installed; pip install "headstart[serve]"'
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_require_names_the_library_that_an_installed_one_misses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "halfway_installed.py").write_text("import deep_dependency_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingExtraError, match=r"deep_dependency_nobody_has is not installed.*headstart\[web\]"):
        require("halfway_installed", extra="web")


def test_require_lets_a_broken_module_show_its_own_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_inside.py").write_text("raise RuntimeError('its own fault')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RuntimeError, match="its own fault"):
        require("broken_inside", extra="web")


@pytest.mark.parametrize(
    "error",
    [
        DataError("3 images", expected="4", remedy="add one"),
        PlanError(["seed: -1 must be >= 0", "unfreeze: 9"], source="plan.yaml"),
        Interrupted("stopped"),
    ],
)
def test_an_error_of_a_worker_process_arrives_as_it_was(error: HeadstartError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)
