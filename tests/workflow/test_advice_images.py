"""Looking at images: counts as `train` divides them, and what pixels and headers say."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from checkout import ROOT
from headstart.advice.rules import UNFREEZING, decide
from headstart.advice.situation import Situation
from headstart.data.checks import image_checks
from headstart.data.decoders.headers import Header
from headstart.data.sources.reading import open_source
from headstart.errors import DataError
from headstart.inspection import domain_look
from headstart.inspection.domain_guess import DomainGuess
from headstart.plan.plan import DataPlan
from headstart.plan.request import Request
from headstart.runs.progress import no_progress
from headstart.workflow import advice_images
from headstart.workflow.advice_images import inspect_images
from headstart.workflow.images import check_for_training
from headstart.workflow.plans import make_plan

FREE = dict.fromkeys(UNFREEZING, 0.0)


def test_the_count_is_that_of_the_images_train_would_learn_from(image_folder: Path):
    part = DataPlan(source=str(image_folder))
    seen = inspect_images(part, seed=0, domain="photo", similarity="high")
    roles = check_for_training(make_plan(Request(part)), no_progress).roles
    assert seen.values["images"] == len(roles.training_pool)
    assert seen.values["classes"] == len(roles.classes) == 2
    assert seen.values["median_per_class"] * 2 == len(roles.training_pool)
    assert (seen.values["channels"], seen.values["resolution"]) == (3, 40)
    assert (seen.domain, seen.reasons, seen.warnings) == (None, [], [])


def test_a_class_that_cannot_be_counted_is_named(image_folder: Path):
    (image_folder / "red").mkdir()
    seen = inspect_images(DataPlan(source=str(image_folder)), seed=0, domain="photo", similarity="high")
    assert len(seen.warnings) == 1
    assert seen.warnings[0].startswith("1 folder of a class or split without an image: red is empty")


def test_samples_count_as_samples(make_folder: Callable[..., Path]):
    folder = make_folder("many", per_class=30)
    part = DataPlan(source=str(folder), limit_train="5/class")
    assert inspect_images(part, seed=0, domain="photo", similarity="high").values["images"] == 10


def test_grey_images_and_uneven_classes_are_seen(make_folder: Callable[..., Path]):
    folder = make_folder("uneven", per_class=20)
    for path in sorted((folder / "blue").iterdir())[2:]:
        path.unlink()
    for path in folder.rglob("*.png"):
        Image.open(path).convert("L").save(path)
    seen = inspect_images(DataPlan(source=str(folder)), seed=0, domain="medical", similarity="low")
    assert seen.values["channels"] == 1
    assert seen.warnings == ["classes are uneven: 16 images of 'green', 1 of 'blue'"]


def test_one_rare_class_is_named_and_decides_nothing(make_folder: Callable[..., Path]):
    folder = make_folder("rare", classes=3, per_class=30)
    common = inspect_images(DataPlan(source=str(folder)), seed=0, domain="photo", similarity="medium")
    for path in sorted((folder / "red").iterdir())[2:]:
        path.unlink()
    seen = inspect_images(DataPlan(source=str(folder)), seed=0, domain="photo", similarity="medium")
    assert common.values["median_per_class"] == seen.values["median_per_class"] == 24
    assert seen.warnings == ["classes are uneven: 24 images of 'blue', 1 of 'red'"]
    strategies = [decide(Situation(**one.values, similarity="medium"), FREE).strategy for one in (common, seen)]
    assert strategies[0] == strategies[1]


@pytest.mark.parametrize(("few", "uneven"), [(4, False), (3, True)])
def test_classes_are_uneven_where_check_says_so(make_folder: Callable[..., Path], few: int, uneven: bool):
    """20 images of one class, 4 of the other: five times as many is the border itself, and not beyond it."""
    folder = make_folder("set/train", per_class=20).parent
    make_folder("set/val", per_class=2, seed=1)
    for path in sorted((folder / "train" / "blue").iterdir())[few:]:
        path.unlink()
    seen = inspect_images(DataPlan(source=str(folder)), seed=0, domain="photo", similarity="medium")
    dataset = open_source(str(folder / "train"))
    named = {
        finding.what for finding in image_checks.find_image_findings(dataset, image_checks.read_all(dataset.records))
    }
    assert ("imbalance" in named) == any("uneven" in warning for warning in seen.warnings) == uneven


def striped(size: tuple[int, int]) -> Image.Image:
    """Dark lines on white paper."""
    page = np.full((size[1], size[0], 3), 250, np.uint8)
    page[10::16, 6:-6] = 20
    return Image.fromarray(page)


def test_pixels_decide_the_domain_where_nobody_did(make_folder: Callable[..., Path]):
    folder = make_folder("plain", per_class=9, side=64)
    for number, path in enumerate(sorted(folder.rglob("*.png"))):
        striped((90 + number, 128)).save(path)
    for domain in (None, "auto"):
        seen = inspect_images(DataPlan(source=str(folder)), seed=0, domain=domain, similarity=0.5)
        assert (seen.domain, seen.warnings) == ("document", [])
        (reasons,) = seen.reasons
        assert reasons.path == "domain"
        assert reasons.reason.startswith("looks like document: bright ground with fine dark marks")
        assert "--domain says otherwise" in reasons.reason
    said = inspect_images(DataPlan(source=str(folder)), seed=0, domain="photo", similarity=0.5)
    assert (said.domain, said.reasons, said.warnings) == (None, [], [])


def test_what_cannot_be_told_is_said_as_unknown(make_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch):
    asked = {}

    def guess(looks: object, **named: object) -> DomainGuess:
        asked.update(named)
        return DomainGuess("unknown", 0.9, "grey")

    monkeypatch.setattr(domain_look, "guess_domain", guess)
    folder = make_folder("plain")
    seen = inspect_images(DataPlan(source=str(folder)), seed=0, domain=None, similarity=0.5)
    assert asked == {"names": ["blue", "green"], "source": "plain"}
    assert (seen.domain, seen.reasons, seen.values["domain_is"]) == (None, [], "unknown")
    (warning,) = seen.warnings
    assert warning.startswith("the domain is unknown: grey. It gets the values of photo; --domain photo, medical,")


def test_digits_are_writing():
    seen = inspect_images(DataPlan(source="digits"), seed=0, domain=None, similarity=0.5)
    assert seen.domain == "document"
    assert seen.values["classes"] == 10


def test_bands_are_from_above(image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path))  # what was seen of these files before is not kept here
    monkeypatch.setattr(domain_look, "read_header", lambda encoded: Header(64, 64, 13))
    seen = inspect_images(DataPlan(source=str(image_folder)), seed=0, domain=None)
    assert (seen.domain, seen.values["channels"]) == ("satellite", 13)


def test_unreadable_files_are_passed_over(make_folder: Callable[..., Path]):
    folder = make_folder("broken")
    for path in folder.rglob("*.png"):
        path.write_bytes(b"nothing")
    seen = inspect_images(DataPlan(source=str(folder)), seed=0, domain=None)
    assert (seen.domain, seen.values["resolution"], seen.values["channels"]) == (None, None, 3)
    assert "no image could be looked at" in seen.warnings[0]
    assert "similarity was not measured" in seen.warnings[1]


def test_similarity_is_measured_where_nobody_said_it(image_folder: Path):
    seen = inspect_images(DataPlan(source=str(image_folder)), seed=0, domain="photo")
    (reason,) = seen.reasons
    assert reason.path == "similarity"
    assert 0 <= seen.values["similarity"] <= 1
    assert f"similarity {seen.values['similarity']:.2f}" in reason.reason


def test_one_unreadable_file_does_not_switch_similarity_off(image_folder: Path):
    for path in sorted((image_folder / "green").iterdir())[:3]:
        path.write_bytes(b"no image")
    seen = inspect_images(DataPlan(source=str(image_folder)), seed=0, domain="photo")
    assert "similarity" in seen.values
    assert seen.warnings == []


def test_without_torch_similarity_is_not_measured_and_that_is_said(image_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(advice_images.importlib.util, "find_spec", lambda name: None)
    seen = inspect_images(DataPlan(source=str(image_folder)), seed=0, domain="photo")
    assert "similarity" not in seen.values
    assert "headstart[train]" in seen.warnings[0]


def test_one_class_is_refused_as_in_training(make_folder: Callable[..., Path]):
    with pytest.raises(DataError):
        inspect_images(DataPlan(source=str(make_folder("one", classes=1))), seed=0, domain=None)


@pytest.mark.realdata
@pytest.mark.slow
def test_the_guide_shows_the_similarities_of_the_real_sets(real_data: Path):
    guide = (ROOT / "docs" / "guide" / "advise.md").read_text(encoding="utf-8")
    published = re.findall(r"^\| `(\w+)` \| [^|]+ \| [\d.]+ \| ([\d.]+) \| (\w+) \| [^|]+ \|$", guide, re.MULTILINE)
    names, values = [row[0] for row in published], [float(row[1]) for row in published]
    assert names == ["hymenoptera", "rsscn7", "chest_xray", "documents", "digits"]
    assert values == sorted(values, reverse=True)  # photos, aerial images, x-rays, documents, digits
    for name, value, level in published:
        source = name if name == "digits" else str(real_data / f"{name}.tar")
        seen = inspect_images(DataPlan(source=source), seed=0, domain="photo")
        assert seen.values["similarity"] == pytest.approx(float(value), abs=0.011)
        assert f"({level})" in seen.reasons[0].reason


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "domain", "channels"),
    [("chest_xray", "medical", 1), ("rsscn7", "satellite", 3), ("wildfire_s2", "satellite", 5)],
)
def test_the_real_sets(real_data: Path, name: str, domain: str, channels: int):
    seen = inspect_images(DataPlan(source=str(real_data / f"{name}.tar")), seed=0, domain="auto", similarity=0.5)
    assert (seen.domain, seen.values["channels"]) == (domain, channels)
