"""Weights of torchxrayvision: converted once, exact on grey, and what to do without the package or a network."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
import torchvision
from torch import nn

from headstart.errors import MissingExtraError, WeightsUnavailableError
from headstart.networks.backbone import pretrained
from headstart.networks.cards.finding import find_model
from headstart.networks.weights.x_rays import x_ray_file

CHOICE = find_model("densenet121:xrv-all")


class GreyDenseNet(nn.Module):
    """As torchxrayvision's: torchvision's names, one channel, 18 findings."""

    made: list[str] = []  # noqa: RUF012 - of one test

    def __init__(self, weights: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        network = torchvision.models.densenet121(num_classes=18)
        network.features.conv0 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
        self.features, self.classifier = network.features, network.classifier
        self.register_buffer("op_threshs", torch.zeros(18))
        self.made.append(weights)


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path))
    GreyDenseNet.made.clear()
    return tmp_path


def installed(monkeypatch: pytest.MonkeyPatch, network: object) -> None:
    package, models = ModuleType("torchxrayvision"), ModuleType("torchxrayvision.models")
    models.DenseNet = network  # type: ignore[attr-defined]
    package.models = models  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchxrayvision", package)


@pytest.mark.usefixtures("own_home")
def test_grey_through_three_equal_channels_gives_the_same_features(monkeypatch: pytest.MonkeyPatch):
    installed(monkeypatch, GreyDenseNet)
    network, report = pretrained(CHOICE)
    assert GreyDenseNet.made == ["densenet121-res224-all"]
    assert report.head == "missing"
    grey = torch.rand(1, 1, 64, 64)
    theirs = GreyDenseNet("again").eval()
    with torch.inference_mode():
        expected = theirs.features(grey)
        found = network.features(grey.repeat(1, 3, 1, 1))
    assert torch.allclose(found, expected, atol=1e-5)


def test_they_are_converted_once(own_home: Path, monkeypatch: pytest.MonkeyPatch):
    installed(monkeypatch, GreyDenseNet)
    first = x_ray_file(CHOICE.card)
    assert first.parent == own_home / "weights"
    assert x_ray_file(CHOICE.card) == first
    assert len(GreyDenseNet.made) == 1


@pytest.mark.usefixtures("own_home")
def test_without_the_package_the_pip_command_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "torchxrayvision", None)
    with pytest.raises(MissingExtraError, match=r"torchxrayvision is not installed; pip install .headstart\[medical\]"):
        x_ray_file(CHOICE.card)


@pytest.mark.usefixtures("own_home")
def test_without_a_network_the_folder_to_copy_is_named(monkeypatch: pytest.MonkeyPatch):
    def offline(weights: str) -> nn.Module:
        raise OSError("Name or service not known")

    installed(monkeypatch, offline)
    with pytest.raises(WeightsUnavailableError, match=r"cannot bring densenet121-res224-all.*~/\.torchxrayvision"):
        x_ray_file(CHOICE.card)
