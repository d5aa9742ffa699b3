"""MixUp and CutMix against their definitions, draw by draw."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from headstart.training.augmentation.mixup import Mixing, batch_loss, draw_mixing, image_losses

X = torch.arange(24, dtype=torch.float32).reshape(4, 3, 2, 1)
LABELS = torch.tensor([0, 1, 2, 1])


def test_without_alpha_nothing_is_mixed():
    mixing = draw_mixing((4, 3, 2, 1), mixup_alpha=0, cutmix_alpha=0.0, seed=1)
    assert mixing.inputs(X) is X
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    loss = batch_loss([(logits, 1.0)], LABELS, mixing, label_smoothing=0.1)
    assert torch.equal(loss, F.cross_entropy(logits, LABELS, label_smoothing=0.1))


def test_a_draw_is_a_pure_function_of_its_seed():
    first, again, other = (
        draw_mixing((16, 3, 2, 1), mixup_alpha=0.4, cutmix_alpha=0.0, seed=seed) for seed in (5, 5, 6)
    )
    assert first.share == again.share != other.share
    assert torch.equal(first.partner, again.partner)
    assert sorted(first.partner.tolist()) == list(range(16)), "one order of the batch"


@pytest.mark.parametrize("alpha", [0.1, 1.0, 5.0])
def test_shares_follow_the_beta_distribution(alpha: float):
    drawn = [draw_mixing((2, 3, 2, 1), mixup_alpha=alpha, cutmix_alpha=0.0, seed=seed) for seed in range(4000)]
    shares = np.array([mixing.share for mixing in drawn])
    assert shares.mean() == pytest.approx(0.5, abs=0.03)
    assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)  # of Beta(a, a)


def test_inputs_and_loss_are_mixed_by_the_same_share_with_the_same_partners():
    mixing = Mixing(0.3, torch.tensor([2, 0, 3, 1]))
    mixed = mixing.inputs(X)
    assert torch.allclose(mixed[0], 0.3 * X[0] + 0.7 * X[2])
    assert torch.allclose(mixed[3], 0.3 * X[3] + 0.7 * X[1])
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    target = 0.3 * F.one_hot(LABELS, 3) + 0.7 * F.one_hot(LABELS[mixing.partner], 3)
    expected = -(target * logits.log_softmax(dim=1)).sum(dim=1).mean()  # one soft target: the same loss by linearity
    assert torch.allclose(batch_loss([(logits, 1.0)], LABELS, mixing, label_smoothing=0.0), expected)


def test_label_smoothing_spreads_both_targets():
    mixing = Mixing(0.6, torch.tensor([1, 2, 3, 0]))
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    target = 0.6 * F.one_hot(LABELS, 3) + 0.4 * F.one_hot(LABELS[mixing.partner], 3)
    smooth = 0.8 * target + 0.2 / 3
    expected = -(smooth * logits.log_softmax(dim=1)).sum(dim=1).mean()
    assert torch.allclose(batch_loss([(logits, 1.0)], LABELS, mixing, label_smoothing=0.2), expected)


def test_auxiliary_heads_count_by_their_weight():
    main, auxiliary = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(2))
    mixing = draw_mixing((4, 3, 2, 1), mixup_alpha=0, cutmix_alpha=0.0, seed=0)
    loss = batch_loss([(main, 1.0), (auxiliary, 0.4)], LABELS, mixing, label_smoothing=0.0)
    assert torch.allclose(loss, F.cross_entropy(main, LABELS) + 0.4 * F.cross_entropy(auxiliary, LABELS))


@pytest.mark.parametrize("mixing", [Mixing(1.0, torch.arange(4)), Mixing(0.3, torch.tensor([2, 0, 3, 1]))])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_losses_of_images_are_those_of_the_batch_one_by_one(mixing: Mixing, smoothing: float):
    generator = torch.Generator().manual_seed(3)
    outputs = [(torch.randn(4, 3, generator=generator), weight) for weight in (1.0, 0.4)]
    each = image_losses(outputs, LABELS, mixing, label_smoothing=smoothing)
    whole = batch_loss(outputs, LABELS, mixing, label_smoothing=smoothing)
    assert each.shape == (4,)
    assert float(each.mean()) == pytest.approx(float(whole), rel=1e-5)
    alone = [(logits[:1], weight) for logits, weight in outputs]
    first, partner = (
        float(batch_loss(alone, LABELS[index], Mixing(1.0, torch.arange(1)), label_smoothing=smoothing))
        for index in (slice(0, 1), mixing.partner[:1])
    )
    assert float(each[0]) == pytest.approx(mixing.share * first + (1 - mixing.share) * partner, rel=1e-5)


def test_weights_are_factors_of_the_images_losses_and_partners_bring_their_own():
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    by_class = torch.tensor([0.5, 2.0, 1.0])
    weights = by_class[LABELS]
    plain = Mixing(1.0, torch.arange(4))
    loss = batch_loss([(logits, 1.0)], LABELS, plain, label_smoothing=0.0, weights_B=weights)
    summed = F.cross_entropy(logits, LABELS, weight=by_class, reduction="sum")
    assert loss == pytest.approx(float(summed) / 4)
    mixing = Mixing(0.3, torch.tensor([2, 0, 3, 1]))
    mixed = batch_loss([(logits, 1.0)], LABELS, mixing, label_smoothing=0.0, weights_B=weights)
    others = F.cross_entropy(logits, LABELS[mixing.partner], weight=by_class, reduction="sum")
    assert mixed == pytest.approx((0.3 * float(summed) + 0.7 * float(others)) / 4)
    ones = batch_loss([(logits, 1.0)], LABELS, mixing, label_smoothing=0.1, weights_B=torch.ones(4))
    assert ones == pytest.approx(float(batch_loss([(logits, 1.0)], LABELS, mixing, label_smoothing=0.1)))


def test_logit_adjustment_adds_log_shares_in_the_loss_alone():
    """Menon et al. 2021, equation 10, and its gradient: softmax of the adjusted logits less the target."""
    from headstart.training.augmentation.mixup import adjusted_outputs

    log_shares = np.log([0.7, 0.2, 0.1])
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    outputs = [(logits, 1.0)]
    assert adjusted_outputs(outputs, None) is outputs
    loss = batch_loss(adjusted_outputs(outputs, log_shares), LABELS, Mixing(1.0, LABELS), label_smoothing=0.0)
    loss.backward()
    chances = torch.tensor([0.7, 0.2, 0.1]) * logits.detach().exp()
    chances = chances / chances.sum(dim=1, keepdim=True)
    assert torch.allclose(loss, -chances[range(4), LABELS].log().mean())
    assert torch.allclose(logits.grad, (chances - F.one_hot(LABELS, 3)) / 4, atol=1e-6)


def test_a_rectangle_of_the_partner_takes_the_share_of_pixels_that_its_label_gets():
    images = torch.arange(6.0)[:, None, None, None].expand(6, 3, 20, 30)  # each image is its own number
    for seed in range(200):
        mixing = draw_mixing(images.shape, mixup_alpha=0.0, cutmix_alpha=1.0, seed=seed)
        mixed = mixing.inputs(images)
        for number in range(6):
            partner = int(mixing.partner[number])
            own = (mixed[number] == number).double().mean()
            assert partner == number or own == pytest.approx(mixing.share)
            assert {*mixed[number].unique().tolist()} <= {float(number), float(partner)}
        part = (mixed[0, 0] != 0).nonzero()
        if len(part):  # one rectangle: as many pixels as its corners span
            height, width = (part.max(dim=0).values - part.min(dim=0).values + 1).tolist()
            assert len(part) == height * width


def test_rectangles_are_drawn_from_the_beta_distribution_and_lie_everywhere():
    drawn = [draw_mixing((2, 3, 100, 100), mixup_alpha=0.0, cutmix_alpha=1.0, seed=seed) for seed in range(2000)]
    middles = np.array([(r.top + r.bottom) / 2 for mixing in drawn if (r := mixing.rectangle)])
    assert middles.mean() == pytest.approx(0.5, abs=0.02)
    inside = [m for m in drawn if (r := m.rectangle) and min(r.top, r.left) > 0 and max(r.bottom, r.right) < 1]
    assert all(abs((m.rectangle.bottom - m.rectangle.top) ** 2 - (1 - m.share)) < 0.02 for m in inside if m.rectangle)
    assert 0.5 < np.mean([mixing.share for mixing in drawn]) < 0.8  # the edge cuts rectangles off


def test_each_cached_tensor_is_cut_at_the_same_place_whatever_its_resolution():
    mixing = draw_mixing((4, 3, 32, 32), mixup_alpha=0.0, cutmix_alpha=1.0, seed=3)
    large, small = (torch.arange(4.0)[:, None, None, None].expand(4, 2, side, side) for side in (32, 8))
    coarse = torch.nn.functional.avg_pool2d(mixing.inputs(large), 4)
    assert (coarse - mixing.inputs(small)).abs().gt(1.5).double().mean() < 0.1  # blocks on its edge may fall to either


def test_tokens_are_mixed_everywhere():
    tokens = torch.randn(4, 9, 5, generator=torch.Generator().manual_seed(0))
    mixing = draw_mixing(tokens.shape, mixup_alpha=0.0, cutmix_alpha=1.0, seed=3)
    assert mixing.rectangle is None
    assert torch.equal(mixing.inputs(tokens), mixing.share * tokens + (1 - mixing.share) * tokens[mixing.partner])


def test_with_both_a_coin_decides_for_each_batch():
    drawn = [draw_mixing((4, 3, 8, 8), mixup_alpha=0.3, cutmix_alpha=1.0, seed=seed) for seed in range(400)]
    assert np.mean([mixing.rectangle is not None for mixing in drawn]) == pytest.approx(0.5, abs=0.08)
