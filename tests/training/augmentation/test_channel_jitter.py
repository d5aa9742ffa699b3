"""Channel-wise variation: nothing at zero, nothing on average, and the same for the same step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.engine.store.store import ActivationStore
from headstart.plan.plan import AugmentationPlan
from headstart.runs.event import Event
from headstart.runs.observers import Observer
from headstart.training.activation_source import ActivationSource
from headstart.training.augmentation.channel_jitter import jitter_channels
from headstart.training.checkpoint import load_state
from headstart.training.feeds import CachedFeed, feed_for
from headstart.training.loop import fit
from headstart.training.stopping import StopRequest
from headstart.training.training import Training

SHAPES = {"maps": (4, 6, 5, 5), "positions last": (4, 5, 5, 6), "tokens": (4, 9, 6), "vectors": (4, 6)}
CHANNELS = {"maps": 1, "positions last": 3, "tokens": 2, "vectors": 1}


def tensor_of(kind: str, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    scale = torch.tensor([1.0, 10.0, 0.1, 3.0]).view(-1, *[1] * (len(SHAPES[kind]) - 1))
    return torch.randn(SHAPES[kind], generator=generator) * scale + scale


def shifted(x: torch.Tensor, magnitude: float, seed: int) -> torch.Tensor:
    (found,) = jitter_channels((x,), magnitude=magnitude, seed=seed)
    return found


def test_at_zero_the_tensors_are_the_same_objects():
    tensors = (tensor_of("maps"), tensor_of("tokens"))
    assert jitter_channels(tensors, magnitude=0.0, seed=1) is tensors


@settings(max_examples=30, deadline=None)
@given(kind=st.sampled_from(list(SHAPES)), magnitude=st.floats(0.01, 1.0), seed=st.integers(0, 2**40))
def test_each_channel_of_each_image_is_shifted_as_one_and_never_further_than_said(
    kind: str, magnitude: float, seed: int
):
    x = tensor_of(kind)
    shift = (shifted(x, magnitude, seed) - x).movedim(CHANNELS[kind], 1).flatten(2) if x.ndim > 2 else None
    if shift is None:
        shift = (shifted(x, magnitude, seed) - x)[:, :, None]
    deviation = x.double().flatten(1).std(dim=1, correction=0).float()
    assert shift.shape[:2] == (4, 6)
    rounding = 1e-5 * float(x.abs().max())
    assert float((shift - shift[:, :, :1]).abs().max()) <= rounding, "one shift for all positions"
    assert (shift.abs().amax((1, 2)) <= magnitude * deviation + rounding).all()


def test_a_draw_is_a_pure_function_of_its_seed_and_leaves_the_generators_alone():
    x = tensor_of("maps")
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first, again, other = (shifted(x, 0.5, seed) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(x, tensor_of("maps")), "what is given stays"


def test_on_average_nothing_changes_and_the_spread_is_that_of_the_uniform_distribution():
    x = tensor_of("vectors")
    found = torch.stack([shifted(x, 0.6, seed) for seed in range(4000)]) - x
    deviation = x.flatten(1).std(dim=1, correction=0)[:, None]
    assert float((found.mean(dim=0) / deviation).abs().max()) < 4 * 0.6 / 3**0.5 / 4000**0.5
    assert float((found.std(dim=0) / deviation).mean()) == pytest.approx(0.6 / 3**0.5, rel=0.02)


def test_draws_of_images_channels_and_tensors_differ_and_an_image_does_not_depend_on_the_others():
    x = tensor_of("vectors")
    first, second = jitter_channels((x, x), magnitude=1.0, seed=0)
    units = ((first - x) / x.flatten(1).std(dim=1, correction=0)[:, None]).flatten()
    assert len({round(float(u), 4) for u in units}) == 24
    assert not torch.equal(first, second)
    louder = torch.cat([x[:1], 100 * x[1:]])
    assert torch.equal(shifted(louder, 1.0, 0)[0], first[0])


def test_the_layout_in_memory_stays():
    x = tensor_of("maps").contiguous(memory_format=torch.channels_last)
    assert shifted(x, 0.5, 0).is_contiguous(memory_format=torch.channels_last)


JITTER = AugmentationPlan(preset="none", channel_jitter=0.3)


def stored_task(prepare: Callable, folder: Path, name: str, *, jitter: float = 0.3):
    task = prepare(name, strategy="partial", unfreeze=1, epochs=2, augmentation="none")
    digests = {key: bytes.fromhex(digest) for key, digest in task.data.facts.digests.items()}
    task.images = replace(task.images, digests=digests, store=ActivationStore(folder))
    task.plan = task.plan.changed(augmentation=JITTER.model_copy(update={"channel_jitter": jitter}))
    return task


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
def test_a_run_with_it_learns_otherwise_and_goes_on_bit_for_bit_after_a_stop(prepare: Callable, tmp_path: Path):
    states = {}
    for name, jitter in (("without", 0.0), ("straight", 0.3), ("stopped", 0.3)):
        task = stored_task(prepare, tmp_path / "store", name, jitter=jitter)
        if name == "stopped":
            stop = StopAfter(3)
            outcome = fit(Training(task.plan, task.classifier(), task.images, run=task.run, stop=stop))
            assert outcome.stopped == "signal"
        fit(Training(task.plan, task.classifier(), task.images, run=task.run))
        states[name] = load_state(task.run.checkpoint).network
    weight = "classifier.weight"
    assert not torch.equal(states["without"][weight], states["straight"][weight])
    assert all(torch.equal(tensor, states["stopped"][path]) for path, tensor in states["straight"].items())


class Notes(Observer):
    def __init__(self) -> None:
        self.events: dict[str, dict] = {}

    def noted(self, event: Event) -> None:
        self.events[event.event] = event.to_dict()


def test_without_a_store_it_is_said_that_it_has_no_effect(prepare: Callable, tmp_path: Path):
    task, notes = stored_task(prepare, tmp_path / "store", "run"), Notes()
    phase = task.plan.phases[1]
    arguments: dict = {"augmentation": JITTER, "seed": 0}
    stored = feed_for(phase, ActivationSource(task.classifier(), task.images, observer=notes), **arguments)
    assert isinstance(stored, CachedFeed)
    assert (stored.channel_jitter, notes.events.get("jitter_without_effect")) == (0.3, None)
    pixels = feed_for(
        phase, ActivationSource(task.classifier(), replace(task.images, store=None), observer=notes), **arguments
    )
    assert pixels.channel_jitter == 0
    assert notes.events["jitter_without_effect"] == {"phase": phase.name, "channel_jitter": 0.3}
