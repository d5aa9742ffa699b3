"""Epochs of pretraining: order and views follow from the seed, the learning rate falls, nothing is drawn twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headstart.data.sources.reading import open_source
from headstart.errors import HeadstartError
from headstart.networks.backbone import build_classifier
from headstart.networks.cards.finding import find_model
from headstart.training.self_supervised.epochs import SelfSupervisedTraining
from headstart.training.self_supervised.settings import PretrainSettings
from headstart.training.self_supervised.siamese import Siamese
from headstart.training.stopping import StopRequest

pytest.importorskip("lightly", reason='pip install "headstart[pretrain]"')
SETTINGS = PretrainSettings(2, 4, 1e-3, 1e-4, "train", "strong", "horizontal", 0)


def made(folder: Path, file: Path, settings: PretrainSettings = SETTINGS) -> SelfSupervisedTraining:
    choice = find_model("mobilenetv3_small_050")
    built = build_classifier(choice, kind="linear", num_classes=2, seed=0, input_size=32, weights="random")
    spec = choice.card.input.at_size(32)
    return SelfSupervisedTraining(
        Siamese.of(built, seed=0), open_source(str(folder)).records[:10], spec, settings, file
    )


def test_the_same_seed_gives_the_same_losses(image_folder: Path, tmp_path: Path) -> None:
    rates: list[float] = []
    first = made(image_folder, tmp_path / "a.pt")
    assert first.steps_an_epoch == 2, "ten images make two batches of four"
    assert (
        first.run(StopRequest(), on_images=lambda _: rates.append(first._optimizer.param_groups[0]["lr"])) == "finished"
    )
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == SETTINGS.lr
    assert first._optimizer.param_groups[1]["lr"] == pytest.approx(10 * rates[-1])
    again, other = (
        made(image_folder, tmp_path / "b.pt"),
        made(image_folder, tmp_path / "c.pt", replace(SETTINGS, seed=1)),
    )
    for training in (again, other):
        training.run(StopRequest())
    losses = [[epoch.loss for epoch in one.progress.done] for one in (first, again, other)]
    assert losses[0] == losses[1] != losses[2]


def test_two_views_of_an_image_differ(image_folder: Path, tmp_path: Path) -> None:
    training = made(image_folder, tmp_path / "a.pt")
    pair = training._two_views(training.records[0])
    assert pair.shape == (32, 32, 6)
    assert not np.array_equal(pair[..., :3], pair[..., 3:])
    assert np.array_equal(pair, training._two_views(training.records[0]))


def test_a_loss_that_is_no_number_ends_it_with_the_way_out(image_folder: Path, tmp_path: Path) -> None:
    training = made(image_folder, tmp_path / "a.pt")
    next(iter(training.model.trained())).data.fill_(float("nan"))
    with pytest.raises(HeadstartError, match=r"the loss is nan in step 0 of epoch 1.*lower --lr"):
        training.run(StopRequest())
