"""Features of a known network are those of the network in torch, and lie in the store under the same key."""

from __future__ import annotations

import numpy as np

from headstart.engine.known.features import classifier_features, linear_weight_of, pooled_part


def test_both_ways_have_one_key_in_the_store(case) -> None:
    known, built = pooled_part(case.known()), pooled_part(case.classifier)
    for name in ("tensors", "model", "cut_point", "library", "weights", "label"):
        assert getattr(known, name) == getattr(built, name), name
    assert known.runner.device == built.runner.device == "cpu"


def test_features_without_a_store_agree(case) -> None:
    records, done = case.records[:5], []
    found = classifier_features(case.known(), records, case.spec, on_images=done.append)
    expected = classifier_features(case.classifier, records, case.spec)
    assert sum(done) == 5
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def test_the_weight_of_a_head_is_an_array_either_way(case) -> None:
    assert np.array_equal(linear_weight_of(case.known()), linear_weight_of(case.classifier))
