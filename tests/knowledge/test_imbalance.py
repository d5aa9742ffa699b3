"""What auto stands for, by the numbers of training images."""

from __future__ import annotations

from headstart.knowledge.imbalance import STRONG_RATIO, chosen_imbalance, chosen_metric


def test_nearly_equal_classes_are_left_as_they_are():
    method, why = chosen_imbalance({"ants": 123, "bees": 121})
    assert method == "none"
    assert "1.0 times" in why
    assert chosen_imbalance({"a": 10, "b": 10 * STRONG_RATIO})[0] == "none"


def test_a_strong_imbalance_is_adjusted_with_its_numbers_as_the_reason():
    method, why = chosen_imbalance({"healthy": 400, "ill": 20, "other": 100})
    assert method == "logit_adjustment"
    assert "healthy has 400 training images and ill 20, 20 times fewer" in why
    assert "--imbalance none" in why
    assert chosen_imbalance({"a": 10, "b": 10 * STRONG_RATIO + 1})[0] == "logit_adjustment"


def test_the_metric_follows_the_method():
    assert chosen_metric("none")[0] == "accuracy"
    for method in ("class_weight", "balanced_sampling", "logit_adjustment"):
        metric, why = chosen_metric(method)
        assert metric == "balanced_accuracy"
        assert "--metric accuracy" in why
