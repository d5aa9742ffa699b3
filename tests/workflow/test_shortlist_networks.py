"""Features of networks that are compared: computed once, found again, and given up with those that leave."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from headstart.advice.shortlist.ranking import ShortlistCandidate
from headstart.data.sources.reading import ImageRecord, open_source
from headstart.engine.known.features import pooled_part
from headstart.engine.prefix.depth_features import with_depths
from headstart.engine.prefix.inference import features_of
from headstart.engine.store.activations import Activations, matrix_of, plain_view
from headstart.engine.store.store import ActivationStore, image_digest
from headstart.errors import DiskFullError, ModelError
from headstart.networks.backbone import build_classifier
from headstart.networks.cards.catalog import ModelChoice
from headstart.networks.cards.finding import find_model
from headstart.workflow import shortlist_networks as candidates_module
from headstart.workflow.shortlist_networks import CandidateNetworks

SIZE = 32
LITE = find_model("tf_efficientnet_lite0")


@pytest.fixture
def records(image_folder: Path) -> tuple[ImageRecord, ...]:
    return open_source(str(image_folder)).records


def networks(records: tuple[ImageRecord, ...], store: Path, *choices: ModelChoice, **options: object):
    digests = {record.id: image_digest(record.read()) for record in records}
    by_name = {choice.name: choice for choice in choices or (LITE,)}
    return CandidateNetworks(by_name, records, digests, input_size=SIZE, store=store, **options)


def test_rows_are_the_networks_own_and_a_larger_round_computes_only_what_is_new(
    records: tuple[ImageRecord, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    lite, told = ShortlistCandidate.of(LITE), []
    requested = networks(
        records, tmp_path, progress=lambda what, total: told.append((what, total)) or (lambda done: None)
    )
    few = requested.features(lite, 6)
    assert (requested.computed, requested.stored_before) == (6, 0)
    all_of_them = requested.features(lite, 16)
    assert (requested.computed, requested.stored_before) == (16, 0)
    assert np.array_equal(all_of_them[:6], few)
    assert told == [(f"features ({LITE.name})", 6), (f"features ({LITE.name})", 16)]
    classifier = build_classifier(LITE, kind="linear", num_classes=2, seed=0, input_size=SIZE)
    expected = features_of(classifier, records, LITE.card.input.at_size(SIZE))
    assert np.abs(all_of_them - expected).max() <= 2e-3 * np.abs(expected).max()

    monkeypatch.setattr(Activations, "_engine_for", lambda *given: pytest.fail("an engine was made"))
    again = networks(records, tmp_path)
    assert np.array_equal(again.features(lite, 16), all_of_them)
    assert (again.computed, again.stored_before) == (0, 16)


def test_features_are_read_out_of_the_rows_that_a_training_or_a_probe_left(
    records: tuple[ImageRecord, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    classifier = with_depths(build_classifier(LITE, kind="linear", num_classes=2, seed=0, input_size=SIZE), SIZE)
    spec, digests = LITE.card.input.at_size(SIZE), {record.id: image_digest(record.read()) for record in records}
    deep = Activations(pooled_part(classifier), spec, digests, ActivationStore(tmp_path))
    rows = matrix_of(deep.reader(records, [plain_view(spec)]))
    monkeypatch.setattr(Activations, "_engine_for", lambda *given: pytest.fail("an engine was made"))
    requested = networks(records, tmp_path)
    found = requested.features(ShortlistCandidate.of(LITE), 6)
    assert np.array_equal(found, rows[:6, : classifier.num_last_features])
    assert (requested.computed, requested.stored_before) == (0, 6)


def test_who_leaves_is_given_up_and_large_ones_are_not_held(
    records: tuple[ImageRecord, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    built: list[str] = []
    original = CandidateNetworks._built
    monkeypatch.setattr(CandidateNetworks, "_built", lambda self, name: built.append(name) or original(self, name))
    lite, requested = ShortlistCandidate.of(LITE), networks(records, tmp_path)
    for _ in range(2):
        requested.hold([lite], 4)
        requested.features(lite, 4)
    assert len(built) == 1
    requested.hold([], 4)
    requested.features(lite, 4)
    assert len(built) == 2
    monkeypatch.setattr(candidates_module, "HELD_PARAMETERS", 1000)
    for _ in range(2):
        requested.hold([lite], 4)
        requested.features(lite, 4)
    assert len(built) == 4


def test_without_room_in_the_store_features_are_computed_and_it_is_said(
    records: tuple[ImageRecord, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    expected = networks(records, tmp_path / "a").features(ShortlistCandidate.of(LITE), 8)

    def full(*args: object, **options: object) -> None:
        raise DiskFullError("the store is full")

    monkeypatch.setattr(Activations, "reader", full)
    requested = networks(records, tmp_path / "b")
    found = requested.features(ShortlistCandidate.of(LITE), 8)
    assert np.abs(found - expected).max() <= 2e-3 * np.abs(expected).max()
    assert requested.notes == ("features were not stored: the store is full",)


def test_a_licence_that_forbids_commercial_use_is_refused_before_anything_is_fetched(
    records: tuple[ImageRecord, ...], home: Path, tmp_path: Path
):
    choice = find_model("resnet18.fb_ssl_yfcc100m_ft_in1k")
    requested = networks(records, tmp_path, choice)
    with pytest.raises(ModelError, match="forbids commercial use"):
        requested.features(ShortlistCandidate.of(choice), 4)


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def refuse(url: str, *args: object, **options: object) -> Path:
        raise ModelError(f"{url} cannot be downloaded (no route)")

    return lambda: monkeypatch.setattr("headstart.networks.weights.loading.from_url", refuse)


def test_weights_that_cannot_be_had_are_a_model_error(
    records: tuple[ImageRecord, ...], home: Path, tmp_path: Path, unreachable: Callable[[], None]
):
    unreachable()
    choice = find_model("torchvision/resnet18")
    with pytest.raises(ModelError, match=r"resnet18.*cannot be downloaded"):
        networks(records, tmp_path, choice).features(ShortlistCandidate.of(choice), 4)
