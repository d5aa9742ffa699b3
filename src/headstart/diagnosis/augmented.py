"""Whether a loader gives one image differently each time."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from headstart.diagnosis.loaders import LoaderFacts, unpacked

_IMAGES = 6
_DRAWS = 3


def is_random(facts: LoaderFacts) -> bool | None:
    """Whether an image differs between draws of the data set or of its collation; None where neither can be read twice.

    A mirror image at 50 % stays unseen in 18 draws with a probability of 2^-12.
    """
    if facts.items is None or not facts.batches or facts.collate is None:
        return None
    count = min(_IMAGES, facts.dataset.size or 0)
    if not count:
        return None
    indices = torch.linspace(0, (facts.dataset.size or 1) - 1, count).long().tolist()
    fetch = getattr(facts.items, "__getitems__", None)
    first: Tensor | None = None
    for _ in range(_DRAWS):
        try:
            samples: list[Any] = fetch(indices) if callable(fetch) else [facts.items[index] for index in indices]
            batch = unpacked(facts.collate(samples))
        except Exception:  # an unreadable item is a finding of the loader itself
            return None
        if batch is None:
            return None
        if first is None:
            first = batch.images
        elif first.shape != batch.images.shape or not torch.equal(first, batch.images):
            return True
    return False
