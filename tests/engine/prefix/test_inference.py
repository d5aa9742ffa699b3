"""Logits and features of images: the same by every engine, in flat memory, in the order of the records."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from headstart.data.loading import read_pixels, read_view
from headstart.data.preprocess import evaluation_view
from headstart.data.sources.reading import ImageRecord
from headstart.engine.prefix import inference, running
from headstart.engine.prefix.inference import features_of, logits_of, pooled_features
from headstart.engine.prefix.running import BATCH_IMAGES
from headstart.engine.prefix.torch_engine import EagerEngine

Images = npt.NDArray[np.float32]


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_features_through_the_head_are_the_logits(prepare: Callable):
    task = prepare()
    classifier = task.classifier()
    torch.nn.init.normal_(classifier.head.weight)
    records = task.images.roles.train
    features = features_of(classifier, records, task.images.spec)
    logits = logits_of(classifier, records, task.images.spec)
    assert features.shape == (len(records), 1280)
    with torch.no_grad():
        assert np.allclose(classifier.head(torch.from_numpy(features)).numpy(), logits, atol=1e-5)


def test_batches_change_no_output_and_progress_counts_every_image(prepare: Callable, make_folder: Callable):
    folder = make_folder("many", classes=2, per_class=BATCH_IMAGES)
    task = prepare(folder=folder)
    classifier, counted = task.classifier(), []
    records = task.images.roles.training_pool
    assert len(records) > BATCH_IMAGES
    together = features_of(classifier, records, task.images.spec, on_images=counted.append)
    assert sum(counted) == len(records)
    alone = evaluation_view(read_pixels(records[-1]), task.images.spec)
    with torch.inference_mode():
        one = classifier.features(torch.from_numpy(alone[None]).permute(0, 3, 1, 2)).numpy()
    assert np.allclose(together[-1], one[0], atol=1e-4)


def test_training_mode_left_on_does_not_reach_the_outputs(prepare: Callable):
    task = prepare(strategy="feature_extraction", head="mlp")
    classifier = task.classifier()
    torch.nn.init.normal_(classifier.head[-1].weight)
    first = logits_of(classifier, task.images.roles.train, task.images.spec)
    classifier.network.train()
    assert np.array_equal(first, logits_of(classifier, task.images.roles.train, task.images.spec))


def test_logits_of_many_images_by_an_engine_are_those_of_the_network(
    make_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    from headstart.data.sources.reading import open_source
    from headstart.networks.backbone import build_classifier
    from headstart.networks.cards.finding import find_model

    folder = make_folder("many", classes=2, per_class=40, side=32)
    records = list(open_source(str(folder)).records)
    choice = find_model("tf_efficientnet_lite0")
    classifier = build_classifier(choice, kind="linear", num_classes=2, seed=0)
    torch.nn.init.normal_(classifier.head.weight, std=0.1)
    spec = choice.card.input.at_size(32)
    chosen_for: list[int] = []
    choose = inference.choose_engine
    monkeypatch.setattr(
        inference, "choose_engine", lambda *a, **o: chosen_for.append(o["images_to_come"]) or choose(*a, **o)
    )
    found = inference.logits_by_engine(classifier, records, spec)
    expected = inference.logits_of(classifier, records, spec)
    assert chosen_for == [80]
    assert np.abs(found - expected).max() <= 1e-3 * np.abs(expected).max()
    inference.logits_by_engine(classifier, records[:5], spec)
    assert chosen_for == [80]  # a few images are not worth a choice


def test_logits_of_many_images_hold_no_features_of_all_of_them(prepare: Callable, monkeypatch: pytest.MonkeyPatch):
    """Else a report on 60,000 images would take 300 MB of features twice."""
    task = prepare()
    classifier = task.classifier()
    torch.nn.init.normal_(classifier.head.weight, std=0.1)
    image = read_view(task.images.roles.train[0], task.images.spec)
    row = EagerEngine(pooled_features(classifier)).run(image[None])[0]
    count = 6000

    class Same:
        name, version, image_threads = "onnxruntime", "", 2

        def run(self, images: Images) -> tuple[Images, ...]:
            return (np.repeat(row, len(images), axis=0),)

    monkeypatch.setattr(inference, "choose_engine", lambda *given, **named: Same())
    for module in (inference, running):
        monkeypatch.setattr(module, "read_view", lambda record, spec: image)
    records = [ImageRecord(str(number), "", "all") for number in range(count)]
    tracemalloc.start()
    found = inference.logits_by_engine(classifier, records, task.images.spec)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.shape == (count, 2)
    assert np.allclose(found, found[0], atol=1e-4)
    assert peak < 0.2 * count * row.nbytes
