"""Looking at images: counts as `train` divides them, and what pixels and headers say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from headstart.data.headers import Header
from headstart.errors import DataError
from headstart.plan import DataPlan
from headstart.workflow import looking
from headstart.workflow.images import check_for_training
from headstart.workflow.looking import look
from headstart.workflow.plans import TrainOptions, make_plan
from headstart.workflow.progress import no_progress


def test_the_count_is_that_of_the_images_train_would_learn_from(image_folder: Path):
    part = DataPlan(source=str(image_folder))
    seen = look(part, seed=0, domain="photo", similarity="high")
    roles = check_for_training(make_plan(TrainOptions(part)), no_progress).roles
    assert seen.values["images"] == len(roles.train)
    assert seen.values["classes"] == len(roles.classes) == 2
    assert seen.values["per_class"] * 2 <= len(roles.train)
    assert (seen.values["channels"], seen.values["resolution"]) == (3, 40)
    assert (seen.domain, seen.told, seen.warnings) == (None, [], [])


def test_samples_count_as_samples(make_folder: Callable[..., Path]):
    folder = make_folder("many", per_class=30)
    part = DataPlan(source=str(folder), limit_train="5/class")
    assert look(part, seed=0, domain="photo", similarity="high").values["images"] == 10


def test_grey_images_and_uneven_classes_are_seen(make_folder: Callable[..., Path]):
    folder = make_folder("uneven", per_class=20)
    for path in sorted((folder / "blue").iterdir())[2:]:
        path.unlink()
    for path in folder.rglob("*.png"):
        Image.open(path).convert("L").save(path)
    seen = look(DataPlan(source=str(folder)), seed=0, domain="medical", similarity="low")
    assert seen.values["channels"] == 1
    assert "classes are uneven" in seen.warnings[0]


def test_pixels_decide_the_domain_where_nobody_did(make_folder: Callable[..., Path]):
    folder = make_folder("plain", per_class=9, side=64)
    for domain in (None, "auto"):
        seen = look(DataPlan(source=str(folder)), seed=0, domain=domain, similarity=0.5)
        assert seen.domain is not None or seen.warnings
        if seen.domain is not None:
            assert seen.told[0].path == "domain"
            assert "--domain says otherwise" in seen.told[0].reason


def test_digits_are_writing():
    seen = look(DataPlan(source="digits"), seed=0, domain=None, similarity=0.5)
    assert seen.domain == "document"
    assert seen.values["classes"] == 10


def test_bands_are_from_above(image_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(looking, "read_header", lambda encoded: Header(64, 64, 13))
    seen = look(DataPlan(source=str(image_folder)), seed=0, domain=None)
    assert (seen.domain, seen.values["channels"]) == ("satellite", 13)


def test_unreadable_files_are_passed_over(make_folder: Callable[..., Path]):
    folder = make_folder("broken")
    for path in folder.rglob("*.png"):
        path.write_bytes(b"nothing")
    seen = look(DataPlan(source=str(folder)), seed=0, domain=None)
    assert (seen.domain, seen.values["resolution"], seen.values["channels"]) == (None, None, 3)
    assert "no image could be looked at" in seen.warnings[0]
    assert "similarity was not measured" in seen.warnings[1]


def test_similarity_is_measured_where_nobody_said_it(image_folder: Path):
    seen = look(DataPlan(source=str(image_folder)), seed=0, domain="photo")
    (reason,) = seen.told
    assert reason.path == "similarity"
    assert 0 <= seen.values["similarity"] <= 1
    assert f"similarity {seen.values['similarity']:.2f}" in reason.reason


def test_without_torch_similarity_is_not_measured_and_that_is_said(image_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(looking.importlib.util, "find_spec", lambda name: None)
    seen = look(DataPlan(source=str(image_folder)), seed=0, domain="photo")
    assert "similarity" not in seen.values
    assert "headstart[train]" in seen.warnings[0]


def test_one_class_is_refused_as_in_training(make_folder: Callable[..., Path]):
    with pytest.raises(DataError):
        look(DataPlan(source=str(make_folder("one", classes=1))), seed=0, domain=None)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "domain", "channels"),
    [("chest_xray", "medical", 1), ("rsscn7", "satellite", 3), ("wildfire_s2", "satellite", 5)],
)
def test_the_real_sets(real_data: Path, name: str, domain: str, channels: int):
    seen = look(DataPlan(source=str(real_data / f"{name}.tar")), seed=0, domain="auto", similarity=0.5)
    assert (seen.domain, seen.values["channels"]) == (domain, channels)
