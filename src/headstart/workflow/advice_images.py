"""Facts of images for advice: counts by name, and statistics of some of their pixels.

Torch is used if it is installed, to measure the domain similarity.
"""

from __future__ import annotations

import importlib.util
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headstart.advice.choices import Reason
from headstart.data.checks import image_checks
from headstart.data.decoders.headers import Header, read_header
from headstart.data.loading import ReadImage, read_image
from headstart.data.sources.reading import ImageRecord, is_digits
from headstart.data.sources.source_findings import STRICT, find_in_source
from headstart.errors import HeadstartError
from headstart.input_spec import Decoding
from headstart.inspection.domain_guess import PixelStatistics, guess_domain, pixel_statistics
from headstart.knowledge.choosing import SimilarityLevel
from headstart.knowledge.domains import DOMAINS
from headstart.plan.plan import DataPlan, Domain
from headstart.runs.progress import Progress, no_progress
from headstart.workflow.images import divided_by_name

SAMPLED_IMAGES = 64
"""Number of images whose pixels decide domain, resolution and channels."""
_LOOK_PIXELS = 96
_MOST_COLOURS = 4
"""More channels than that are bands of a sensor."""
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
    """Guessed from pixels and names; None if given or unknown."""


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
        domain: As given; None or auto lets the pixels decide.
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
    headers, looks = _look_at_some(roles.training_pool, decoding=part.decoding, progress=progress)
    channels = statistics.mode([header.channels for header in headers]) if headers else 3
    seen = ImageFacts(
        {
            "images": len(roles.training_pool),
            "classes": len(counts),
            "median_per_class": statistics.median_low(counts.values()),
            "channels": channels,
            "resolution": round(statistics.median(h.shorter for h in headers)) if headers else None,
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
        _tell_domain(seen, part.source, channels, looks, sorted(counts))
    if similarity is None and channels <= _MOST_COLOURS:
        _measure_similarity(seen, roles.training_pool, part.decoding, progress)
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


def _tell_domain(
    seen: ImageFacts, source: str, channels: int, looks: Sequence[PixelStatistics], names: Sequence[str]
) -> None:
    """Add the domain with its reason to the facts, or a warning if it is unknown."""
    if is_digits(source):
        seen.domain = "document"
        seen.reasons.append(Reason("domain", "digits are writing", "headstart.data.sources.reading"))
    elif channels > _MOST_COLOURS:
        seen.domain = "satellite"
        seen.reasons.append(
            Reason("domain", f"{channels} channels are bands of a sensor", "headstart.data.decoders.headers")
        )
    elif not looks:
        seen.values["domain_is"] = "unknown"
        seen.warnings.append(
            "the domain is unknown: no image could be looked at. It gets the values of photo; --domain says what it is"
        )
    else:
        guess = guess_domain(looks, names=names, source=Path(source).stem)
        if guess.domain == "unknown":
            seen.values["domain_is"] = "unknown"
            seen.warnings.append(
                f"the domain is unknown: {guess.evidence}. It gets the values of photo; "
                f"--domain {', '.join(DOMAINS)} says what the images are"
            )
        else:
            seen.domain = guess.domain
            text = f"looks like {guess.domain}: {guess.evidence}; --domain says otherwise"
            seen.reasons.append(Reason("domain", text, "headstart.inspection.domain_guess"))


def _look_at_some(
    records: Sequence[ImageRecord], *, decoding: Decoding, progress: Progress
) -> tuple[list[Header], list[PixelStatistics]]:
    """Headers and pixel statistics of images spread evenly over the records; unreadable ones are skipped."""
    headers, looks = [], []
    reasons = progress("looking at images", min(SAMPLED_IMAGES, len(records)))
    for record in _spread(records):
        reasons(1)
        found = read_image(record, at_least=_LOOK_PIXELS, decoding=decoding)
        header = read_header(found.encoded)
        if header is None:
            continue
        headers.append(header)  # also of images that cannot be decoded: bands of a sensor, for one
        if isinstance(found, ReadImage):
            looks.append(pixel_statistics(found.pixels))
    return headers, looks


def _spread(records: Sequence[ImageRecord]) -> Iterable[ImageRecord]:
    count = min(SAMPLED_IMAGES, len(records))
    return (records[index * len(records) // count] for index in range(count))
