"""Guess of the domain of images, from pixel statistics and the names of the classes: pure functions, no network.

Pixels alone tell two kinds: pages (bright ground, dark marks, fine structure) and colour photos of one large thing.
Grey images and textures look alike in many domains: a radiograph, a grey portrait and a cast part are each one large
grey shape. There the names of the classes must agree with the pixels, or the domain stays unknown.

Thresholds were set on ants and bees, CIFAR-10, RSSCN7, ChestX-ray8 and four sets of pages; docs/guide/advise.md has the
counts on these and on sets they were not set on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from headstart.knowledge.domain import Domain
from headstart.knowledge.domains import DOMAINS

GUESS_SIDE_PIXELS = 96
"""Longest side of an image, in pixels, for its statistics."""
_COARSE_CELLS = 8
_TONES = 16
_GREY_CHROMA = 0.06

CERTAIN_FROM = 0.6
"""Share of the images that must support the guess one by one, where no name does."""
_NAMED_FROM = 1 / 3
"""Share of the classes whose names must indicate a domain."""

GuessedDomain: TypeAlias = Domain | Literal["unknown"]
PixelKind: TypeAlias = Literal["page", "photo", "grey shape", "grey texture", "pale texture", "other"]
"""Kind of pixels, from which a domain is guessed."""


@dataclass(frozen=True, slots=True)
class PixelStatistics:
    """Pixel statistics of one image; every value but `aspect`, `tones`, `mirror` and `skew` lies in 0..1."""

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
    contrast: float
    """Standard deviation of brightness."""


@dataclass(frozen=True, slots=True)
class DomainGuess:
    """Guessed domain with its evidence."""

    domain: GuessedDomain
    """unknown: neither pixels nor names suffice."""
    certainty: float
    """Share of the images that support the guess one by one, 0..1."""
    evidence: str
    """Evidence in words, without a full stop."""

    @property
    def sentence(self) -> str:
        """The domain with its evidence, as a reason of a plan."""
        return f"looks like {self.domain}: {self.evidence}; --domain says otherwise"


def pixel_statistics(pixels: npt.NDArray[np.uint8]) -> PixelStatistics:
    """Pixel statistics of one image.

    Args:
        pixels: (height, width, 3), RGB, 0..255.
    """
    small = Image.fromarray(pixels)
    # At most 96 pixels, so that texture means nearly the same in a scan of 4,000 pixels and in a tile of 256.
    small.thumbnail((GUESS_SIDE_PIXELS, GUESS_SIDE_PIXELS), Image.Resampling.BOX)
    values = np.asarray(small, np.float32) / 255
    chroma = values.max(axis=2) - values.min(axis=2)
    tone = values.mean(axis=2)
    spread = float(tone.std())
    # Not the maximum: a few glints would make every other pixel dark.
    top = float(np.percentile(tone, 95))
    counts = np.histogram(tone, _TONES, (0, 1))[0] / tone.size
    counts = counts[counts > 0]
    return PixelStatistics(
        grey=float((chroma < _GREY_CHROMA).mean()),
        paper=float((tone > 0.75 * top).mean()) if top > 0.5 else 0.0,
        skew=float(((tone - tone.mean()) ** 3).mean()) / spread**3 if spread > 1e-3 else 0.0,
        brightness=float(tone.mean()),
        chroma=float(chroma.mean()),
        tones=float(-(counts * np.log2(counts)).sum()),
        coarse=_coarse(tone),
        mirror=float(np.corrcoef(tone.ravel(), tone[:, ::-1].ravel())[0, 1]) if spread > 1e-3 else 0.0,
        aspect=pixels.shape[0] / pixels.shape[1],
        contrast=spread,
    )


def _coarse(tone: npt.NDArray[np.float32]) -> float:
    variance = float(tone.var())
    if variance < 1e-6:
        return 1.0
    image = Image.fromarray(tone)
    cells = image.resize((_COARSE_CELLS, _COARSE_CELLS), Image.Resampling.BOX)
    # What eight cells a side cannot show is texture; the rest of the variance is large shapes.
    blurred = np.asarray(cells.resize(image.size, Image.Resampling.BILINEAR))
    return max(0.0, 1.0 - float((tone - blurred).var()) / variance)


_GREY, _COLOURED = 0.9, 0.6
"""From the first share of pixels without colour an image is grey; below the second it is coloured."""
_LARGE, _CHROMATIC, _PALE = 0.5, 0.05, 0.15
"""Least `coarse` of one large shape; least `chroma` of colour, and most of pale colour."""


def _is_page(image: PixelStatistics) -> bool:
    if image.coarse >= 0.65:  # a dark thing before white is no writing
        return False
    if image.grey >= _GREY:
        bilevel = image.tones < 2.2 and image.contrast >= 0.2
        return bilevel or (image.paper >= 0.75 and image.skew < -0.2 and image.brightness >= 0.72)
    return image.paper >= 0.6 and image.skew < -0.2 and image.brightness >= 0.55


def _kind_of(image: PixelStatistics) -> PixelKind:
    if _is_page(image):
        return "page"
    if image.grey >= _GREY:
        return "grey shape" if image.coarse >= _LARGE and image.tones >= 2.5 else "grey texture"
    if image.coarse < _LARGE and image.chroma < _PALE and abs(image.mirror) < 0.25 and image.aspect == 1:
        return "pale texture"
    if image.grey < _COLOURED and image.chroma >= _CHROMATIC and image.coarse >= 0.4:
        return "photo"
    return "other"


_SEEN: dict[PixelKind, str] = {
    "page": "bright ground with fine dark marks, or two tones",
    "photo": "colour, many tones, one main object",
    "grey shape": "grey, many tones, one large shape: radiographs, grey photographs and parts look so",
    "grey texture": "grey, texture without one large shape: surfaces, tissue and grey scans look so",
    "pale texture": "square, pale, texture without one large shape: scenes from above and surfaces look so",
    "other": "like no kind that pixels reveal",
}

_LAND = (
    *("parking", "resident", "river", "lake", "forest", "farm", "pasture", "crop", "harbo", "runway", "airport"),
    *(
        "overpass",
        "chaparral",
        "freeway",
        "highway",
        "meadow",
        "wetland",
        "field",
        "grass",
        "building",
        "bare",
        "orchard",
    ),
)
"""Words of scenes from above and of photographed landscapes alike: they count where the pixels are a pale texture."""
_FITS: dict[Domain, tuple[PixelKind, ...]] = {
    "medical": ("grey shape", "grey texture", "other"),
    "industrial": ("grey shape", "grey texture", "pale texture", "photo", "other"),
    "document": ("page", "grey texture", "grey shape", "photo", "pale texture", "other"),
    "satellite": ("pale texture", "photo", "grey texture", "other"),
}
"""Domain that names speak of -> kinds of pixels that do not contradict it. Colour contradicts medical: skin and tissue
are no body with a left and a right."""


def guess_domain(images: Sequence[PixelStatistics], *, names: Sequence[str] = (), source: str = "") -> DomainGuess:
    """Domain of a set of images from the pixel statistics of some of them and from names, or unknown.

    Args:
        images: Statistics of some dozens of images.
        names: Names of the classes.
        source: Name of the set.

    Raises:
        ValueError: there are no images.
    """
    if not images:
        raise ValueError("no image to look at; expected at least one")
    # Kind of the median image, value by value: a few odd images do not decide, and neither does a narrow majority.
    kind = _kind_of(
        PixelStatistics(
            *(float(np.median([getattr(image, field.name) for image in images])) for field in fields(PixelStatistics))
        )
    )
    certainty = [_kind_of(image) for image in images].count(kind) / len(images)
    seen = f"{_SEEN[kind]}; {certainty:.0%} of {len(images)} images look so one by one"
    named = _named_domain(names, source, kind)
    if named is not None:
        domain, words = named
        agree = kind in _FITS[domain]
        how = "agree" if agree else "do not agree"
        evidence = f"names ({', '.join(words[:3])}) speak of {domain} images and pixels {how} ({seen})"
        return DomainGuess(domain if agree else "unknown", certainty, evidence)
    # Only these two kinds look like one domain; a grey shape may be a lung, a face or a cast part.
    alone: dict[PixelKind, Domain] = {"page": "document", "photo": "photo"}
    if kind in alone and certainty >= CERTAIN_FROM:
        return DomainGuess(alone[kind], certainty, seen)
    return DomainGuess("unknown", certainty, f"{seen}; names say nothing of it")


def _named_domain(names: Sequence[str], source: str, kind: PixelKind) -> tuple[Domain, list[str]] | None:
    """Domain that the name of the set, or a third of the class names, indicates, and these names."""
    found: dict[Domain, list[str]] = {}
    for domain, values in DOMAINS.items():
        words = values.words
        known = words + (_LAND if domain == "satellite" and kind == "pale texture" else ())
        speaking = [name for name in names if _speaks(name, known)]
        if not words:
            continue
        if _speaks(source, words):
            found[domain] = [source, *speaking]
        elif speaking and len(speaking) >= _NAMED_FROM * len(names):
            found[domain] = speaking
    # Names of two domains (a scanned x-ray report) decide nothing.
    return next(iter(found.items())) if len(found) == 1 else None


def _speaks(name: str, words: Sequence[str]) -> bool:
    # `ChestXRay` and `chest_x-ray` are the same words.
    split = re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower().replace("x-ray", "xray").replace("x_ray", "xray")
    return any(token.startswith(tuple(words)) for token in re.findall(r"[a-z]+", split))
