"""preview: a contact sheet of images as the network sees them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from headstart.data.band_count import with_band_count
from headstart.data.sources.reading import ImageRecord, open_source
from headstart.data.sources.source_names import is_place
from headstart.errors import DataError, require
from headstart.files import is_folder
from headstart.plan.request import Request
from headstart.runs.progress import no_progress
from headstart.training.channels.adapting import SetAdapter
from headstart.workflow.images import read_watched, requested_input, training_images
from headstart.workflow.plans import domain_found, make_plan


def write_preview(options: Request, path: Path) -> None:
    """Write a contact sheet: images exactly as the network sees them, evaluation view and training views.

    Raises:
        DataError: nothing to show.
    """
    refuse_preview(options.data.source, path)
    require("torch", extra="train")
    from headstart.inspection.contact_sheet import write_contact_sheet

    plan = make_plan(options, domain_found(options))
    records = open_source(plan.data.source, links=plan.data.links).records
    view = requested_input(options)
    spec = replace(view, decoding=with_band_count(view.decoding, records, channels=plan.input.channels))
    if spec.decoding.band_count is not None:  # statistics and pictures are those of readable images
        records = read_watched(records, no_progress, decoding=spec.decoding).readable
        adapter = SetAdapter(training_images(plan, records), channels=plan.input.channels, seed=plan.seed)
        spec = adapter.adapted(spec).spec
    write_contact_sheet(
        path,
        _examples(records),
        spec,
        preset=plan.augmentation.preset,
        flip=plan.augmentation.flip,
        seed=plan.seed,
    )


def refuse_preview(source: str, path: Path) -> None:
    """Refuse a place for the preview that would mislead or do harm, before anything is read.

    Raises:
        DataError: another suffix than .png, or a file inside DATA, where it would be an image without a class.
    """
    if path.suffix.lower() != ".png":
        raise DataError(
            f"the preview is a PNG, and {path} has another suffix", remedy=f"write {path.with_suffix('.png')}"
        )
    folder = Path(source)
    if is_place(source) and is_folder(folder) and folder.resolve() in path.resolve().parents:
        raise DataError(
            f"the preview {path} would lie in {source} and be taken for one of its images",
            remedy="choose a place outside DATA",
        )


def _examples(records: Sequence[ImageRecord], *, per_class: int = 2, most: int = 12) -> list[ImageRecord]:
    """A few images of every class."""
    taken: Counter[str] = Counter()
    chosen: list[ImageRecord] = []
    for record in records:
        if taken[record.label] < per_class and len(chosen) < most:
            taken[record.label] += 1
            chosen.append(record)
    return chosen
