"""Which kind of images these are, from a few pixel statistics: pure functions, no network.

The rule looks at medians over some dozens of images. It was made on photos (ants and bees, CIFAR-10), aerial scenes
(RSSCN7), radiographs (ChestX-ray8) and pages (receipts, papers, prints, manuscripts), and is no more than a first
guess: what it cannot tell, it says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from PIL import Image

from headstart.plan import Domain

SIDE_PIXELS = 96
"""Longest side at which an image is looked at."""
_COARSE_CELLS = 8
_TONES = 16
_GREY_CHROMA = 0.06

CERTAIN_FROM = 0.5
"""Share of the images that must look like the answer one by one; below it, the guess is a question. Aerial scenes are
the hardest: 0.61 to 0.64 of those the rule was made on."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one image looks like; every value but `aspect`, `tones`, `mirror` and `skew` lies in 0..1."""

    grey: float
    """Share of pixels without colour."""
    paper: float
    """Share of pixels nearly as bright as the brightest, if that is bright."""
    skew: float
    """Third moment of brightness; negative: dark marks on bright ground."""
    brightness: float
    chroma: float
    """Mean difference between the strongest and the weakest colour."""
    tones: float
    """Entropy of brightness in bits, 0..4."""
    coarse: float
    """Share of the variance that an image of 8 x 8 cells still has: near 1 for one large object, low for texture."""
    mirror: float
    """Correlation with the mirror image, -1..1."""
    aspect: float
    """Height over width."""


@dataclass(frozen=True, slots=True)
class DomainGuess:
    """The answer, and how sure it is."""

    domain: Domain
    certainty: float
    """Share of the images that look like it one by one, 0..1."""
    evidence: str
    """One sentence."""

    @property
    def is_certain(self) -> bool:
        """Whether it should be acted on."""
        return self.certainty >= CERTAIN_FROM


def look_at(pixels: npt.NDArray[np.uint8]) -> Look:
    """The statistics of one image.

    Args:
        pixels: (height, width, 3), RGB, 0..255.
    """
    small = Image.fromarray(pixels)
    small.thumbnail((SIDE_PIXELS, SIDE_PIXELS), Image.Resampling.BOX)
    values = np.asarray(small, np.float32) / 255
    chroma = values.max(axis=2) - values.min(axis=2)
    tone = values.mean(axis=2)
    spread = float(tone.std())
    top = float(np.percentile(tone, 95))
    counts = np.histogram(tone, _TONES, (0, 1))[0] / tone.size
    counts = counts[counts > 0]
    return Look(
        grey=float((chroma < _GREY_CHROMA).mean()),
        paper=float((tone > 0.75 * top).mean()) if top > 0.5 else 0.0,
        skew=float(((tone - tone.mean()) ** 3).mean()) / spread**3 if spread > 1e-3 else 0.0,
        brightness=float(tone.mean()),
        chroma=float(chroma.mean()),
        tones=float(-(counts * np.log2(counts)).sum()),
        coarse=_coarse(tone),
        mirror=float(np.corrcoef(tone.ravel(), tone[:, ::-1].ravel())[0, 1]) if spread > 1e-3 else 0.0,
        aspect=pixels.shape[0] / pixels.shape[1],
    )


def _coarse(tone: npt.NDArray[np.float32]) -> float:
    variance = float(tone.var())
    if variance < 1e-6:
        return 1.0
    image = Image.fromarray(tone)
    cells = image.resize((_COARSE_CELLS, _COARSE_CELLS), Image.Resampling.BOX)
    blurred = np.asarray(cells.resize(image.size, Image.Resampling.BILINEAR))
    return max(0.0, 1.0 - float((tone - blurred).var()) / variance)


def _is_document(look: Look) -> bool:
    ink_on_paper = look.paper >= 0.6 and look.skew < -0.2 and look.brightness >= 0.55
    return ink_on_paper or (look.grey >= 0.9 and look.tones < 2.2)


def _is_medical(look: Look) -> bool:
    return look.grey >= 0.9 and look.tones >= 2.5 and look.coarse >= 0.5


def _is_satellite(look: Look) -> bool:
    return look.coarse < 0.5 and look.chroma < 0.15 and abs(look.mirror) < 0.25 and look.aspect == 1


RULES: tuple[tuple[Domain, Callable[[Look], bool], str], ...] = (
    ("document", _is_document, "bright ground with dark marks, or few tones"),
    (
        "medical",
        _is_medical,
        "grey, many tones, one large shape: as radiographs are (grey photographs look the same: --domain photo)",
    ),
    (
        "satellite",
        _is_satellite,
        "square, pale, texture all over without one large shape: as scenes from above are",
    ),
)
"""Domain, rule for one image and for the medians, and what it saw; what no row takes is a photo."""


def guess_domain(looks: Sequence[Look]) -> DomainGuess:
    """The domain of a set of images from the looks of some of them.

    Raises:
        ValueError: there is none to look at.
    """
    if not looks:
        raise ValueError("no image to look at; expected at least one")
    middle = Look(*(float(np.median([getattr(look, field.name) for look in looks])) for field in fields(Look)))
    votes = [_domain_of(look) for look in looks]
    domain = _domain_of(middle)
    said = next((sentence for name, _, sentence in RULES if name == domain), "colour, many tones, one main object")
    certainty = votes.count(domain) / len(votes)
    return DomainGuess(domain, certainty, f"{said}; {certainty:.0%} of {len(looks)} images look so one by one")


def _domain_of(look: Look) -> Domain:
    return next((name for name, holds, _ in RULES if holds(look)), "photo")
