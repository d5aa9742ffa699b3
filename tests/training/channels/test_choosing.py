"""The way from bands to channels is the one whose linear probe has the lowest log loss out of fold."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import tifffile

from headstart.data.band_statistics import band_statistics
from headstart.engine.known.pretrained import torch_classifier
from headstart.engine.store.training_images import TrainingImages
from headstart.input_spec import Decoding
from headstart.networks.cards.finding import find_model
from headstart.plan.plan import DataPlan
from headstart.plan.request import Request
from headstart.runs.progress import no_progress
from headstart.training.channels import choosing
from headstart.training.channels.choosing import ChannelComparison, ChannelTrial, choose_channels, methods_for
from headstart.workflow.images import check_for_training
from headstart.workflow.plans import make_plan

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> TrainingImages:
    folder = tmp_path_factory.mktemp("bands")
    for label in ("dry", "wet"):
        (folder / label).mkdir()
        for index in range(10):
            values = RNG.integers(1000, 3000, (40, 40, 4)).astype(np.uint16)
            if label == "wet":  # as bright as the other in the mean of all bands
                values[:, :, 3] += 1000
                values[:, :, 2] -= 1000
            tifffile.imwrite(folder / label / f"{index}.tif", values, photometric="minisblack", planarconfig="contig")
    plan = make_plan(Request(DataPlan(source=str(folder)), strategy="feature_extraction", input_size=32))
    data = check_for_training(plan, no_progress)
    assert data.decoding == Decoding(band_count=4)
    card = find_model(plan.model.name).card
    return TrainingImages(data.roles, replace(card.input.at_size(32), decoding=data.decoding), data.groups)


def test_the_way_that_tells_the_classes_apart_is_selected(images: TrainingImages):
    statistics = band_statistics(images.roles.train, images.spec, seed=0)
    build = partial(torch_classifier, find_model("tf_efficientnet_lite0"), num_classes=2, seed=0, size=32)
    found = choose_channels(
        lambda adapter: build(adapter=adapter), images, statistics, ("sum", "random_convolutions"), seed=0
    )
    assert found.method == "random_convolutions"
    best, other = found.trials
    assert best.log_loss < other.log_loss
    assert best.balanced_accuracy == 1
    assert (found.bands, found.images) == (4, len(images.roles.train))


def test_only_a_part_of_many_images_is_compared(images: TrainingImages, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(choosing, "_MOST_IMAGES", 8)
    statistics = band_statistics(images.roles.train, images.spec, seed=0)
    build = partial(torch_classifier, find_model("tf_efficientnet_lite0"), num_classes=2, seed=0, size=32)
    found = choose_channels(lambda adapter: build(adapter=adapter), images, statistics, ("sum", "repeat"), seed=0)
    assert found.images == 8


def test_the_reason_has_the_figures_of_all():
    trials = (ChannelTrial("learned", 0.25, 0.9), ChannelTrial("sum", 0.5, 0.75))
    assert ChannelComparison(trials, bands=5, images=1200).reason == (
        "of the ways from 5 bands to 3 channels it has the lowest log loss of linear probes, out-of-fold on 1,200 "
        "training images: 0.250 (balanced accuracy 0.900), against sum 0.500 (0.750)"
    )


def test_two_bands_have_no_map_and_an_mlp_head_reads_no_convolutions():
    assert "band_map" not in methods_for(2, head="linear")
    assert "band_map" in methods_for(3, head="linear")
    assert "random_convolutions" not in methods_for(5, head="mlp")
    assert "random_convolutions" in methods_for(5, head="multi_depth")
