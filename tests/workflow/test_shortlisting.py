"""Networks ranked on images: from DATA to the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import headstart
from headstart.advice.shortlist.halving import nested_order
from headstart.engine.store.activations import Activations
from headstart.errors import DataError, Interrupted, ModelError, PlanError
from headstart.networks.cards.search import ModelQuery
from headstart.plan.plan import DataPlan
from headstart.plan.request import Request
from headstart.runs.progress import no_progress
from headstart.workflow import shortlisting
from headstart.workflow.images import check_for_training, divided_by_name
from headstart.workflow.plans import make_plan
from headstart.workflow.shortlist_networks import CandidateNetworks
from headstart.workflow.shortlisting import ShortlistOptions, run_shortlist
from headstart.workflow.training.train import train

SIZE = 32
LITES = ["tf_efficientnet_lite0", "tf_efficientnet_lite1"]
NOISE = {"tf_efficientnet_lite0": 1.0, "tf_efficientnet_lite1": 0.1, "tf_efficientnet_lite2": 30.0}
"""Of made-up features, for each network."""


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Features are made up, better for lite1 than for the others; the answer is who was asked about how many."""
    requested: list[tuple[str, int]] = []

    def features(self: CandidateNetworks, candidate: object, images: int) -> np.ndarray:
        name = candidate.name.partition(":")[0]
        requested.append((name, images))
        if name == "resnet18":
            raise ModelError("its weights cannot be downloaded")
        rng = np.random.default_rng(len(name))
        side = np.array([-1.0 if record.label == "blue" else 1.0 for record in self._records])
        noise = NOISE.get(name, 3.0)
        return (side[:, None] + rng.normal(0, noise, (len(side), 6)))[:images].astype(np.float32)

    monkeypatch.setattr(CandidateNetworks, "features", features)
    return requested


@pytest.mark.slow
def test_two_networks_are_ranked_and_training_finds_their_features(
    image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "home"))
    answer = headstart.shortlist(image_folder, LITES, input_size=SIZE)
    assert isinstance(answer, headstart.Shortlist)
    assert {name.partition(":")[0] for name in answer.models} == set(LITES)
    figures = answer.to_dict()
    assert (figures["images"], figures["training_images"], figures["computed"]) == (12, 12, 24)
    assert (figures["stored_before"], figures["skipped"], figures["unreadable"]) == (0, {}, {})
    assert figures["tested_on"] == "held-out 20% of the images"
    assert answer.ranking[0].scores.accuracy == 1
    again = headstart.shortlist(image_folder, ",".join(LITES), input_size=SIZE)
    assert (again.figures.computed, again.figures.stored_before) == (0, 24)
    assert [place.to_dict() for place in again.ranking] == [place.to_dict() for place in answer.ranking]

    monkeypatch.setattr(Activations, "_engine_for", lambda *given: pytest.fail("an engine was made"))
    for strategy in ("feature_extraction", "progressive"):
        options = Request(DataPlan(source=str(image_folder)), strategy=strategy, input_size=SIZE)
        train(replace(options, model=answer.models[0]), out=tmp_path / strategy)


def test_no_image_that_reports_is_looked_at(image_folder: Path, pretended: list, monkeypatch: pytest.MonkeyPatch):
    seen: list[str] = []
    original = shortlisting.read_watched
    monkeypatch.setattr(
        shortlisting,
        "read_watched",
        lambda records, p, **how: seen.extend(r.id for r in records) or original(records, p, **how),
    )
    headstart.shortlist(image_folder, LITES, seed=5)
    plan = make_plan(Request(DataPlan(source=str(image_folder)), seed=5))
    reporting = {record.id for record in check_for_training(plan, no_progress).roles.test}
    assert len(seen) == 16 - len(reporting)
    assert not reporting & set(seen)


def test_more_images_than_a_round_are_halved(make_folder: Callable[..., Path], pretended: list[tuple[str, int]]):
    folder = make_folder("many", per_class=75, side=8)
    answer = headstart.shortlist(folder, [*LITES, "tf_efficientnet_lite2"], keep=1)
    assert [each.images for each in answer.rounds] == [64, 120]
    assert answer.models[0].startswith("tf_efficientnet_lite1")
    assert answer.rounds[0].dropped
    assert len(pretended) == 3 + len(answer.rounds[1].scores)
    few = headstart.shortlist(folder, LITES, images=30)
    assert few.figures.images == 30


def test_copies_and_groups_stay_in_one_fold(image_folder: Path, pretended: list, monkeypatch: pytest.MonkeyPatch):
    folds: list[dict[str, set[int]]] = []
    original = shortlisting.stratified_folds

    def spy(records, groups, *, seed):
        found = original(records, groups, seed=seed)
        by_group: dict[str, set[int]] = {}
        for record, fold in zip(records, found, strict=True):
            by_group.setdefault(groups[record.id], set()).add(int(fold))
        folds.append(by_group)
        return found

    monkeypatch.setattr(shortlisting, "stratified_folds", spy)
    (image_folder / "blue" / "copy.png").write_bytes((image_folder / "blue" / "03.png").read_bytes())
    answer = headstart.shortlist(image_folder, LITES, group=r"/\d(\d)\.")
    assert all(len(found) == 1 for found in folds[0].values())
    assert not any("no groups are known" in warning for warning in answer.warnings)
    ungrouped = headstart.shortlist(image_folder, LITES)
    assert any("no groups are known" in warning for warning in ungrouped.warnings)


def test_images_of_one_group_count_together(make_folder: Callable[..., Path], pretended: list):
    """Ten patients with six images each are ten, not sixty."""
    folder = make_folder("many", per_class=60, side=8)
    alone, grouped = (headstart.shortlist(folder, LITES, group=group).ranking[0].scores for group in (None, r"/\d(\d)"))
    assert len(set(alone.groups_N)) == len(alone.correct_N) > len(set(grouped.groups_N)) > 2
    width = [high - low for low, high in (alone.accuracy_interval, grouped.accuracy_interval)]
    assert width[0] < width[1]


def test_a_class_in_one_group_is_named_and_classes_that_all_are_so_are_refused(
    make_folder: Callable[..., Path], pretended: list
):
    make_folder("set/train", per_class=12)
    folder = make_folder("set/test", per_class=4, seed=1).parent
    answer = headstart.shortlist(folder, LITES, group="(train/blue)/")
    assert answer.warnings[0].startswith("class 'blue' lies in a single group")
    with pytest.raises(DataError, match=r"all 2 classes lie in a single group each.*loosen --group"):
        headstart.shortlist(folder, LITES, group="(train/[a-z]+)/")


def test_rounds_that_hold_one_group_are_passed_over(
    make_folder: Callable[..., Path], pretended: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
):
    """The first images all show one patient, so no fold could be evaluated on them."""
    folder = make_folder("many", per_class=75, side=8)
    wanted = nested_order(divided_by_name(DataPlan(source=str(folder)), seed=0).roles.training_pool, seed=0)
    same = {record.id for record in wanted[:80]}
    monkeypatch.setattr(
        shortlisting,
        "joined_groups",
        lambda groups, facts: {i: "one" if i in same else g for i, g in groups.items()},
    )
    answer = headstart.shortlist(folder, LITES, keep=1)
    assert [each.images for each in answer.rounds] == [120]


def test_networks_that_cannot_be_had_are_skipped_with_the_reason(image_folder: Path, pretended: list):
    answer = headstart.shortlist(image_folder, [*LITES, "torchvision/resnet18"])
    assert list(answer.skipped.values()) == ["its weights cannot be downloaded"]
    assert len(answer.ranking) == 2
    with pytest.raises(ModelError, match="none of 1 networks can be run"):
        headstart.shortlist(image_folder, ["torchvision/resnet18"])


def test_a_search_of_the_catalog_takes_the_place_of_names(
    image_folder: Path, pretended: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
):
    answer = headstart.shortlist(image_folder, query=ModelQuery(contains="efficientnet_lite0"))
    assert {name for name, _ in pretended} == {"efficientnet_lite0", "tf_efficientnet_lite0"}
    assert len(answer.ranking) == 2
    with pytest.raises(ModelError, match="the search finds 0 models"):
        headstart.shortlist(image_folder, query=ModelQuery(contains="no such network"))
    with pytest.raises(ModelError, match="expected 1 to 40"):
        headstart.shortlist(image_folder, query=ModelQuery(max_params=1e7))


def test_a_repository_that_cannot_be_reached_is_skipped_and_a_wrong_name_is_not(
    image_folder: Path, pretended: list, monkeypatch: pytest.MonkeyPatch
):
    original = shortlisting.find_model

    def found(name: str):
        if name.startswith("hf-hub:"):
            raise ModelError("the hub cannot be reached")
        return original(name)

    monkeypatch.setattr(shortlisting, "find_model", found)
    answer = headstart.shortlist(image_folder, ["hf-hub:some/net", *LITES])
    assert answer.skipped == {"hf-hub:some/net": "the hub cannot be reached"}
    with pytest.raises(ModelError, match="no model 'resnte18'; did you mean"):
        headstart.shortlist(image_folder, ["resnte18"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "models: name them, or search"),
        ({"models": ("resnet18",), "query": ModelQuery(family="resnet")}, "not both"),
        ({"models": ("resnet18",), "keep": 0}, "keep: 0 must be >= 1"),
        ({"models": ("resnet18",), "images": 3}, "images: 3 must be >= 4, two for each of 2 classes"),
        ({"models": ("resnet18",), "input_size": 5}, "input.size"),
        ({"models": ("resnet18",), "group": "("}, "no regular expression"),
    ],
)
def test_wrong_requests_are_refused_before_anything_is_built(image_folder: Path, options: dict, words: str):
    with pytest.raises(PlanError, match=words):
        run_shortlist(ShortlistOptions(str(image_folder), **options))


def test_images_that_cannot_tell_networks_apart_are_refused(image_folder: Path, pretended: list):
    with pytest.raises(DataError):
        headstart.shortlist(image_folder, LITES, group=r"(/)")


def test_unreadable_images_are_left_out_and_named(image_folder: Path, pretended: list):
    plan = make_plan(Request(DataPlan(source=str(image_folder))))
    broken = check_for_training(plan, no_progress).roles.training_pool[3]
    assert broken.path is not None
    broken.path.write_bytes(b"no image")
    answer = headstart.shortlist(image_folder, LITES)
    assert list(answer.figures.unreadable) == [broken.id]
    assert any(f"first: {broken.id}" in warning for warning in answer.warnings)
    assert answer.figures.images == answer.figures.training_images - 1


def test_ctrl_c_says_that_nothing_is_lost(image_folder: Path, monkeypatch: pytest.MonkeyPatch):
    def stop(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(CandidateNetworks, "features", stop)
    with pytest.raises(Interrupted, match="the same call computes only what is missing"):
        headstart.shortlist(image_folder, LITES)
