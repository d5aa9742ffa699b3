"""What follows from the strategy: sizes, views, statistics, steps beside the training."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from headstart.advice.choices import Reason, augmentation, batch_norm_policy, input_size, steps
from headstart.advice.situation import Situation
from headstart.knowledge.domains import DOMAINS
from headstart.networks.cards.finding import find_model

LITE = find_model("tf_efficientnet_lite0").card


@pytest.mark.parametrize(
    ("situation", "strategy", "size"),
    [
        (Situation(images=9, resolution=32), "full", 128),
        (Situation(images=9, resolution=32), "feature_extraction", None),
        (Situation(images=9, resolution=96), "full", None),
        (Situation(images=9), "full", None),
        (Situation(images=9, domain="satellite"), "partial", 320),
        (Situation(images=9, domain="satellite", resolution=256), "partial", 256),
        (Situation(images=9, domain="satellite", resolution=200), "partial", None),
        (Situation(images=9, domain="satellite", resolution=64), "partial", None),
        (Situation(images=9, domain="satellite", resolution=5_000), "partial", 320),
    ],
)
def test_the_input_is_larger_from_above_and_smaller_where_nothing_is_to_see(
    situation: Situation, strategy: str, size: int | None
):
    found, reason = input_size(situation, strategy, LITE)
    assert found == size
    assert str(size or LITE.input.size) in reason.reason
    assert reason.path == "input.size"
    assert reason.source


def test_weights_of_one_size_keep_it():
    found, reason = input_size(Situation(images=9, domain="satellite"), "partial", replace(LITE, sizes="fixed"))
    assert found is None
    assert "no other size" in reason.reason


def test_few_clinical_images_vary_strongly_and_are_never_mirrored():
    views, reasons = augmentation(Situation(images=500, domain="medical"), "gradual")
    assert (views.preset, views.flip) == ("strong", "none")
    assert [reason.path for reason in reasons] == ["augmentation.preset", "augmentation.flip"]
    many, _ = augmentation(Situation(images=5_000, domain="medical"), "gradual")
    assert many.preset == DOMAINS["medical"].augmentation


def test_a_linear_probe_needs_no_augmentation():
    _, reasons = augmentation(Situation(images=50, domain="medical"), "feature_extraction")
    assert "is not used here" in reasons[0].reason


@pytest.mark.parametrize(
    ("images", "similarity", "strategy", "policy"),
    [
        (5_000, "low", "full", "train"),
        (4_999, "low", "full", None),
        (9_000, "high", "full", None),
        (9_000, "low", "gradual", None),
    ],
)
def test_statistics_move_only_across_a_large_gap_with_enough_images(
    images: int, similarity: str, strategy: str, policy: str | None
):
    found = batch_norm_policy(Situation(images=images, similarity=similarity), strategy)  # type: ignore[arg-type]
    assert (found[0] if found else None) == policy


def names(situation: Situation, *, pretraining: float = 10.0) -> tuple[dict[str, str], tuple[str, ...]]:
    found, requires = steps(situation, pretraining_seconds=pretraining, training_seconds=10.0)
    return {step.name: step.when for step in found}, requires


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 13])
def test_other_than_one_or_three_channels_need_a_step(channels: int):
    found, requires = names(Situation(images=9, channels=channels))
    assert ("channel_adaptation" in requires) == ("channel_adaptation" in found) == (channels not in (1, 3))


def test_pretraining_comes_first_across_a_large_gap_with_many_unlabelled_images():
    far = Situation(images=500, similarity="low", unlabelled=10_000)
    assert names(far)[1] == ("self_supervised_pretraining",)
    assert names(replace(far, unlabelled=9_999))[1] == ()
    assert names(replace(far, similarity="medium"))[1] == ()


def test_pretraining_beyond_the_budget_is_only_considered():
    far = Situation(images=500, similarity="low", unlabelled=10_000, budget_seconds=100.0)
    found, requires = names(far, pretraining=1_000.0)
    assert requires == ()
    assert found["self_supervised_pretraining"] == "consider"
    assert names(replace(far, budget_seconds=math.inf), pretraining=1e9)[1] == ("self_supervised_pretraining",)


def test_weights_of_the_domain_are_named():
    for domain, words in (("medical", "RadImageNet"), ("satellite", "torchgeo"), ("document", "dit-base")):
        found, _ = steps(Situation(images=9, domain=domain), pretraining_seconds=0, training_seconds=0)  # type: ignore[arg-type]
        assert any(step.name == "domain_weights" and words in step.text for step in found)
    assert "domain_weights" not in names(Situation(images=9))[0]
    assert "clahe" in names(Situation(images=9, domain="medical"))[0]


def test_scratch_is_a_comparison_only_across_a_large_gap_with_many_images():
    assert "compare_with_scratch" in names(Situation(images=100_000, similarity="low"))[0]
    assert "compare_with_scratch" not in names(Situation(images=99_999, similarity="low"))[0]
    assert "compare_with_scratch" not in names(Situation(images=100_000, similarity="high"))[0]


def test_a_source_that_a_sentence_names_already_is_not_repeated():
    assert Reason("a", "as A 2019 says", "A 2019").sentence == "as A 2019 says"
    assert Reason("a", "so", "A 2019").sentence == "so [A 2019]"
