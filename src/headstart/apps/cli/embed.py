"""The command `headstart embed`: features of images, in the activation cache or in a file."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.amounts import bytes_text
from headstart.apps.cli.options import data_and_json
from headstart.apps.cli.options import training as of
from headstart.apps.cli.text.printing import channels_lines, json_text, show_text
from headstart.errors import Interrupted

if TYPE_CHECKING:
    from headstart.delivery.features import EmbedFigures


class PrecisionOption(StrEnum):
    """Precision of cached activations."""

    float16 = "float16"
    float32 = "float32"


def embed(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="As for train; labels are written to the file, and not used.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", help="A .npz or .parquet file, or the folder of a cache. Default: the activation cache."
        ),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="ARCH, ARCH:TAG or ARCH:file:PATH.")] = None,
    layer: Annotated[
        str, typer.Option("--layer", help="pooled: input of the head. A layer group: its input.")
    ] = "pooled",
    views: Annotated[
        int, typer.Option("--views", help="Augmented views of each image, in addition to the plain one.")
    ] = 0,
    input_size: Annotated[
        int | None, typer.Option("--input-size", help="Side in pixels.", rich_help_panel="Data")
    ] = None,
    resize: of.ResizeOption = None,
    bits: of.Bits = None,
    bands: of.BandsOption = None,
    window: of.WindowOption = None,
    contrast: of.ContrastOption = None,
    channels: of.UnprobedChannels = None,
    links: of.LinksOption = "inside",
    precision: Annotated[
        PrecisionOption, typer.Option("--precision", help="Of the stored features.")
    ] = PrecisionOption.float16,
    allow_noncommercial: of.AllowNoncommercial = False,
    as_json: data_and_json.Json = False,
) -> None:
    """Compute features of images with a frozen network.

    They are kept in the activation cache, so that a second call computes only what is missing.
    """
    from headstart.apps.cli.text import console
    from headstart.delivery.features import is_feature_file, write_features
    from headstart.plan.sections import DataPlan
    from headstart.workflow.embedding import EmbedOptions, fill_store

    to_file = out is not None and is_feature_file(out)
    part = DataPlan.from_options(source=data, bits=bits, bands=bands, window=window, contrast=contrast)
    options = EmbedOptions(
        data,
        model=model,
        layer=layer,
        views=views,
        input_size=input_size,
        resize=resize,
        decoding=part.decoding,
        channels=channels,
        links=links,
        precision=precision.value,
        store=None if to_file else out,
        noncommercial_weights="allow" if allow_noncommercial else "refuse",
    )
    given = {"-o": out, "--model": model, "--layer": layer, "--views": views, "--input-size": input_size}
    given |= {"--resize": resize, "--bits": bits, "--bands": bands, "--window": window, "--contrast": contrast}
    given |= {"--channels": channels}
    given |= {"--links": None if links == "inside" else links}
    given |= {"--precision": precision.value, "--allow-noncommercial": allow_noncommercial}
    with console.training() as watcher:
        try:
            filled = fill_store(options, progress=watcher.progress)
        except Interrupted as stopped:
            raise Interrupted(stopped.found, remedy=f"resume with: {command_of(data, given)}") from stopped
    file = out if to_file else None
    if file is not None:
        write_features(filled, file)
    if as_json:
        written = {} if file is None else {"file": str(file)}
        show_text(json_text(filled.figures.to_dict() | written))
    else:
        show_text(embedded_text(filled.figures, file=file))


def command_of(data: str, given: Mapping[str, object]) -> str:
    """The command line that does the same, without what is the default."""
    usual: Mapping[str, object] = {"--layer": "pooled", "--views": 0, "--precision": "float16"}
    words = ["headstart", "embed", data]
    for name, value in given.items():
        if value is True:
            words.append(name)
        elif value not in (None, False) and value != usual.get(name):
            words += [name, str(value)]
    return shlex.join(words)


def embedded_text(figures: EmbedFigures, *, file: Path | None = None) -> str:
    """What was computed, how long it took, and where it is.

    Args:
        figures: Of the filling.
        file: The file that was written.
    """
    rows = figures.images * (1 + figures.views)
    views = "" if not figures.views else f" in {1 + figures.views} views"
    lines = [
        f"{figures.images:,} images{views}, {figures.model}, {figures.cut_point}",
        f"{figures.computed:,} rows computed by {figures.engine}, {figures.stored_before:,} were cached",
        f"{figures.seconds:.1f} s, {rows / max(figures.seconds, 1e-9):.0f} rows/s, start included",
        f"{bytes_text(figures.bytes)} of these features in {figures.store}",
    ]
    lines += channels_lines(figures.channels_by)
    for name, reason in list(figures.unreadable.items())[:3]:
        lines.append(f"left out {name}: {reason}")
    if (more := len(figures.unreadable) - 3) > 0:
        lines.append(f"left out {more} more that cannot be read (see --json)")
    lines += [f"warning: {finding.evidence}; {finding.remedy}" for finding in figures.findings]
    if file is not None:
        lines.append(f"written: {file}")
    return "\n".join(lines)
