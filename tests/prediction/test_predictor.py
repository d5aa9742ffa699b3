"""A bundle in use: one line to load, probabilities that add up, errors that name the file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import headstart
from headstart.errors import BundleError, DataError, MissingExtraError
from headstart.prediction.predictor import Prediction


@pytest.fixture
def bundle(image_folder: Path, tmp_path: Path, prepare: Callable) -> Path:
    from headstart.plan.plan import ProbePhase
    from headstart.prediction.bundle import save_bundle
    from headstart.training.activation_source import ActivationSource
    from headstart.training.probe.probe import fit_probe

    task = prepare(strategy="feature_extraction")
    classifier = task.classifier()
    fit_probe(ActivationSource(classifier, task.images), ProbePhase(), seed=0)
    save_bundle(tmp_path / "bundle", classifier, classes=task.images.roles.classes, spec=task.images.spec)
    return tmp_path / "bundle"


def test_one_line_loads_and_predicts(bundle: Path, image_folder: Path):
    prediction = headstart.load(bundle).predict(image_folder / "blue" / "00.png")
    assert prediction.label == "blue"
    assert list(prediction.probabilities) == ["blue", "green"]
    assert sum(prediction.probabilities.values()) == pytest.approx(1)
    assert prediction.probability == prediction.probabilities["blue"] > 0.5
    assert prediction.to_dict()["set"] == []
    assert prediction.to_dict()["unknown"] is None


def test_a_folder_among_the_files_stands_for_its_images(bundle: Path, image_folder: Path):
    found = headstart.load(bundle).predict_many([image_folder / "blue" / "00.png", image_folder / "green"])
    assert len(found) == 9
    assert {Path(p.file).parent.name for p in found[1:]} == {"green"}


def test_one_by_one_and_together_agree(bundle: Path, image_folder: Path):
    predictor = headstart.load(str(bundle))
    files = sorted((image_folder / "green").iterdir())
    together = predictor.predict_many(files)
    assert [predictor.predict(f).probability for f in files] == pytest.approx(
        [p.probability for p in together], abs=1e-5
    )


FORKS = """
import multiprocessing, sys
import torch
import headstart

torch.set_num_threads(2)
predictor = headstart.load(sys.argv[1])

def work(number):
    return [one.label for one in predictor.predict_many([sys.argv[2]])]

here = work(0)
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map_async(work, range(2)).get(timeout=100) == [here, here], len(here))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
@pytest.mark.slow
def test_workers_forked_from_a_process_that_has_predicted_predict_too(bundle: Path, image_folder: Path):
    command = [sys.executable, "-c", FORKS, str(bundle), str(image_folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True", "16"], done.stderr


def test_an_image_in_memory_is_predicted_as_its_file_is(bundle: Path, image_folder: Path):
    predictor, file = headstart.load(bundle), image_folder / "green" / "03.png"
    with Image.open(file) as image:
        opened, pixels = image.copy(), np.asarray(image)
    wanted = predictor.predict(file).probabilities
    for given in (
        str(file),
        file.read_bytes(),
        memoryview(file.read_bytes()),
        opened,
        pixels,
        pixels[:, ::1].copy("F"),
    ):
        assert predictor.predict(given).probabilities == wanted, type(given)
    assert predictor.predict(pixels).file == "images[0]"


def test_kinds_may_be_mixed_and_arrays_may_be_one_batch(bundle: Path, image_folder: Path):
    predictor, files = headstart.load(bundle), sorted((image_folder / "green").iterdir())[:3]
    arrays = [np.asarray(Image.open(file)) for file in files]
    wanted = [pytest.approx(list(p.probabilities.values()), abs=1e-5) for p in predictor.predict_many(files)]
    for batch in (np.stack(arrays), arrays, tuple(arrays), iter(arrays), [files[0], arrays[1], files[2].read_bytes()]):
        found = predictor.predict_many(batch)
        assert [list(p.probabilities.values()) for p in found] == wanted
    assert [p.file for p in found] == [str(files[0]), "images[1]", "images[2]"]
    grey = np.stack(arrays * 2)[..., 0]
    assert predictor.predict_many(grey)[1].probabilities == pytest.approx(predictor.predict(grey[1]).probabilities)
    assert predictor.predict_many([]) == []
    assert predictor.predict_many(files[0])[0].file == str(files[0])


def test_several_images_given_to_predict_are_refused(bundle: Path, image_folder: Path):
    predictor = headstart.load(bundle)
    for several in ([image_folder], np.zeros((2, 9, 9, 3), np.uint8)):
        with pytest.raises(ValueError, match=r"image is a \w+ of \d; expected one image; use predict_many"):
            predictor.predict(several)
    with pytest.raises(ValueError, match=r"images\[0\] is an array of float64 .* expected uint8 pixels"):
        predictor.predict(np.zeros((9, 9, 3)))
    with pytest.raises(DataError, match=r"images\[1\] cannot be read: not an image"):
        predictor.predict_many([np.zeros((9, 9, 3), np.uint8), b"no image"])
    with pytest.raises(TypeError, match="folder=3 is not valid; expected the path of a run or a bundle"):
        headstart.load(3)


def test_a_folder_or_pattern_given_to_predict_says_predict_many(bundle: Path, image_folder: Path):
    predictor = headstart.load(bundle)
    for several in (image_folder, image_folder / "blue" / "*.png"):
        with pytest.raises(DataError, match=r"expected one image file; use predict_many"):
            predictor.predict(several)
    assert predictor.predict(image_folder / "blue" / "*03.png").label == "blue"


def test_a_prediction_and_a_predictor_are_one_short_line(bundle: Path):
    many = {f"class {number}": (number + 1) / 55 for number in range(10)}
    prediction = Prediction("a.jpg", "class 9", 10 / 55, many)
    assert prediction.top(2) == [("class 9", 10 / 55), ("class 8", 9 / 55)]
    assert len(prediction.top(99)) == 10
    assert repr(prediction) == "Prediction(a.jpg: class 9 0.182, class 8 0.164, class 7 0.145, ...)"
    assert repr(headstart.load(bundle)).startswith("Predictor(2 classes: blue, green; ")
    assert repr(headstart.load(bundle)).endswith(f"{bundle})")


def test_a_run_without_a_bundle_says_how_to_finish_it(tmp_path: Path):
    (tmp_path / "plan.resolved.yaml").touch()
    with pytest.raises(BundleError, match=r"has no bundle yet: .*; finish it with: headstart train --resume"):
        headstart.load(tmp_path)


def test_an_unreadable_file_is_named(bundle: Path, tmp_path: Path):
    (tmp_path / "x.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"x\.jpg cannot be read"):
        headstart.load(bundle).predict(tmp_path / "x.jpg")


def test_no_bundle_is_said(tmp_path: Path):
    with pytest.raises(BundleError, match="is no bundle"):
        headstart.load(tmp_path)


def test_without_torch_the_pip_command_is_said(bundle: Path, monkeypatch: pytest.MonkeyPatch):
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr("importlib.import_module", missing)
    monkeypatch.setenv("HEADSTART_HOME", str(bundle / "home"))  # in which no network is known
    from headstart.prediction.predictor import Predictor

    with pytest.raises(MissingExtraError, match=r'torch is not installed; pip install "headstart\[train\]"'):
        Predictor(bundle)
