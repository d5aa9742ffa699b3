"""A head on all depths is put on a known classifier and taken off again, without torch where both are known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headstart.data.loading import read_view
from headstart.engine.known import depths
from headstart.engine.known.classifier import KnownClassifier
from headstart.engine.known.depths import restored, tapped, untap
from headstart.engine.known.features import pooled_part
from headstart.engine.known.finding import known_depths_classifier
from headstart.engine.known.network import records_folder
from headstart.engine.known.remembering import make_known, remember_choice
from headstart.engine.prefix.depth_features import with_depths
from headstart.engine.prefix.inference import features_of
from headstart.engine.prefix.onnx_session import engines_folder
from headstart.engine.store.activations import POOLED_DEPTHS
from headstart.networks.backbone import Classifier


@pytest.fixture(scope="module")
def own_known_home(_known_home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Classifier]:
    """The classifier in torch with a head on all depths, known in the home of the case."""
    home, case = _known_home
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_HOME", str(home))
        deep = with_depths(case.build(), case.size)
        make_known(deep, np.stack([read_view(record, case.spec) for record in case.records[:8]]))
        yield deep
        for path in records_folder(case.choice.card, cut_point=POOLED_DEPTHS, size=case.size).iterdir():
            path.unlink()


def test_both_kinds_have_the_same_features_head_and_key(own_known_home: Classifier, case) -> None:
    known, deep = tapped(case.known(), case.size), own_known_home
    assert isinstance(known, KnownClassifier)
    for name in ("num_features", "num_last_features", "num_parameters", "group_names", "head_kind", "depth_columns"):
        assert getattr(known, name) == getattr(deep, name), name
    assert pooled_part(known).weights == pooled_part(deep).weights
    weight = np.random.default_rng(0).normal(size=(2, known.num_features)).astype(np.float32)
    known.write_linear(weight, np.ones(2, np.float32))
    deep.write_linear(weight, np.ones(2, np.float32))
    expected = deep.state()
    assert known.state().keys() == expected.keys()
    assert all(np.array_equal(values, expected[name]) for name, values in known.state().items())
    assert np.array_equal(known.built().linear_weight().numpy(), weight)


def test_taking_it_off_leaves_the_plain_classifier(own_known_home: Classifier, case) -> None:
    plain = case.known()
    before = plain.state()
    known = tapped(plain, case.size)
    untap(known)
    assert not known.is_built
    assert all(plain.state()[name] is values for name, values in before.items())
    known.built()
    untap(known)
    assert list(plain.built().network.state_dict()) == list(case.classifier.network.state_dict())
    assert known_depths_classifier(plain, size=case.size) is None, "torch holds its weights now"


def test_saved_weights_of_a_head_on_all_depths_are_restored_without_torch(own_known_home: Classifier, case) -> None:
    plain = case.known()
    deep = tapped(plain, case.size)
    weight = np.random.default_rng(1).normal(size=(2, deep.num_features)).astype(np.float32)
    deep.write_linear(weight, np.ones(2, np.float32))
    saved, before = deep.state(), plain.state()
    found = restored(plain, saved, case.size)
    assert isinstance(found, KnownClassifier)
    assert not found.is_built
    assert found.head_kind == "multi_depth"
    assert np.array_equal(found.linear_weight(), weight)
    assert restored(plain, before, case.size) is plain
    assert all(plain.state()[name] is values for name, values in before.items())
    plain.built()  # a step was trained, so torch holds the weights
    in_torch = restored(plain.built(), saved, case.size)
    assert isinstance(in_torch, Classifier)
    assert np.array_equal(in_torch.linear_weight().numpy(), weight)


def test_what_is_not_known_at_every_depth_is_built(case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depths, "known_depths_classifier", lambda classifier, *, size: None)
    plain = case.known()
    deep = tapped(plain, case.size)
    assert isinstance(deep, Classifier)
    assert deep.head_kind == "multi_depth"
    assert plain.is_built
    untap(deep)
    assert list(plain.state()) == list(case.classifier.state())


@pytest.mark.slow
def test_a_network_that_got_known_at_every_depth_is_known_with_its_plain_head_too(
    case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.stack([read_view(record, case.spec) for record in case.records[:6]])
    expected = features_of(case.build(), case.records[:6], case.spec)
    own = case.known().known
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path))
    deep = with_depths(case.build(), case.size)
    remember_choice(case.choice, deep, size=case.size, grain="stage", purpose="bundle")
    make_known(deep, images)
    known = case.known()
    assert replace(known.known, export=own.export) == own, "all but the export, which is that of all depths"
    (found,) = known.engine().run(images)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()
    (export,) = engines_folder().glob("*.onnx")
    assert export.name == known.known.export
    make_known(case.build(), images)
    assert case.known().known == own, "an export of its own is used once it is there"
    make_known(with_depths(case.build(), case.size), images)
    assert case.known().known == own
