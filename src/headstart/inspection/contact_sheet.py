"""Contact sheet of network inputs: each row is one image, its evaluation view and several augmented views."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

from headstart.data.decoders.decoded import Bands, Pixels, shown_bands
from headstart.data.loading import read_values, read_view
from headstart.data.preprocess import SHOWN_DEVIATIONS, picture_of_input, scale
from headstart.data.sources.reading import ImageRecord
from headstart.engine.views import training_view, view_rng
from headstart.files import write_atomically
from headstart.input_spec import InputSpec
from headstart.knowledge.domain import Flip

TRAINING_VIEWS = 5
_GAP = 6
_CAPTION = 16
_TITLE = 20


def write_contact_sheet(
    path: Path,
    records: Sequence[ImageRecord],
    spec: InputSpec,
    *,
    preset: Literal["none", "light", "standard", "strong", "trivial"],
    flip: Flip,
    seed: int,
) -> None:
    """Write a PNG, with the share of each image that the evaluation view cuts off.

    Views are scaled for the network and scaled back, so a wrong normalisation would show. Of bands three are shown.

    Raises:
        DataError: an image cannot be read.
    """
    rows, cuts = [], []
    for record in records:
        values = read_values(record, spec)
        rows.append(_row(record, values, spec, preset=preset, flip=flip, seed=seed))
        cuts.append(spec.share_cut(values.shape[1], values.shape[0]))
    columns = 1 + (TRAINING_VIEWS if preset != "none" else 0)
    width = _GAP + columns * (spec.size + _GAP)
    bands = _bands_text(spec)
    title = _TITLE + (_CAPTION if bands else 0)
    height = title + len(rows) * (spec.size + _CAPTION + _GAP)
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, 4), f"evaluation ({spec.resize_name})", fill="black")
    draw.text((2 * _GAP + spec.size, 4), f"training ({preset}, flip {flip})", fill="black")
    draw.text((_GAP, _TITLE), bands, fill="black")
    for index, (record, views, cut) in enumerate(zip(records, rows, cuts, strict=True)):
        top = title + index * (spec.size + _CAPTION + _GAP)
        for column, view in enumerate(views):
            sheet.paste(Image.fromarray(view), (_GAP + column * (spec.size + _GAP), top))
        draw.text((_GAP, top + spec.size + 2), f"{cut:.0%} cut off; {record.label}: {record.id}", fill="black")
    write_atomically(path, lambda aside: sheet.save(aside, "PNG"))


def _row(
    record: ImageRecord,
    pixels: Pixels | Bands,
    spec: InputSpec,
    *,
    preset: Literal["none", "light", "standard", "strong", "trivial"],
    flip: Flip,
    seed: int,
) -> list[Pixels]:
    inputs = [read_view(record, spec)]
    if preset != "none":
        for epoch in range(TRAINING_VIEWS):
            # The random numbers of epochs 0, 1, ...: the sheet shows the very views that training would draw.
            values = training_view(pixels, spec, preset=preset, flip=flip, rng=view_rng(seed, epoch, record.id))
            inputs.append(scale(values, spec))
    return [picture_of_input(np.asarray(view, np.float32), spec) for view in inputs]


def _bands_text(spec: InputSpec) -> str:
    """Which bands are shown, by their numbers in the files; nothing of images without bands."""
    if spec.channels_by is None:
        return ""
    numbers = spec.decoding.bands or range(1, spec.channels + 1)
    red, green, blue = (numbers[at] for at in shown_bands(spec.channels))
    spread = f"mean - {SHOWN_DEVIATIONS:g} std to mean + {SHOWN_DEVIATIONS:g} std"
    return f"bands {red}, {green}, {blue} as red, green, blue: {spread}"
