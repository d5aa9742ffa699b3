"""Logits of a head in numpy are those of the network's own layers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from headstart.networks.backbone import Classifier, build_classifier
from headstart.networks.cards.finding import find_model
from headstart.networks.head_layers import HeadSite, head_layers_of, is_of_head


def classifier_of(name: str, kind: str) -> Classifier:
    made = build_classifier(find_model(name), kind=kind, num_classes=3, seed=0, weights="random")
    with torch.no_grad():
        for site in made.sites:
            for parameter in made.network.get_submodule(site.path).parameters():
                torch.nn.init.normal_(parameter, std=0.1)
    made.network.eval()
    return made


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("resnet18", "linear"),
        ("resnet18", "mlp"),
        ("deit_tiny_distilled_patch16_224", "linear"),  # two sites share the logits
        ("torchvision/squeezenet1_1", "linear"),
    ],
)
def test_logits_are_those_of_the_layers(name: str, kind: str) -> None:
    classifier = classifier_of(name, kind)
    features = np.random.default_rng(0).normal(size=(7, classifier.num_features)).astype(np.float32)
    with torch.inference_mode():
        expected = classifier.logits_from(torch.from_numpy(features)).numpy()
    found = classifier.head_layers().logits(features)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 1e-5


def test_the_logits_of_an_image_do_not_depend_on_how_many_there_are() -> None:
    head = classifier_of("resnet18", "linear").head_layers()
    features = np.random.default_rng(0).normal(size=(101, 512)).astype(np.float32)
    alone = np.concatenate([head.logits(row[None]) for row in features])
    assert np.array_equal(alone, head.logits(features))


def test_an_auxiliary_site_gives_no_logits_and_belongs_to_the_head() -> None:
    sites = [HeadSite("fc", 2, "linear", "main"), HeadSite("aux1.fc", 2, "linear", "auxiliary")]
    tensors = {"fc.weight": np.ones((1, 2)), "aux1.fc.weight": np.full((1, 2), 9.0), "fcx.weight": np.ones(1)}
    assert head_layers_of(tensors, sites, [1.0]).logits(np.ones((1, 2), np.float32)).tolist() == [[2.0]]
    assert [is_of_head(name, sites) for name in tensors] == [True, True, False]


def test_a_head_without_weights_is_said() -> None:
    with pytest.raises(KeyError, match=r"fc\.weight"):
        head_layers_of({}, [HeadSite("fc", 2, "linear", "main")], [1.0])
