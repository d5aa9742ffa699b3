from __future__ import annotations

import importlib.util
import threading
from pathlib import Path
from types import ModuleType

import pytest

from data_path import Handled, PathWatch, count

CODE = """
import threading
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Data:
    source: Path


@dataclass
class Plan:
    data: Data
    seed: int


@dataclass
class Run:
    plan: Plan


def as_text(source):
    return as_path(path=Path(source))


def as_path(*, path):
    return Data(path)


def of_record(data):
    other(3)


def of_plan(plan):
    other("another")


def too_deep(run):
    pass


def other(value):
    pass


def in_a_thread(path):
    thread = threading.Thread(target=as_path, kwargs={"path": path})
    thread.start()
    thread.join()
"""


@pytest.fixture
def package(tmp_path: Path) -> ModuleType:
    (tmp_path / "flow.py").write_text(CODE)
    spec = importlib.util.spec_from_file_location("flow_of_the_test", tmp_path / "flow.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def names(found: set[tuple[str, str]]) -> set[str]:
    return {name for _, name in found}


def test_a_path_is_seen_as_text_as_a_path_and_in_records(package: ModuleType, tmp_path: Path):
    with PathWatch(Path("photos"), package=tmp_path) as watch:
        data = package.as_text("photos")
        package.of_record(data)
        plan = package.Plan(data, 0)
        package.of_plan(plan)
        package.too_deep(package.Run(plan))
    assert names(watch.given) == {"as_text", "as_path"}
    assert {"of_record", "of_plan"} <= names(watch.held)
    assert not {"other", "too_deep"} & (names(watch.held) | names(watch.given))
    assert watch.handled().modules == 1
    assert watch.handled().functions == 2


def test_threads_are_watched_and_watching_ends(package: ModuleType, tmp_path: Path):
    with PathWatch(Path("photos"), package=tmp_path) as watch:
        package.in_a_thread(Path("photos"))
    assert names(watch.given) == {"in_a_thread", "as_path"}
    package.as_text("photos")
    assert "as_text" not in names(watch.given)
    assert threading.getprofile() is None


def test_the_counts_as_text():
    assert str(Handled(2, 3, 4, 5)) == "2 and 3; with records that hold it: 4 and 5"


def test_a_training_that_fails_says_why(tmp_path: Path):
    broken = tmp_path / "src" / "headstart"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise SystemError('broken on purpose')")
    place = tmp_path / "place"
    place.mkdir()
    with pytest.raises(RuntimeError, match="broken on purpose"):
        count(tmp_path / "src", place)
