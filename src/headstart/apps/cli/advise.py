"""The command `headstart advise`: what to do with a set of images, and why."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.apps.cli.options import data_and_json
from headstart.apps.cli.options import training as of
from headstart.apps.cli.text.printing import json_text, show_text, wrapped, write_file
from headstart.errors import HeadstartError

if TYPE_CHECKING:
    from headstart.advice.choices import Reason
    from headstart.advice.result import Advice


DETAILS = frozenset({"l2_penalty", "epochs", "optimizer", "selection.patience", "batch_size"})
"""Last part of paths whose reasons stand in the plan only."""


class AdviseDomain(StrEnum):
    """Names of the domains, and auto."""

    auto = "auto"
    photo = "photo"
    medical = "medical"
    satellite = "satellite"
    document = "document"
    industrial = "industrial"


class GpuOption(StrEnum):
    """What will compute."""

    auto = "auto"
    none = "none"
    one = "one"


def advise(
    data: Annotated[str | None, typer.Argument(metavar="DATA", help="Images to measure; or give --images.")] = None,
    images: Annotated[int | None, typer.Option("--images", help="Labelled training images.")] = None,
    domain: Annotated[
        AdviseDomain | None,
        typer.Option(
            "--domain", help="Domain of the images; auto measures it in DATA. Default: auto, without DATA photo."
        ),
    ] = None,
    similarity: Annotated[
        str | None,
        typer.Option(
            "--similarity", help="Domain similarity to ImageNet: low, medium, high or 0..1. Default: measured in DATA."
        ),
    ] = None,
    classes: Annotated[
        int | None, typer.Option("--classes", help="Default: counted in DATA.", rich_help_panel="Data")
    ] = None,
    channels: Annotated[
        int | None,
        typer.Option(
            "--channels", help="1 is grey; more than 3 are bands. Default: as DATA, else 3.", rich_help_panel="Data"
        ),
    ] = None,
    unlabelled: Annotated[
        int, typer.Option("--unlabelled", help="Unlabelled images of the same domain.", rich_help_panel="Data")
    ] = 0,
    resolution: Annotated[
        int | None,
        typer.Option(
            "--resolution", help="Shorter side of the images in pixels. Default: as DATA.", rich_help_panel="Data"
        ),
    ] = None,
    budget: Annotated[str | None, typer.Option("--budget", help="Time limit: 90s, 10m, 2h or unlimited.")] = None,
    cores: Annotated[
        int | None,
        typer.Option("--cores", help="CPU cores of the training machine. Default: this one's.", rich_help_panel="Run"),
    ] = None,
    gpu: Annotated[
        GpuOption, typer.Option("--gpu", help="GPU of the training machine; auto: as this one.", rich_help_panel="Run")
    ] = GpuOption.auto,
    model: Annotated[
        str | None, typer.Option("--model", help="Network; decided here if not given. See `headstart models`.")
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            "--group",
            help="Regular expression on the image path; what its group 1 matches stays on one side of a split.",
            rich_help_panel="Data",
        ),
    ] = None,
    bits: of.Bits = None,
    bands: of.BandsOption = None,
    window: of.WindowOption = None,
    contrast: of.ContrastOption = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Write the plan here as YAML.")] = None,
    as_json: data_and_json.Json = False,
) -> None:
    """Advise on strategy, network and settings for your images.

    With reasons and costs, and why not the other strategies. Nothing is trained.
    """
    from headstart.apps.cli.options.parsing import parse_seconds
    from headstart.plan.sections import DataPlan
    from headstart.workflow import advising

    if (data is None) == (images is None):
        raise typer.BadParameter("give DATA or --images, one of them", param_hint="DATA")
    decoding = {"bits": bits, "bands": bands, "window": window, "contrast": contrast}
    part = None
    if data is not None:
        part = DataPlan.from_options(source=data, group=group, **decoding)
    elif any(value is not None for value in decoding.values()):
        raise typer.BadParameter("--bits, --bands, --window and --contrast are about DATA", param_hint="--images")
    advice = advising.advise(
        part,
        images=images,
        classes=classes,
        domain=None if domain is None else domain.value,
        similarity=parse_similarity(similarity),  # type: ignore[arg-type]  # the situation checks the words
        unlabelled=unlabelled,
        channels=channels,
        resolution=resolution,
        budget_seconds=parse_seconds(budget),
        cores=cores,
        gpu=gpu.value,
        model=model,
        group=group if part is None else None,
        **_watched(data),
    )
    if out is not None:
        write_file(out, advice.plan.to_yaml())
    if as_json:
        result = advice.to_dict() | ({"plan_file": str(out)} if out is not None else {})
        show_text(json_text(result))
    else:
        show_text(advice_text(advice, plan_file=out))


def _watched(data: str | None) -> dict[str, Any]:
    """Bars on stderr where images are read; advice from numbers alone loads nothing for them."""
    if data is None:
        return {}
    from headstart.apps.cli.text import console

    return {"progress": console.progress()}


def parse_similarity(text: str | None) -> float | str | None:
    """`low`, `medium`, `high` stay words; `0.7` becomes a number; None stays None.

    Raises:
        HeadstartError: anything else.
    """
    if text is None or text in ("low", "medium", "high"):
        return text
    try:
        return float(text)
    except ValueError:
        raise HeadstartError(f"--similarity {text!r}", expected="low, medium, high or a number in 0..1") from None


def advice_text(advice: Advice, *, plan_file: Path | None = None) -> str:
    """Advice as text: strategy and network, reasons, rejected strategies, further steps, cost, and the next command."""
    size = advice.plan.input.size
    shown = _shown(advice)
    lines = [
        f"strategy  {advice.strategy}",
        f"model     {advice.model}" + ("" if size == "auto" else f" at {size} px"),
        "",
        "why",
        *(wrapped(f"{reason.path}: {reason.reason} [{reason.source}]", first="  ", rest="    ") for reason in shown),
        f"  ({len(advice.reasons) - len(shown)} more in --json, and in the plan's reasons)",
        "",
        "why not",
        *(wrapped(f"{name}: {why}", first="  ", rest="    ") for name, why in advice.rejected.items()),
    ]
    if advice.steps:
        lines += ["", "further steps"]
        lines += [
            wrapped(f"{step.when}: {step.name}: {step.text} [{step.source}]", first="  ", rest="    ")
            for step in advice.steps
        ]
    lines += ["", *_cost_lines(advice)]
    lines += [f"warning: {warning}" for warning in advice.warnings]
    return "\n".join([*lines, "", *_next_lines(advice, plan_file)])


def _shown(advice: Advice) -> list[Reason]:
    """The main reasons, each once where several phases have it."""
    seen: set[tuple[str, str]] = set()
    shown = []
    for reason in advice.reasons:
        key = (reason.path.rpartition("]")[2], reason.reason)
        if key not in seen and key[0].removeprefix(".") not in DETAILS:
            seen.add(key)
            shown.append(reason)
    return shown


def _cost_lines(advice: Advice) -> list[str]:
    from headstart.amounts import duration_text, usd_text

    cost, costs = advice.cost, advice.costs
    hardware = costs.machine.hardware
    what = f"{hardware.cores} cores" + (" and a GPU" if hardware.gpu == "one" else "")
    usual = costs.to_dict(advice.strategy, images=advice.situation.images)["usual"]["from_scratch"]
    return [
        f"cost      about {duration_text(cost.seconds)} on {what}, {cost.memory_gb:.1f} GB of memory, "
        f"{cost.disk_gb:.1f} GB of disk; rented {usd_text(cost.usd)}",
        f"          from scratch instead: {usual['labelled_images']} labelled images, {usual['time']}, {usual['usd']} "
        f"of GPU time, risk {usual['risk']}; here about {duration_text(costs.scratch.seconds)}",
        f"          throughput: {costs.machine.assumption}",
        f"          rented: {costs.machine.rented.machine}, ${costs.machine.rented.usd_per_hour:g} an hour; "
        f"{costs.machine.rented.source}",
    ]


def _next_lines(advice: Advice, plan_file: Path | None) -> list[str]:
    from headstart.workflow.plans import missing_steps

    data = advice.plan.data.source
    lines = ["next"]
    missing = missing_steps(advice.plan.requires)
    if missing:
        lines = [f"next (train refuses the plan, because it cannot yet do: {', '.join(missing)})"]
    if advice.command_says_all and not missing:
        lines.append(f"  {advice.command(data)}")
    file = "plan.yaml" if plan_file is None else str(plan_file)
    written = "" if plan_file is not None else "   (-o plan.yaml writes it)"
    lines.append(f"  headstart train {shlex.quote(data)} --plan {shlex.quote(file)}{written}")
    return lines
