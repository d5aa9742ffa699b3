"""Feeds: stored activations train as pixels do, where the frozen part allows it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headstart.engine.store import activations, limit
from headstart.engine.store.drawn_views import views_drawn_from
from headstart.engine.store.frozen_part import training_view_of
from headstart.engine.store.index import POOLED
from headstart.engine.store.limit import spaces_in_use_order, write_limit
from headstart.engine.store.store import EVALUATION, ActivationStore
from headstart.engine.training_step.rewrites import Rewrites
from headstart.networks.backbone import build_classifier
from headstart.plan.plan import AugmentationPlan, FrozenPrefixPlan, OptimizerPlan, TrainPhase
from headstart.runs.event import Event
from headstart.runs.events import ActivationsCached, NotCached
from headstart.runs.observers import Observer
from headstart.training.activation_source import ActivationSource
from headstart.training.checkpoint import load_state
from headstart.training.feeds import CachedFeed, PixelFeed, feed_for, view_number
from headstart.training.learning_rates.param_groups import enter
from headstart.training.loop import fit
from headstart.training.probe.pooled_source import PooledSource
from headstart.training.stopping import StopRequest
from headstart.training.training import Training

NONE = AugmentationPlan(preset="none")


class Notes(Observer):
    """Remembers what was noted."""

    def __init__(self) -> None:
        self.events: dict[str, dict] = {}

    def noted(self, event: Event) -> None:
        self.events[event.event] = event.to_dict()


def with_store(task, folder: Path):
    digests = {name: bytes.fromhex(digest) for name, digest in task.data.facts.digests.items()}
    return replace(task.images, digests=digests, store=ActivationStore(folder))


def phase_of(classifier, *, unfreeze: int, **options: object) -> TrainPhase:
    names = classifier.group_names[len(classifier.group_names) - 1 - unfreeze :]
    return TrainPhase(
        name="tune", epochs=3, unfreeze=unfreeze, head_lr=1e-2, lr_by_group=dict.fromkeys(names, 1e-2), **options
    )


def made(task, folder: Path, *, unfreeze: int = 1, augmentation: AugmentationPlan = NONE, **options: object):
    classifier, notes = task.classifier(), Notes()
    phase = phase_of(classifier, unfreeze=unfreeze, **options)
    images = with_store(task, folder)
    feed = feed_for(phase, ActivationSource(classifier, images, observer=notes), augmentation=augmentation, seed=0)
    return classifier, phase, images, feed, notes


@pytest.mark.parametrize("unfreeze", [0, 1, 3])
def test_a_step_on_stored_activations_is_a_step_on_pixels(prepare: Callable, tmp_path: Path, unfreeze: int):
    """Same loss and same gradients, up to the half precision in which activations are kept."""
    task = prepare()
    classifier, phase, images, feed, notes = made(task, tmp_path / "store", unfreeze=unfreeze)
    assert isinstance(feed, CachedFeed)
    assert notes.events["activations_cached"]["views"] == 1
    pixels = PixelFeed(classifier, images, NONE, 0)
    torch.nn.init.normal_(classifier.head.weight, std=0.1)
    found = []
    for one in (pixels, feed):
        entered = enter(classifier, phase, task.plan.optimizer)
        ((records, tensors),) = one.batches([images.roles.train[:4]], epoch=0)
        assert isinstance(one.rewrites, Rewrites)
        assert one.rewrites.pairs or unfreeze == 0
        with one.rewrites:
            ((logits, weight),) = classifier.weighted_logits(one.network(*tensors))
        assert weight == 1.0
        loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(images.labels(records)))
        loss.backward()
        gradients = {n: p.grad.clone() for n, p in classifier.network.named_parameters() if p.grad is not None}
        found.append((loss.item(), gradients))
        entered.optimizer.zero_grad()
    (loss_a, a), (loss_b, b) = found
    assert loss_a == pytest.approx(loss_b, rel=1e-2)
    assert a.keys() == b.keys()
    for name, gradient in a.items():
        scale = float(gradient.abs().max())
        assert float((gradient - b[name]).abs().max()) <= 0.05 * scale + 1e-6, name
    select = [one.validation_logits(lambda count: None) for one in (pixels, feed)]
    assert np.abs(select[0] - select[1]).max() <= 0.02 * np.abs(select[0]).max()


def test_stored_views_differ_are_seeded_and_moved_through_the_counter(prepare: Callable, tmp_path: Path):
    augmentation = AugmentationPlan(preset="standard", cached_views=2)
    _, _, images, feed, notes = made(prepare(), tmp_path / "store", augmentation=augmentation)
    assert isinstance(feed, CachedFeed)
    assert notes.events["activations_cached"]["views"] == 2
    count = len(images.roles.train)
    rows = feed.training.take(np.arange(2 * count))[0]
    assert not np.allclose(rows[:count], rows[count:])
    assert images.meter.reading().views["augmented"] >= 2 * count
    feed.validation_logits(lambda done: None)
    assert images.meter.reading().read_bytes > 0


@given(seed=st.integers(0, 9), name=st.text(max_size=9), views=st.integers(1, 64), tour=st.integers(0, 4))
def test_as_many_epochs_as_views_see_every_one_of_them(seed: int, name: str, views: int, tour: int):
    epochs = range(tour * views, (tour + 1) * views)
    assert sorted(view_number(seed, epoch, name, views) for epoch in epochs) == list(range(views))


def test_images_and_tours_have_orders_of_their_own_in_which_every_view_comes_as_often():
    first = [[view_number(0, 4 * tour, f"image{i}", 4) for i in range(500)] for tour in range(2)]
    for order in first:
        counts = np.bincount(order, minlength=4)
        assert np.abs(counts - 125).max() < 4 * np.sqrt(500 * 3 / 16)  # four deviations of a fair draw
    assert np.mean(np.equal(*first)) < 0.35


def test_a_phase_gets_the_cut_point_and_the_views_of_its_plan(prepare: Callable, tmp_path: Path):
    said = FrozenPrefixPlan(activations="cached", cut_point="stage5", views=2)
    augmentation = AugmentationPlan(preset="standard")
    _, _, images, feed, notes = made(prepare(), tmp_path / "store", augmentation=augmentation, frozen_prefix=said)
    assert (notes.events["activations_cached"]["cut_point"], notes.events["activations_cached"]["views"]) == (
        "stage5",
        2,
    )
    assert feed.frozen_prefix == said
    assert len(feed.training) == 2 * len(images.roles.train)
    computed = FrozenPrefixPlan(activations="computed")
    feed = made(prepare("other"), tmp_path / "store", frozen_prefix=computed)[3]
    assert isinstance(feed, PixelFeed)
    assert feed.frozen_prefix == computed


@pytest.mark.parametrize("options", [{"batch_norm": "adapt_statistics"}, {"batch_norm": "train"}, {"unfreeze": 8}])
def test_what_does_not_rest_is_not_stored(prepare: Callable, tmp_path: Path, options: dict):
    assert isinstance(made(prepare(), tmp_path / "store", **options)[3], PixelFeed)


def test_without_room_the_run_goes_on_from_pixels_and_says_so(
    prepare: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limit, "bytes_for", lambda root, *own: 1000)
    _, _, _, feed, notes = made(prepare(), tmp_path / "store")
    assert isinstance(feed, PixelFeed)
    assert "do not fit" in notes.events["not_cached"]["why"]


def bytes_of(root: Path, border: str) -> int:
    """Of all spaces that end at a border."""
    spaces = [
        (space.bytes, json.loads((space.folder / "space.json").read_text())) for space in spaces_in_use_order(root)
    ]
    return sum(size for size, what in spaces if what["border"] == border)


class Stored(Observer):
    """Where each phase read from."""

    def __init__(self) -> None:
        self.phases: list[tuple[str, str, int]] = []
        self.not_cached: list[NotCached] = []

    def noted(self, event: Event) -> None:
        if isinstance(event, ActivationsCached):
            self.phases.append((event.phase, event.cut_point, event.views))
        elif isinstance(event, NotCached):
            self.not_cached.append(event)


@pytest.mark.slow
def test_a_phase_that_ended_makes_room_for_the_next(prepare: Callable, tmp_path: Path):
    """A store that holds what any one phase reads, and not what two of them do."""
    found = []
    for name in ("roomy", "tight"):
        task, root = prepare(name, strategy="gradual", epochs=2), tmp_path / f"store {name}"
        task.images = with_store(task, root)
        if name == "tight":
            sizes = [
                bytes_of(tmp_path / "store roomy", border) for border in (POOLED, "before stage7", "before stage6")
            ]
            assert min(sizes) > 4000
            write_limit(root, max(sizes) + 2000)
        seen = Stored()
        outcome = fit(Training(task.plan, task.classifier(), task.images, run=task.run, observer=seen))
        assert outcome.stopped is None
        assert not seen.not_cached
        found.append(seen.phases)
    assert [(phase, border) for phase, border, _ in found[0]] == [
        ("head", "head"),
        ("last_stage", "stage7"),
        ("last_two_stages", "stage6"),
    ]
    assert found[1] == found[0]


def test_rows_at_the_same_cut_point_are_found_also_where_the_store_is_full_of_them(
    prepare: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    augmentation = AugmentationPlan(preset="standard", cached_views=2)
    first = made(prepare("first"), tmp_path / "store", augmentation=augmentation)[3]
    assert isinstance(first, CachedFeed)
    write_limit(tmp_path / "store", limit.stored_bytes(tmp_path / "store"))
    monkeypatch.setattr(activations, "outputs_of", lambda *args: pytest.fail("computed again"))
    again = made(prepare("again"), tmp_path / "store", augmentation=augmentation)[3]  # the first still reads
    assert isinstance(again, CachedFeed)
    assert len(first.training) == len(again.training)


def test_random_views_belong_to_the_version_of_the_library_that_draws_them(
    prepare: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Another torchvision may turn and shift otherwise; the plain view is not its work."""
    augmentation = AugmentationPlan(preset="standard", cached_views=2)
    task = prepare()
    *_, first = made(task, tmp_path / "store", augmentation=augmentation)
    images = with_store(task, tmp_path / "store")
    here = views_drawn_from(augmentation)
    assert here.startswith(f"standard, flip {augmentation.flip}, ")
    assert here.endswith(f"torchvision {metadata.version('torchvision')}")
    view = training_view_of(1, images.spec, images.digests, augmentation, seed=3)
    assert (view.name, view.drawn_from) == ("seed 3 view 1", here)
    installed, computed = metadata.version, []
    monkeypatch.setattr(metadata, "version", lambda name: "99.0" if name == "torchvision" else installed(name))
    real = activations.outputs_of
    monkeypatch.setattr(activations, "outputs_of", lambda *given: computed.extend(given[1]) or real(*given))
    *_, again = made(prepare("again"), tmp_path / "store", augmentation=augmentation)
    assert again.events["activations_cached"]["views"] == first.events["activations_cached"]["views"] == 2
    assert len(computed) == 2 * len(images.roles.train)
    assert views_drawn_from(augmentation) != here != EVALUATION


@pytest.mark.slow
def test_a_whole_run_on_stored_activations_learns_as_on_pixels_and_moves_nothing_frozen(
    prepare: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    losses, passes = [], []
    enter_rewrites = Rewrites.__enter__
    monkeypatch.setattr(Rewrites, "__enter__", lambda self: passes.append(self) or enter_rewrites(self))
    for name in ("pixels", "stored"):
        task = prepare(name, strategy="partial", unfreeze=1, epochs=2, augmentation="none")
        if name == "stored":
            task.images = with_store(task, tmp_path / "store")
        plan = task.plan.changed(optimizer=OptimizerPlan(name="sgd"))  # Adam takes rounding for a direction
        probe = plan.phases[0].model_copy(update={"l2_penalty": 1.0})
        plan = plan.model_copy(update={"phases": (probe, *plan.phases[1:])})
        classifier = task.classifier()
        before = {name: tensor.clone() for name, tensor in classifier.network.state_dict().items()}
        outcome = fit(Training(plan, classifier, task.images, run=task.run))
        losses.append([row.train_loss for row in outcome.progress.rows if row.train_loss is not None])
        unfrozen = classifier.groups[-2:]
        for path, tensor in classifier.network.state_dict().items():
            if not any(group.owns(path) for group in unfrozen):
                assert torch.equal(tensor, before[path]), path
    assert task.run.plan().engine in ("torch", "onnxruntime")
    assert len(losses[1]) == 2
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
    assert len(set(passes)) == 2  # rewrites of either feed
    assert len(passes) >= 4  # in every step


class StopAfter(StopRequest):
    """Asks to stop at the n-th look."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    @property
    def reason(self):
        """A signal, from the n-th look on."""
        self.looks -= 1
        return "signal" if self.looks < 0 else None


@pytest.mark.slow
@pytest.mark.parametrize("looks", [3, 9])
def test_a_run_on_stored_activations_goes_on_bit_for_bit(prepare: Callable, tmp_path: Path, looks: int):
    states = []
    for name in ("straight", "stopped"):
        task = prepare(name, strategy="gradual", epochs=2)
        task.images = with_store(task, tmp_path / name)  # each computes its own
        if name == "stopped":
            classifier = task.classifier()
            outcome = fit(Training(task.plan, classifier, task.images, run=task.run, stop=StopAfter(looks)))
            assert outcome.stopped == "signal"
        plan = task.run.plan()  # as a resume reads it, the engine resolved
        fit(Training(plan, task.classifier(), task.images, run=task.run))
        states.append(load_state(task.run.checkpoint).network)
    assert all(torch.equal(tensor, states[1][path]) for path, tensor in states[0].items())
    assert states[0]["classifier.weight"].abs().max() > 0


@pytest.mark.slow
def test_a_home_that_may_not_be_written_costs_the_store_and_nothing_else(
    prepare: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "file"))
    task = prepare(strategy="partial", unfreeze=1, epochs=1)
    task.images = with_store(task, tmp_path / "file" / "store")
    notes = Notes()
    outcome = fit(Training(task.plan, task.classifier(), task.images, run=task.run, observer=notes, stop=StopRequest()))
    assert outcome.stopped is None
    assert "cannot be written" in notes.events["not_cached"]["why"]


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_a_trained_head_reads_what_the_probe_stored(
    prepare: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
):
    task = prepare()
    images = with_store(task, tmp_path / "store")
    source = PooledSource(ActivationSource(task.classifier(), images, engine="torch"))
    for records in (images.roles.train, images.roles.validation):
        source.rows(records, what="features")
    monkeypatch.setattr(activations, "outputs_of", lambda *args: pytest.fail("computed again"))
    other = build_classifier(task.choice, kind=kind, num_classes=2, seed=1, input_size=32)
    phase = phase_of(other, unfreeze=0)
    feed = feed_for(phase, ActivationSource(other, images, observer=Notes()), augmentation=NONE, seed=0)
    assert isinstance(feed, CachedFeed)
    (_, tensors), *_ = feed.batches([images.roles.train[:4]], epoch=0)
    assert tensors[0].shape == (4, other.num_features)
