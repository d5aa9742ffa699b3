"""A known classifier does what the classifier in torch does: head, state, and the way back into torch."""

from __future__ import annotations

import numpy as np
import torch

from headstart.engine.known.classifier import KnownClassifier

RNG = np.random.default_rng(0)
WEIGHT, BIAS = RNG.normal(size=(2, 1280)).astype(np.float32), RNG.normal(size=2).astype(np.float32)


def known_of(case) -> KnownClassifier:
    found = case.known()
    assert found is not None
    return found


def test_its_facts_are_those_of_the_network(case) -> None:
    known, classifier = known_of(case), case.classifier
    for name in ("num_features", "num_last_features", "num_parameters", "group_names", "head_kind", "report"):
        assert getattr(known, name) == getattr(classifier, name), name


def test_a_written_head_is_the_one_in_torch_bit_for_bit(case) -> None:
    known, classifier = known_of(case), case.build()
    known.write_linear(WEIGHT, BIAS)
    classifier.write_linear(WEIGHT, BIAS)
    expected = classifier.state()
    state = known.state()
    assert state.keys() == expected.keys()
    assert all(np.array_equal(state[name], tensor.numpy()) for name, tensor in expected.items())
    assert np.array_equal(known.linear_weight(), classifier.linear_weight().numpy())
    features = RNG.normal(size=(5, 1280)).astype(np.float32)
    assert np.array_equal(known.head_layers().logits(features), classifier.head_layers().logits(features))


def test_a_candidate_keeps_its_head_when_another_is_written(case) -> None:
    known = known_of(case)
    known.write_linear(WEIGHT, BIAS)
    first = known.state()
    known.write_linear(2 * WEIGHT, BIAS)
    known.restore(first)
    assert np.array_equal(known.linear_weight(), WEIGHT)


def test_in_torch_it_has_the_head_that_was_written_and_holds_the_weights_from_then_on(case) -> None:
    known = known_of(case)
    known.write_linear(WEIGHT, BIAS)
    built = known.built()
    assert known.built() is built
    assert np.array_equal(built.linear_weight().numpy(), WEIGHT)
    with torch.no_grad():
        next(built.network.parameters()).mul_(2)
    assert torch.equal(next(iter(known.state().values())), next(iter(built.state().values())))
    known.write_linear(2 * WEIGHT, BIAS)
    assert np.array_equal(known.linear_weight(), 2 * WEIGHT)


def test_the_state_of_another_backbone_goes_to_torch(case) -> None:
    known, other = known_of(case), case.build()
    with torch.no_grad():
        next(other.network.parameters()).mul_(2)
    known.restore(other.state())
    assert torch.equal(next(known.built().network.parameters()), next(other.network.parameters()))


def test_a_damaged_export_is_made_anew_by_torch(case) -> None:
    known = known_of(case)
    path, notes = known.known.export_path, []
    whole = path.read_bytes()
    try:
        path.write_bytes(b"damaged")
        images = np.zeros((1, 32, 32, 3), np.float32)
        engine = known.pooled_part().runner.engine(
            images, label="lite0", images_to_come=1, requested="onnxruntime", on_note=notes.append
        )
        assert engine.name == "onnxruntime"
        assert "lite0 is exported again" in notes[0]
    finally:
        path.write_bytes(whole)


def test_an_engine_of_torch_is_used_where_it_is_requested(case) -> None:
    images = np.zeros((1, 32, 32, 3), np.float32)
    engine = (
        known_of(case)
        .pooled_part()
        .runner.engine(images, label="lite0", images_to_come=1, requested="torch", on_note=lambda text: None)
    )
    assert engine.name == "torch"
