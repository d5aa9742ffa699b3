"""Order of colour channels by comparing images of a loader with their own files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from headstart.diagnosis.loaders import LoaderFacts, unpacked

_IMAGES = 24
_FEWEST = 6
_SIDE = 64
_LEAST_SPREAD = 2.0
"""Standard deviation of red minus blue over images, in grey levels, below which colours say nothing."""


@dataclass(frozen=True, slots=True)
class ColourAgreement:
    """How colours of the tensors go with those of the files."""

    correlation: float
    """Of (first - last channel) with (red - blue), -1..1."""
    images: int


def colour_order(facts: LoaderFacts) -> ColourAgreement | None:
    """Correlation over some images; None where files are not known, grey, or of one colour.

    Args:
        facts: Of a loader whose data set is read by index.
    """
    paths, size = facts.dataset.paths, facts.dataset.size
    if paths is None or not size or facts.items is None or facts.collate is None:
        return None
    rows = []
    for index in np.linspace(0, size - 1, min(_IMAGES, size)).astype(int).tolist():
        row = _differences(facts, index, Path(paths[index]))
        if row is not None:
            rows.append(row)
    if len(rows) < _FEWEST:
        return None
    tensors, files = np.array(rows).T
    if files.std() < _LEAST_SPREAD or tensors.std() == 0:
        return None
    return ColourAgreement(float(np.corrcoef(tensors, files)[0, 1]), len(rows))


def _differences(facts: LoaderFacts, index: int, path: Path) -> tuple[float, float] | None:
    try:
        with Image.open(path) as image:
            image.draft("RGB", (_SIDE, _SIDE))
            pixels = np.asarray(image.convert("RGB").resize((_SIDE, _SIDE)), dtype=np.float64)
        batch = unpacked(facts.collate([facts.items[index]]))
    except Exception:  # relative paths, archives, unreadable files: nothing to compare with
        return None
    if batch is None or batch.images.ndim != 4 or batch.images.shape[1] != 3:
        return None
    means = batch.images.float().mean(dim=(0, 2, 3))
    return float(means[0] - means[2]), float(pixels[..., 0].mean() - pixels[..., 2].mean())
