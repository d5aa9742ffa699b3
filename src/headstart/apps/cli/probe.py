"""The command `headstart probe`: how much of a network transfers to a set of images, layer group by layer group."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.apps.cli.options import data_and_json
from headstart.apps.cli.options import training as of
from headstart.apps.cli.text.printing import channels_lines, json_text, next_line, show_text, wrapped
from headstart.files import not_written, refuse_unwritable, write_json

if TYPE_CHECKING:
    from headstart.workflow.probing import DepthProbe

_MOST_LEFT_OUT = 3


def probe(
    data: Annotated[str, typer.Argument(metavar="DATA", help="As for train; the test set is not read.")],
    model: Annotated[
        str | None, typer.Option("--model", help="ARCH, ARCH:TAG or ARCH:file:PATH; default: the run's, or train's.")
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run",
            help="A run on DATA: CKA shows how far fine-tuning moved each group. Its test set is not read.",
            rich_help_panel="Run",
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            "--group",
            help="What stays in one fold: group 1 of a regular expression on the image path, folder:LEVEL or "
            "column:NAME.",
            rich_help_panel="Data",
        ),
    ] = None,
    limit: Annotated[
        str | None, typer.Option("--limit", help="A seeded sample: 1000, or 100/class.", rich_help_panel="Data")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            help="Train with the same seed to keep the test set unseen. Default: the run's, or 0.",
            rich_help_panel="Run",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Write the result here as JSON.")] = None,
    chart: Annotated[
        Path | None,
        typer.Option("--chart", help="Write a chart as .svg, or as .html with its table.", rich_help_panel="Run"),
    ] = None,
    bits: of.Bits = None,
    bands: of.BandsOption = None,
    window: of.WindowOption = None,
    contrast: of.ContrastOption = None,
    channels: of.UnprobedChannels = None,
    patches: Annotated[
        Path | None,
        typer.Option(
            "--patches",
            help="Write a .png of the patches with the strongest activations in each group.",
            rich_help_panel="Run",
        ),
    ] = None,
    allow_noncommercial: of.AllowNoncommercial = False,
    as_json: data_and_json.Json = False,
) -> None:
    """Measure how well each layer group separates your classes.

    A linear probe and the nearest neighbours, out of fold, after every layer group of a frozen network.
    """
    from headstart.apps.cli.text import console
    from headstart.plan.sections import DataPlan
    from headstart.workflow import probing

    check_places(out, chart)
    decoding = {"bits": bits, "bands": bands, "window": window, "contrast": contrast}
    part = DataPlan.from_options(source=data, **decoding)
    with console.training() as watcher:
        found = probing.probe(
            data,
            model=model,
            run=run,
            group=group,
            limit=limit,
            seed=seed,
            decoding=part.decoding,
            channels=channels,
            patches=patches,
            noncommercial_weights="allow" if allow_noncommercial else "refuse",
            progress=watcher.progress,
        )
    result = found.to_dict()
    if chart is not None:
        from headstart.html.depth_chart import write_chart

        write_chart(found, chart)
        result |= {"chart": str(chart)}
    if out is not None:
        try:
            write_json(out, result)
        except OSError as error:
            raise not_written(out, error) from error
    view = {**decoding, "channels": channels}
    show_text(json_text(result) if as_json else probed_text(found, chart=chart, view=view))


def check_places(out: Path | None, chart: Path | None) -> None:
    """Refuse files that cannot be written before anything is computed.

    Raises:
        HeadstartError: a place where no file can be written, or a chart of another kind.
    """
    if chart is not None:
        from headstart.html.depth_chart import check_chart_path

        check_chart_path(chart)
    for path in (out, chart):
        if path is not None:
            refuse_unwritable(path)


def probed_text(
    probe: DepthProbe, *, chart: Path | None = None, view: Mapping[str, int | str | None] | None = None
) -> str:
    """Depth probe as text: what it means, the table of the chart, and the files that were written.

    Args:
        probe: The result.
        chart: The chart that was written.
        view: Options of decoding and channels that were given, for the next command.
    """
    from headstart.html.depth_chart import method_text, table_rows

    rows = table_rows(probe)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    sides = "<<" + ">" * (len(widths) - 2)
    form = "  ".join(f"{{:{side}{width}}}" for side, width in zip(sides, widths, strict=True))
    lines = [
        wrapped(probe.sentence),
        "",
        f"{probe.model} at {probe.input_size} px on {probe.data}",
        "",
        *(form.format(*row).rstrip() for row in rows),
        "",
        wrapped(method_text(probe)),
        *channels_lines(probe.channels_by),
        f"{probe.seconds:.1f} s",
    ]
    for name, reason in list(probe.unreadable.items())[:_MOST_LEFT_OUT]:
        lines.append(f"left out {name}: {reason}")
    if (more := len(probe.unreadable) - _MOST_LEFT_OUT) > 0:
        lines.append(f"left out {more} more that cannot be read (see --json)")
    if probe.patches is not None:
        lines += [f"no patches of {name}: {reason}" for name, reason in probe.patches.without.items()]
        lines.append(f"patches: {probe.patches.file}")
    if chart is not None:
        lines.append(f"chart: {chart}")
    also = [word for name, value in (view or {}).items() if value is not None for word in (f"--{name}", str(value))]
    return "\n".join([*lines, next_line(*_train_command(probe), *also)])


def _train_command(probe: DepthProbe) -> tuple[str, ...]:
    """Words of the training that comes next: it tunes the groups after the best one if they have lost information.

    Otherwise the default strategy compares the linear probe and a tuned network.
    """
    command = ("train", probe.data, "--model", probe.model)
    best = probe.curve.falls_from
    if best is None:
        return command
    groups = [one.group for one in probe.curve.groups]
    return (*command, "--strategy", "partial", "--unfreeze", str(len(groups) - 1 - groups.index(best)))
