"""The loop against an independent one: twenty-five lines of plain torch give the same weights."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from conftest import make_images
from headstart.data.loading import read_view
from headstart.plan.plan import Plan
from headstart.training.checkpoint import load_state
from headstart.training.loop import fit
from headstart.training.training import Training

RATES = {"layer3": 1e-4, "layer4": 3e-4, "head": 1e-3}
"""Layer group -> peak learning rate; conv1 to layer2 stay frozen."""
LIBRARY_NAMES = {"layer3": "layer3", "layer4": "layer4", "head": "fc"}
EPOCHS, BATCH, SEED, WEIGHT_DECAY, FINAL_RATE = 2, 4, 5, 0.02, 1e-6


def reference_weights(network: nn.Module, images_N: Tensor, labels_N: Tensor) -> dict[str, Tensor]:
    """The network's state after two epochs of AdamW under a cosine, with nothing of headstart in it."""
    for parameter in network.parameters():
        parameter.requires_grad = False
    groups = []
    for group, peak in RATES.items():
        learned = list(network.get_submodule(LIBRARY_NAMES[group]).parameters())
        for parameter in learned:
            parameter.requires_grad = True
        groups.append({"params": learned, "peak": peak})
    optimizer = torch.optim.AdamW(groups, lr=0.0, weight_decay=WEIGHT_DECAY, foreach=False)
    network.train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()  # pretrained statistics: what was measured on ImageNet normalises
    steps_per_epoch = math.ceil(len(images_N) / BATCH)
    for step in range(EPOCHS * steps_per_epoch):
        epoch, in_epoch = divmod(step, steps_per_epoch)
        order = np.random.default_rng((SEED, 0, epoch)).permutation(len(images_N))
        rows = np.array_split(order, steps_per_epoch)[in_epoch]
        for group in optimizer.param_groups:
            share = (1 + math.cos(math.pi * step / (EPOCHS * steps_per_epoch))) / 2
            group["lr"] = FINAL_RATE + (group["peak"] - FINAL_RATE) * share
        loss = nn.functional.cross_entropy(network(images_N[rows]), labels_N[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.state_dict()


def as_float64(network: nn.Module) -> nn.Module:
    """The network in float64, which takes float32 images."""
    network.double().register_forward_pre_hook(lambda module, images: (images[0].double(),))
    return network


@pytest.mark.slow
def test_ten_steps_give_the_weights_of_an_independent_plain_torch_loop(prepare: Callable, tmp_path):
    folder = make_images(tmp_path / "photos", per_class=14)
    task = prepare(folder=folder, model="resnet18", strategy="full", seed=SEED, epochs=EPOCHS, augmentation="none")
    raw = task.plan.model_dump(mode="json")
    (phase,) = [one for one in raw["phases"] if one["kind"] == "train"]
    raw["phases"] = [phase | {"lr_by_group": RATES, "head_refit_views": 0, "batch_norm": "pretrained_statistics"}]
    raw["phases"][0]["schedule"] = {"name": "cosine", "final_lr": FINAL_RATE}
    raw["optimizer"] = {"name": "adamw", "weight_decay": WEIGHT_DECAY}
    task.plan = Plan.from_dict(raw)
    # No file of weights is read here. A plan made by hand may not freeze the statistics of random weights; a test may.
    task.plan = task.plan.model_copy(update={"model": task.plan.model.model_copy(update={"weights": "random"})})
    records = task.images.roles.train
    assert EPOCHS * math.ceil(len(records) / BATCH) == 10
    images = torch.from_numpy(np.stack([read_view(record, task.images.spec) for record in records])).permute(0, 3, 1, 2)
    classes = sorted({record.label for record in records})
    labels = torch.tensor([classes.index(record.label) for record in records])
    start = as_float64(task.classifier().network)
    before = {name: tensor.clone() for name, tensor in start.state_dict().items()}
    expected = reference_weights(start, images, labels)

    classifier = task.classifier()
    as_float64(classifier.network)
    fit(Training(task.plan, classifier, task.images, run=task.run))

    found = load_state(task.run.checkpoint).network
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.allclose(found[name], tensor, rtol=1e-10, atol=1e-12), name
    moved = {name.split(".")[0] for name in expected if not torch.equal(expected[name], before[name])}
    assert moved == {"layer3", "layer4", "fc"}
