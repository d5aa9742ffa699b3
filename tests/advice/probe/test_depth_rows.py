"""Features of every group out of the activation cache are those of a reader of the network itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from headstart.advice.probe.by_depth import folds_by_group, probe_depths
from headstart.advice.probe.depth_rows import DepthRows, cached_depths
from headstart.advice.probe.reader import DepthReader
from headstart.data.loading import read_view
from headstart.data.sources.reading import ImageRecord, open_source
from headstart.engine.known.classifier import AnyClassifier, KnownClassifier
from headstart.engine.known.pretrained import feature_extractor
from headstart.engine.known.remembering import make_known
from headstart.engine.prefix import depth_features
from headstart.engine.store.activations import Activations
from headstart.errors import DiskFullError, ModelError
from headstart.inspection.depth_pass import DepthPass
from headstart.networks.backbone import build_classifier, build_network
from headstart.networks.cards.catalog import ModelChoice
from headstart.networks.cards.finding import find_model
from headstart.runs.progress import no_progress

SIDE = 64


def at_side(choice: ModelChoice) -> ModelChoice:
    return replace(choice, card=replace(choice.card, input=choice.card.input.at_size(SIDE)))


LITE = at_side(find_model("tf_efficientnet_lite0"))


@pytest.fixture
def records(image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[ImageRecord, ...]:
    """Sixteen images, one of which is a copy, and one that cannot be read; nothing is cached."""
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "home"))
    (image_folder / "blue" / "01.png").write_bytes((image_folder / "blue" / "00.png").read_bytes())
    (image_folder / "green" / "broken.png").write_bytes(b"no image")
    return open_source(str(image_folder)).records


def plain(choice: ModelChoice) -> AnyClassifier:
    return feature_extractor(choice, size=SIDE, purpose="bundle")


def rows_of(choice: ModelChoice) -> DepthRows:
    found = cached_depths(plain(choice), choice.card.input)
    assert found is not None
    return found


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet18"])
def test_they_are_those_of_a_pass_through_the_network(name: str, records: tuple[ImageRecord, ...], tmp_path: Path):
    choice = LITE
    if name != "tf_efficientnet_lite0":  # whose weights are not in a package
        file = tmp_path / "random.safetensors"
        save_file(
            {key: one.contiguous() for key, one in build_network(find_model(name).card).state_dict().items()}, file
        )
        choice = at_side(find_model(f"{name}:file:{file}"))
    own = build_classifier(choice, kind="linear", num_classes=2, seed=0, input_size=SIDE)
    seen = DepthPass(choice.card.input, [DepthReader(own.network, own.groups, size=SIDE)], drawn=False)
    seen.look_at(records, no_progress)
    rows = rows_of(choice)
    facts = rows.read(records, no_progress)
    features, expected = rows.features(facts, no_progress), seen.features(0)
    assert (facts.readable, facts.digests) == (seen.facts.readable, seen.facts.digests)
    assert facts.unreadable.keys() == seen.unreadable.keys() == {"green/broken.png"}
    assert rows.backbone_names == seen.readers[0].backbone_names
    assert list(features) == list(expected)
    for group, values in features.items():
        assert values.shape == expected[group].shape
        # Half precision: at most 1/1024 of the length of a row.
        errors = np.linalg.norm(values - expected[group], axis=1)
        assert (errors <= np.linalg.norm(expected[group], axis=1) / 1000).all(), group
    labels = np.array([record.label == "blue" for record in facts.readable], np.int64)
    folds = folds_by_group(facts.readable, facts.digests, seed=0)
    ours, theirs = (
        probe_depths(one, labels, folds, np.arange(len(labels)), names=rows.backbone_names)
        for one in (features, expected)
    )
    assert [one.accuracy for one in ours.groups] == [one.accuracy for one in theirs.groups]
    assert [one.features for one in ours.groups] == [one.features for one in theirs.groups]


def test_a_second_call_computes_nothing_and_needs_no_torch_where_the_network_is_known(
    records: tuple[ImageRecord, ...], monkeypatch: pytest.MonkeyPatch
):
    rows, told = rows_of(LITE), []
    facts = rows.read(records, no_progress)
    first = rows.features(facts, no_progress)
    make_known(rows.classifier, np.stack([read_view(record, rows.spec) for record in facts.readable[:8]]))
    monkeypatch.setattr(Activations, "_engine_for", lambda *given: pytest.fail("an engine was made"))
    again = rows_of(LITE)
    assert isinstance(again.classifier, KnownClassifier)
    assert not again.classifier.is_built
    assert again.backbone_names == rows.backbone_names

    def progress(what: str, total: int):
        told.append((what, total))
        return lambda count: told.append(count)

    second = again.features(facts, progress)
    assert told == [("read at every depth", 16), 16]
    assert list(second) == list(first)
    assert all(np.array_equal(values, first[group]) for group, values in second.items())


def test_without_room_in_the_cache_they_are_computed(records: tuple[ImageRecord, ...], monkeypatch: pytest.MonkeyPatch):
    rows = rows_of(LITE)
    facts = rows.read(records, no_progress)
    expected = rows.features(facts, no_progress)

    def full(*args: object, **options: object) -> None:
        raise DiskFullError("the store is full")

    monkeypatch.setattr(Activations, "reader", full)
    found = rows.features(facts, no_progress)
    assert list(found) == list(expected)
    for group, values in found.items():
        assert np.abs(values - expected[group]).max() <= 2e-3 * np.abs(expected[group]).max(), group


def test_there_are_none_of_a_network_whose_rows_do_not_hold_every_group(
    records: tuple[ImageRecord, ...], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(depth_features, "WIDEST", 100)  # stage5 to stage7 are longer
    classifier = plain(LITE)
    names = list(classifier.state())
    assert cached_depths(classifier, LITE.card.input) is None
    network = classifier.built().network
    assert list(network.state_dict()) == names
    assert "forward" not in vars(network), "a reader reads the network as it was"

    def refused(*given: object) -> None:
        raise ModelError("it cannot be read at every depth")

    monkeypatch.setattr("headstart.advice.probe.depth_rows.tapped", refused)
    assert cached_depths(classifier, LITE.card.input) is None
