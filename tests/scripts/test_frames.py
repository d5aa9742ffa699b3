from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from frames import count, frames_to_forward, make_images

CODE = '''
import functools

import torch
from torch import nn


class Part(nn.Module):
    """Runs a module of the network: a step on the way to it."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x)


NETWORK = nn.Sequential(nn.Linear(2, 2), nn.ReLU())


def checked(function):
    @functools.wraps(function)
    def call(*args, **kwargs):
        return function(*args, **kwargs)

    return call


@checked
def train(steps, cut=False):
    evaluate()
    fit(steps, Part(NETWORK) if cut else NETWORK)


def fit(steps, network):
    for _ in range(steps):
        step(network)


def step(network):
    network(torch.ones(1, 2)).sum().backward()


def evaluate():
    with torch.no_grad():
        deeper()


def deeper():
    fit_like()


def fit_like():
    one_more()


def one_more():
    NETWORK(torch.ones(1, 2))
'''


@pytest.fixture
def package(tmp_path: Path) -> tuple[Path, ModuleType]:
    path = tmp_path / "loop.py"
    path.write_text(CODE)
    spec = importlib.util.spec_from_file_location("loop_of_the_test", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return tmp_path, module


def test_frames_lie_between_the_public_function_and_the_network(package: tuple[Path, ModuleType]):
    folder, module = package
    assert frames_to_forward(module.train, 2, package=folder) == ["loop.fit", "loop.step"]


def test_our_own_modules_are_steps_on_the_way(package: tuple[Path, ModuleType]):
    folder, module = package
    found = frames_to_forward(module.train, 1, package=folder, cut=True)
    assert found == ["loop.fit", "loop.step", "loop.Part.forward"]


def test_callers_above_the_public_function_do_not_count(package: tuple[Path, ModuleType]):
    folder, module = package
    outer = functools.wraps(module.fit)(lambda *args: module.fit(*args))
    assert frames_to_forward(outer, 1, module.NETWORK, package=folder) == ["loop.step"]


def test_without_a_training_step_there_is_no_figure(package: tuple[Path, ModuleType]):
    folder, module = package
    with pytest.raises(RuntimeError, match="no training step"):
        frames_to_forward(module.train, 0, package=folder)


def test_images_are_made_in_class_folders(tmp_path: Path):
    made = make_images(tmp_path / "photos")
    assert sorted(path.name for path in made.iterdir()) == ["class_0", "class_1", "class_2"]
    assert len(list(made.rglob("*.png"))) == 36


def test_a_training_that_fails_says_why(tmp_path: Path):
    broken = tmp_path / "src" / "headstart"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise SystemError('broken on purpose')")
    place = tmp_path / "place"
    place.mkdir()
    with pytest.raises(RuntimeError, match="broken on purpose"):
        count(tmp_path / "src", "pixels", place)
