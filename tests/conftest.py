"""Tiny images made here, and the way to the real ones."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from local_host import home, host, nobody, outside

__all__ = ["home", "host", "nobody", "outside"]  # a server of weights on this machine; no test asks any other

COLOURS = {"blue": (40, 60, 200), "green": (40, 180, 60), "red": (200, 50, 40)}


def make_images(root: Path, *, classes: int = 2, per_class: int = 8, side: int = 40, seed: int = 0) -> Path:
    """Class folders of noisy coloured squares: easy to tell apart, no two the same."""
    rng = np.random.default_rng(seed)
    for name in list(COLOURS)[:classes]:
        folder = root / name
        folder.mkdir(parents=True)
        for index in range(per_class):
            noise = rng.normal(0, 30, (side, side, 3)) + COLOURS[name]
            Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8)).save(folder / f"{index:02d}.png")
    return root


@pytest.fixture(scope="session", autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests store and export stays out of the user's cache, and nothing of the user's decides a test."""
    before = os.environ.get("HEADSTART_HOME")
    os.environ["HEADSTART_HOME"] = str(tmp_path_factory.mktemp("headstart_home"))
    yield
    if before is None:
        del os.environ["HEADSTART_HOME"]
    else:
        os.environ["HEADSTART_HOME"] = before


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """Two classes of eight images."""
    return make_images(tmp_path / "images")


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder of images under a name."""

    def make(name: str, **options: int) -> Path:
        return make_images(tmp_path / name, **options)

    return make


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real image sets."""
    folder = os.environ.get("HEADSTART_DATA")
    if not folder:
        pytest.skip("HEADSTART_DATA is not set: it names the folder of the real image sets")
    return Path(folder)


@pytest.fixture
def command() -> list[str]:
    """The command line as a user types it."""
    return [sys.executable, "-m", "headstart"]


class Prepared:
    """A resolved plan with its images and a new network: the arguments of `fit`."""

    def __init__(self, folder: Path, run_folder: Path, **options: object) -> None:
        from headstart.engine.store.training_images import TrainingImages
        from headstart.networks.backbone import group_names_of
        from headstart.networks.cards.finding import find_model
        from headstart.plan.plan import DataPlan
        from headstart.plan.request import Request
        from headstart.runs.folder import Run
        from headstart.runs.progress import no_progress
        from headstart.workflow.images import check_for_training
        from headstart.workflow.plans import make_plan
        from run_values import run_data

        values = {"strategy": "probe_then_tune", "input_size": 32, "batch_size": 4, **options}
        plan = make_plan(Request(DataPlan(source=str(folder)), **values))
        self.choice = find_model(plan.model.name)
        self.data = check_for_training(plan, no_progress)
        card = self.choice.card
        groups = group_names_of(self.choice, input_size=32, grain=plan.model.grain)
        self.plan = plan.resolved(model_name=card.name, input_size=224, group_names=groups)
        self.images = TrainingImages(self.data.roles, card.input.at_size(32), self.data.groups)
        self.run = Run.create(run_folder, given=plan, resolved=self.plan, data=run_data())

    def classifier(self):
        """A fresh network with the weights and the grain of the plan."""
        from headstart.engine.prefix.depth_features import with_depths
        from headstart.networks.backbone import build_classifier

        kind = self.plan.head.kind
        made = build_classifier(
            self.choice,
            kind="linear" if kind == "multi_depth" else kind,
            num_classes=len(self.data.roles.classes),
            seed=self.plan.seed,
            input_size=32,
            weights=self.plan.model.weights,
            grain=self.plan.model.grain,
        )
        return with_depths(made, 32) if kind == "multi_depth" else made


@pytest.fixture
def prepare(image_folder: Path, tmp_path: Path) -> Callable[..., Prepared]:
    """Makes a small training task under a run name."""

    def make(name: str = "run", folder: Path | None = None, **options: object) -> Prepared:
        return Prepared(folder or image_folder, tmp_path / name, **options)

    return make


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core, which finds what people who cannot see or point would stumble over."""
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
