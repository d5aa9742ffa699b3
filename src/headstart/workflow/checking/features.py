"""Features of the images of DATA for `check`: from the activation cache, where training finds them too."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from headstart.data.checks.image_checks import FileFacts
from headstart.data.sources.reading import WHOLE, ImageRecord
from headstart.engine.known.features import pooled_part
from headstart.engine.known.pretrained import feature_extractor
from headstart.engine.store.activations import Activations, matrix_of, plain_view
from headstart.engine.store.store import ActivationStore
from headstart.input_spec import InputSpec
from headstart.inspection.features.checked_features import CheckedFeatures
from headstart.networks.cards.catalog import ModelChoice
from headstart.runs.progress import Progress
from headstart.training.channels.adapting import SetAdapter

MOST_COMPARED_IMAGES = 10_000
"""Images whose features are compared: more would take minutes, and findings about classes and splits need no more."""


def checked_features(
    facts: FileFacts,
    groups: Mapping[str, str],
    choice: ModelChoice,
    spec: InputSpec,
    *,
    progress: Progress,
) -> CheckedFeatures:
    """Features of at most MOST_COMPARED_IMAGES images, those of a stratified sample where there are more.

    Of images with several bands the network is adapted to the training images as it is before a training.

    Args:
        facts: Of all images.
        groups: Image id -> group.
        choice: The network.
        spec: What it sees of the images.
        progress: Receives the progress.

    Raises:
        DataError: an image of several bands cannot be read.
        MissingExtraError: the network was never used here, and torch is not installed.
        DiskFullError: no room for the features.
    """
    records = stratified(_one_a_file(facts), most=MOST_COMPARED_IMAGES)
    adapted = SetAdapter([record for record in records if record.split in ("train", WHOLE)] or records).adapted(spec)
    part = pooled_part(feature_extractor(choice, size=adapted.spec.size, purpose="features", adapter=adapted.adapter))
    digests = {record.id: bytes.fromhex(facts.digests[record.id]) for record in records}
    activations = Activations(part, adapted.spec, digests, ActivationStore(), images_to_come=len(records))
    tick: Callable[[int], object] = progress(f"features ({part.cut_point})", len(records))
    rows = activations.reader(records, [plain_view(adapted.spec)], on_images=tick)
    return CheckedFeatures(tuple(records), matrix_of(rows), facts, groups, spec.decoding)


def stratified(records: Sequence[ImageRecord], *, most: int) -> list[ImageRecord]:
    """The records; where there are more than `most`, the same share of each class and split, at least one.

    Args:
        records: In any order, which is kept.
        most: About so many are taken.
    """
    if len(records) <= most:
        return list(records)
    strata: dict[tuple[str, str], list[ImageRecord]] = defaultdict(list)
    for record in records:
        strata[record.split, record.label].append(record)
    taken = set()
    for held in strata.values():
        # By a hash of the name, so that the sample does not depend on how files are listed.
        held.sort(key=lambda record: hashlib.blake2b(record.id.encode(), digest_size=8).digest())
        taken |= {record.id for record in held[: max(1, most * len(held) // len(records))]}
    return [record for record in records if record.id in taken]


def _one_a_file(facts: FileFacts) -> list[ImageRecord]:
    """The first record of each distinct file: copies have findings of their own."""
    first: dict[str, ImageRecord] = {}
    for record in facts.readable:
        first.setdefault(facts.digests[record.id], record)
    return list(first.values())
