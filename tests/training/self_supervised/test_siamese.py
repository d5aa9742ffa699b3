"""SimSiam on a small network: its loss by hand, no gradient through the target, and collapse seen."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from headstart.networks.backbone import Classifier, build_classifier
from headstart.networks.cards.finding import find_model
from headstart.training.self_supervised.siamese import Siamese

pytest.importorskip("lightly", reason='pip install "headstart[pretrain]"')


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    made = build_classifier(
        find_model("mobilenetv3_small_050"), kind="linear", num_classes=2, seed=0, input_size=32, weights="random"
    )
    made.network.eval()
    return made


def test_the_loss_is_that_of_the_paper(classifier: Classifier) -> None:
    model = Siamese.of(classifier, seed=1)
    generator = torch.Generator().manual_seed(0)
    views = (torch.rand(6, 3, 32, 32, generator=generator), torch.rand(6, 3, 32, 32, generator=generator))
    loss, spread = model.loss(views)
    with torch.no_grad():
        z = model.projection(classifier.features(torch.cat(views)))
        p = model.prediction(z)
    cosine = nn.functional.cosine_similarity
    expected = -(cosine(p[:6], z[6:]).mean() + cosine(p[6:], z[:6]).mean()) / 2
    assert float(loss.detach()) == pytest.approx(float(expected), abs=1e-5)
    assert 0 < spread <= 1.1


def test_images_with_the_same_features_have_no_spread(classifier: Classifier) -> None:
    class Constant(nn.Module):
        def forward(self, features: torch.Tensor) -> torch.Tensor:
            return torch.ones(len(features), 512) + 0 * features.sum()

    model = Siamese.of(classifier, seed=1)
    _, spread = Siamese(classifier, Constant(), model.prediction).loss((torch.rand(4, 3, 32, 32),) * 2)
    assert spread == pytest.approx(0, abs=1e-6)


def test_heads_follow_from_the_seed_and_nothing_else_is_drawn(classifier: Classifier) -> None:
    torch.manual_seed(5)
    first = Siamese.of(classifier, seed=1).heads.state_dict()
    drawn = torch.rand(1)
    torch.manual_seed(5)
    again = Siamese.of(classifier, seed=1).heads.state_dict()
    assert torch.equal(drawn, torch.rand(1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    other = Siamese.of(classifier, seed=2).heads.state_dict()
    assert any(not torch.equal(first[name], other[name]) for name in first)
