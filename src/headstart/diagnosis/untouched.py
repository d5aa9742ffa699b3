"""Random states as they were before: what is examined must not notice it."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def generators_of(loader: object) -> list[torch.Generator]:
    """Random generators that a loader and its samplers hold."""
    batch_sampler = getattr(loader, "batch_sampler", None)
    owners = [loader, getattr(loader, "sampler", None), batch_sampler, getattr(batch_sampler, "sampler", None)]
    found = [getattr(owner, "generator", None) for owner in owners]
    return [one for one in found if isinstance(one, torch.Generator)]


@contextmanager
def untouched_randomness(loaders: Iterable[object] = ()) -> Iterator[None]:
    """Everything random inside starts from a fixed seed; afterwards all generators are where they were.

    Args:
        loaders: Whose own generators are restored too.
    """
    own: dict[int, tuple[torch.Generator, Any]] = {
        id(one): (one, one.get_state()) for loader in loaders for one in generators_of(loader)
    }
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()
    on_gpu = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None  # type: ignore[no-untyped-call]
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    try:
        yield
    finally:
        torch.set_rng_state(before[0])
        np.random.set_state(before[1])
        random.setstate(before[2])
        if on_gpu is not None:
            torch.cuda.set_rng_state_all(on_gpu)
        for generator, state in own.values():
            generator.set_state(state)
