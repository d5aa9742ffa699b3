"""Which kind of images these are, from a few pixel statistics and the names of the classes: pure functions, no network.

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

from headstart.plan.plan import Domain

SIDE_PIXELS = 96
"""Longest side at which an image is looked at."""
_COARSE_CELLS = 8
_TONES = 16
_GREY_CHROMA = 0.06

CERTAIN_FROM = 0.6
"""Share of the images that must look like the answer one by one, where no name supports it."""
_NAMED_FROM = 1 / 3
"""Share of the classes whose names must speak of a domain."""

GuessedDomain: TypeAlias = Domain | Literal["unknown"]
Kind: TypeAlias = Literal["page", "photo", "grey shape", "grey texture", "pale texture", "other"]
"""What pixels look like, which is not yet a domain."""


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
    contrast: float
    """Standard deviation of brightness."""


@dataclass(frozen=True, slots=True)
class DomainGuess:
    """The answer, and what it rests on."""

    domain: GuessedDomain
    """unknown: neither pixels nor names are enough."""
    certainty: float
    """Share of the images that look so one by one, 0..1."""
    evidence: str
    """What was seen, without a full stop."""


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
        contrast=spread,
    )


def _coarse(tone: npt.NDArray[np.float32]) -> float:
    variance = float(tone.var())
    if variance < 1e-6:
        return 1.0
    image = Image.fromarray(tone)
    cells = image.resize((_COARSE_CELLS, _COARSE_CELLS), Image.Resampling.BOX)
    blurred = np.asarray(cells.resize(image.size, Image.Resampling.BILINEAR))
    return max(0.0, 1.0 - float((tone - blurred).var()) / variance)


_GREY, _COLOURED = 0.9, 0.6
"""From the first share of pixels without colour an image is grey; below the second it is coloured."""
_LARGE, _CHROMATIC, _PALE = 0.5, 0.05, 0.15
"""Least `coarse` of one large shape; least `chroma` of colour, and most of pale colour."""


def _is_page(look: Look) -> bool:
    if look.coarse >= 0.65:  # a dark thing before white is no writing
        return False
    if look.grey >= _GREY:
        bilevel = look.tones < 2.2 and look.contrast >= 0.2
        return bilevel or (look.paper >= 0.75 and look.skew < -0.2 and look.brightness >= 0.72)
    return look.paper >= 0.6 and look.skew < -0.2 and look.brightness >= 0.55


def _kind_of(look: Look) -> Kind:
    if _is_page(look):
        return "page"
    if look.grey >= _GREY:
        return "grey shape" if look.coarse >= _LARGE and look.tones >= 2.5 else "grey texture"
    if look.coarse < _LARGE and look.chroma < _PALE and abs(look.mirror) < 0.25 and look.aspect == 1:
        return "pale texture"
    if look.grey < _COLOURED and look.chroma >= _CHROMATIC and look.coarse >= 0.4:
        return "photo"
    return "other"


_SEEN: dict[Kind, str] = {
    "page": "bright ground with fine dark marks, or two tones",
    "photo": "colour, many tones, one main object",
    "grey shape": "grey, many tones, one large shape: radiographs, grey photographs and parts look so",
    "grey texture": "grey, texture without one large shape: surfaces, tissue and grey scans look so",
    "pale texture": "square, pale, texture without one large shape: scenes from above and surfaces look so",
    "other": "like no kind that can be told from pixels",
}

_WORDS: dict[Domain, tuple[str, ...]] = {
    "medical": (
        *(
            "xray",
            "radiogra",
            "radiolog",
            "mri",
            "ultraso",
            "mammogra",
            "chest",
            "lung",
            "pneumonia",
            "covid",
            "tubercul",
        ),
        *("tumor", "tumour", "glioma", "meningioma", "benign", "malignan", "melanoma", "carcinoma", "cancer", "lesion"),
        *("fracture", "retin", "patient", "histolog", "patholog", "biops", "endoscop", "edema", "effusion", "cardio"),
        *("nodul", "finding"),
    ),
    "industrial": (
        *(
            "defect",
            "scratch",
            "crack",
            "crazing",
            "inclusion",
            "pitted",
            "rolled",
            "weld",
            "corrosion",
            "rust",
            "dent",
        ),
        *(
            "surface",
            "wafer",
            "solder",
            "pcb",
            "casting",
            "steel",
            "metal",
            "alumin",
            "nok",
            "anomal",
            "poros",
            "fabric",
        ),
        *("textile", "scale", "spatter", "burr", "solarcell"),
    ),
    "document": (
        *("invoice", "receipt", "letter", "form", "memo", "manuscript", "handwrit", "document", "newspaper", "resume"),
        *("questionnaire", "digit", "mnist", "ocr", "print", "scan"),
    ),
    "satellite": ("satellite", "aerial", "sentinel", "landsat", "eurosat", "drone", "uav", "orthophoto"),
}
"""Beginnings of words in names of classes and sets."""
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
_FITS: dict[Domain, tuple[Kind, ...]] = {
    "medical": ("grey shape", "grey texture", "other"),
    "industrial": ("grey shape", "grey texture", "pale texture", "photo", "other"),
    "document": ("page", "grey texture", "grey shape", "photo", "pale texture", "other"),
    "satellite": ("pale texture", "photo", "grey texture", "other"),
}
"""Domain that names speak of -> kinds of pixels that do not contradict it. Colour contradicts medical: skin and tissue
are no body with a left and a right."""


def guess_domain(looks: Sequence[Look], *, names: Sequence[str] = (), source: str = "") -> DomainGuess:
    """The domain of a set of images from the looks of some of them and from names, or unknown.

    Args:
        looks: Of some dozens of images.
        names: Of the classes.
        source: Name of the set.

    Raises:
        ValueError: there is none to look at.
    """
    if not looks:
        raise ValueError("no image to look at; expected at least one")
    kind = _kind_of(Look(*(float(np.median([getattr(look, field.name) for look in looks])) for field in fields(Look))))
    certainty = [_kind_of(look) for look in looks].count(kind) / len(looks)
    seen = f"{_SEEN[kind]}; {certainty:.0%} of {len(looks)} images look so one by one"
    named = _named_domain(names, source, kind)
    if named is not None:
        domain, words = named
        agree = kind in _FITS[domain]
        how = "agree" if agree else "do not agree"
        evidence = f"names ({', '.join(words[:3])}) speak of {domain} images and pixels {how} ({seen})"
        return DomainGuess(domain if agree else "unknown", certainty, evidence)
    alone: dict[Kind, Domain] = {"page": "document", "photo": "photo"}
    if kind in alone and certainty >= CERTAIN_FROM:
        return DomainGuess(alone[kind], certainty, seen)
    return DomainGuess("unknown", certainty, f"{seen}; names say nothing of it")


def _named_domain(names: Sequence[str], source: str, kind: Kind) -> tuple[Domain, list[str]] | None:
    """The one domain that the set's name, or a third of the classes' names, speak of, and the names that do."""
    found: dict[Domain, list[str]] = {}
    for domain, words in _WORDS.items():
        known = words + (_LAND if domain == "satellite" and kind == "pale texture" else ())
        speaking = [name for name in names if _speaks(name, known)]
        if _speaks(source, words):
            found[domain] = [source, *speaking]
        elif speaking and len(speaking) >= _NAMED_FROM * len(names):
            found[domain] = speaking
    return next(iter(found.items())) if len(found) == 1 else None


def _speaks(name: str, words: Sequence[str]) -> bool:
    split = re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower().replace("x-ray", "xray").replace("x_ray", "xray")
    return any(token.startswith(tuple(words)) for token in re.findall(r"[a-z]+", split))
