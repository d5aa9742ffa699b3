"""Facts of images for advice: counts by name, and statistics of some of their pixels.

Torch is used if it is installed, to measure the domain similarity.
"""

from __future__ import annotations

import importlib.util
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from headstart.advice.choices import Reason
from headstart.data.band_count import with_band_count
from headstart.data.checks import image_checks
from headstart.data.sources.reading import ImageRecord
from headstart.data.sources.source_findings import STRICT, find_in_source
from headstart.errors import HeadstartError
from headstart.input_spec import Decoding
from headstart.inspection.domain_look import ImagesSeen, domain_of, look_at_images
from headstart.knowledge.domain import SimilarityLevel
from headstart.knowledge.domains import DOMAINS
from headstart.plan.plan import DataPlan, Domain
from headstart.runs.progress import Progress, no_progress
from headstart.workflow.images import divided_by_name

_COLOURS = (1, 3)
"""Channels of images that can be compared with ImageNet's."""
_FEW_GROUPS = 0.5
"""Groups per image below which a warning is given."""


@dataclass
class ImageFacts:
    """Facts of images that advice needs."""

    values: dict[str, Any]
    """Values of a situation."""
    reasons: list[Reason] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    domain: Domain | None = None
    """Decided by looking at the images; None if given or unknown."""


def inspect_images(
    part: DataPlan,
    *,
    seed: int,
    domain: str | None,
    similarity: float | SimilarityLevel | None = None,
    progress: Progress = no_progress,
) -> ImageFacts:
    """Facts of the training images: counts by name, and statistics of some of them.

    Args:
        part: Which images, as `train` would divide them.
        seed: Seed of the split.
        domain: As given; None or auto looks at the images.
        similarity: As given; None measures it, where torch is installed.
        progress: Receives the progress.

    Raises:
        DataError: there is nothing to read, or no training image.
    """
    listed = progress("listing the images", 1)
    named = divided_by_name(part, seed=seed)
    listed(1)
    roles = named.roles
    counts = Counter(record.label for record in roles.training_pool)
    looked = look_at_images(roles.training_pool, decoding=part.decoding, progress=progress)
    channels = looked.channels if part.decoding.bands is None else len(part.decoding.bands)
    decoding = with_band_count(part.decoding, roles.training_pool, channels="auto")
    if decoding.band_count is not None:
        channels = decoding.band_count
    seen = ImageFacts(
        {
            "images": len(roles.training_pool),
            "classes": len(counts),
            "median_per_class": statistics.median_low(counts.values()),
            "channels": channels,
            "resolution": looked.resolution,
        }
    )
    seen.warnings += [f"{f.evidence}; {f.remedy}" for f in find_in_source(named.dataset) if f.what in STRICT]
    if max(counts.values()) > image_checks.IMBALANCE_RATIO * min(counts.values()):  # as `headstart check` names it
        few, many = min(counts, key=lambda name: counts[name]), max(counts, key=lambda name: counts[name])
        seen.warnings.append(f"classes are uneven: {counts[many]} images of {many!r}, {counts[few]} of {few!r}")
    groups = len({named.groups[record.id] for record in roles.training_pool})
    if groups <= _FEW_GROUPS * len(roles.training_pool):
        seen.warnings.append(
            f"{len(roles.training_pool):,} images are of {groups:,} groups: images of one group are alike, so they "
            "tell less than as many of different groups"
        )
    if domain in (None, "auto"):
        _tell_domain(seen, looked, part.source, sorted(counts))
    if similarity is None and channels in _COLOURS:
        _measure_similarity(seen, roles.training_pool, decoding, progress)
    return seen


def _measure_similarity(
    seen: ImageFacts, records: Sequence[ImageRecord], decoding: Decoding, progress: Progress
) -> None:
    """Add the measured similarity with its reason to the facts, or a warning if it cannot be measured."""
    if importlib.util.find_spec("torch") is None:
        seen.warnings.append('similarity was not measured, that takes torch: pip install "headstart[train]"')
        return
    from headstart.inspection.domain_similarity import ENOUGH_IMAGES, measure_similarity

    try:
        reasons = progress("measuring the similarity to ImageNet", min(ENOUGH_IMAGES, len(records)))
        found = measure_similarity(records, decoding=decoding, on_images=reasons)
    except HeadstartError as error:
        seen.warnings.append(f"similarity was not measured: {error}")
        return
    seen.values["similarity"] = round(found.value, 3)
    seen.reasons.append(
        Reason("similarity", f"{found.sentence}; --similarity says otherwise", "headstart.inspection.domain_similarity")
    )


def _tell_domain(facts: ImageFacts, seen: ImagesSeen, source: str, names: Sequence[str]) -> None:
    """Add the domain with its reason to the facts, or a warning if it is unknown."""
    guess = domain_of(seen, names=names, source=source)
    if guess.domain == "unknown":
        facts.values["domain_is"] = "unknown"
        facts.warnings.append(
            f"the domain is unknown: {guess.evidence}. It gets the values of photo; "
            f"--domain {', '.join(DOMAINS)} says what the images are"
        )
    else:
        facts.domain = guess.domain
        facts.reasons.append(Reason("domain", guess.sentence, "headstart.inspection.domain_look"))
