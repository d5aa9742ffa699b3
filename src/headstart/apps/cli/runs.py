"""The command `headstart runs`: runs, filtered, sorted and compared."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.amounts import count_text
from headstart.apps.cli.options import data_and_json
from headstart.apps.cli.text.printing import json_text, next_line, show_text
from headstart.errors import HeadstartError

if TYPE_CHECKING:
    from headstart.comparison.finding import ComparisonSummary
    from headstart.runs.finding import RunQuery, RunSummary
    from headstart.runs.settings import Setting
    from headstart.workflow.pretraining.finding import PretrainingSummary
    from headstart.workflow.runs import RunComparison, RunList


class RunStateOption(StrEnum):
    """Names of the states of a run; see `runs.state.RunState`."""

    finished = "finished"
    stopped = "stopped"
    running = "running"
    interrupted = "interrupted"
    damaged = "damaged"


class RunSortOption(StrEnum):
    """By what runs are sorted."""

    date = "date"
    accuracy = "accuracy"
    seconds = "seconds"


_AGES = {"h": "hours", "d": "days", "w": "weeks"}


def runs(
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="FOLDER", help="Where to look; default: runs and pretrained.")
    ] = None,
    strategy: Annotated[str | None, typer.Option("--strategy", help="Only this one.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Part of the model's name.")] = None,
    data: Annotated[str | None, typer.Option("--data", help="Part of the data's name.")] = None,
    state: Annotated[RunStateOption | None, typer.Option("--state", help="Only runs that are so.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="A day such as 2026-11-01, or an age: 12h, 7d.")] = None,
    min_accuracy: Annotated[
        float | None,
        typer.Option("--min-accuracy", min=0.0, max=1.0, help="Least accuracy on the test set, such as 0.9."),
    ] = None,
    sort: Annotated[RunSortOption, typer.Option("--sort", help="date: the newest first.")] = RunSortOption.date,
    compare: Annotated[
        list[Path] | None,
        typer.Option(
            "--compare", metavar="RUN", help="Compare runs with paired tests: --compare RUN RUN, or repeated."
        ),
    ] = None,
    as_json: data_and_json.Json = False,
) -> None:
    """List runs, or compare them on the images they share."""
    from headstart.runs.finding import RunQuery
    from headstart.workflow.runs import compare_runs, find_runs

    query = RunQuery(
        strategy=strategy,
        model=model,
        data=data,
        state=None if state is None else state.value,
        since=None if since is None else parse_since(since),
        min_accuracy=min_accuracy,
        sort=sort.value,
    )
    if compare:
        if query != RunQuery():
            raise typer.BadParameter("filters and --sort have no effect together with it", param_hint="--compare")
        compared = compare_runs([*compare, *(folders or ())])
        show_text(json_text(compared.to_dict()) if as_json else compared_text(compared))
        return
    if folders and len(folders) > 1:
        raise typer.BadParameter("give one folder, or runs after --compare", param_hint="FOLDER")
    found = find_runs(folders[0] if folders else None, query)
    show_text(json_text(found.to_dict()) if as_json else found_text(found, query))


def parse_since(text: str, *, now: datetime | None = None) -> datetime:
    """`2026-11-01`, `2026-11-01T08:00`, or an age: `12h`, `7d`, `2w`; the time zone is this machine's.

    Raises:
        HeadstartError: anything else.
    """
    if found := re.fullmatch(r"(\d+)([hdw])", text.strip()):
        now = now or datetime.now().astimezone()
        try:
            return now - timedelta(**{_AGES[found[2]]: int(found[1])})
        except OverflowError:
            return datetime.fromtimestamp(0).astimezone()
    try:
        return datetime.fromisoformat(text.strip()).astimezone()
    except ValueError as error:
        raise HeadstartError(
            f"--since {text!r} is no time", expected="a day such as 2026-11-01, or an age such as 12h, 7d or 2w"
        ) from error


def found_text(found: RunList, query: RunQuery) -> str:
    """Number of runs, a table of them, then what is not finished, comparisons, damaged runs, and the next command."""
    from headstart.runs.finding import RunQuery

    lines: list[str] = []
    finished = [run for run in found.runs if run.state == "finished"]
    if found.runs:
        lines += [f"{count_text(len(found.runs), 'run')}, {len(finished)} finished", ""]
        lines += _table(_HEADS, [_row(run) for run in found.runs])
    elif query.state == "damaged":
        lines += [] if found.damaged else ["no damaged runs here"]
    elif found.searched:
        lines.append(f"none of {found.searched} runs matches; leave out a filter")
    elif not found.damaged and not found.comparisons and not found.pretrainings:
        lines.append("no runs here; headstart train DATA makes one under runs/")
    if open_runs := [run for run in found.runs if run.state != "finished"]:
        lines += ["", "not finished:"]
        lines += [f"  {run.run}: {run.why}" + (f"; {run.resume}" if run.resume else "") for run in open_runs]
    if found.comparisons and query == RunQuery(sort=query.sort):  # a filter asks for runs
        lines += ["", "comparisons (headstart runs COMPARISON lists the trials):"]
        lines += [f"  {_comparison_line(comparison)}" for comparison in found.comparisons]
    if found.pretrainings and query == RunQuery(sort=query.sort):
        lines += ["", "pretrainings:"]
        lines += [f"  {_pretraining_line(pretraining)}" for pretraining in found.pretrainings]
    if found.damaged:
        lines += ["", "damaged:", *(f"  {run.run}: {run.reason}" for run in found.damaged)]
    if len(finished) > 1:
        lines += ["", next_line("runs", "--compare", finished[0].run, finished[1].run)]
    elif finished:
        lines += ["", next_line("report", finished[0].run)]
    return "\n".join(lines).strip("\n")


_HEADS = ("run", "started", "state", "accuracy", "", "images", "took", "strategy", "model", "data", "seed")


def _row(run: RunSummary) -> tuple[str, ...]:
    from headstart.amounts import duration_text

    interval = run.accuracy_interval
    return (
        run.run,
        run.started[:16].replace("T", " "),
        run.state,
        "-" if run.accuracy is None else f"{run.accuracy:.3f}",
        "" if interval is None else f"({interval[0]:.3f}..{interval[1]:.3f})",
        "-" if run.images is None else f"{run.images:,}",
        "-" if run.seconds is None else duration_text(run.seconds),
        run.strategy,
        run.model,
        run.data,
        str(run.seed),
    )


def _comparison_line(of: ComparisonSummary) -> str:
    line = f"{of.comparison}: {of.what}, {of.done} of {of.trials} trials done"
    if of.chosen is not None:
        line += f", chosen {of.chosen}" if not of.tied else f", a tie of {of.tied + 1}, the cheapest {of.chosen}"
    if of.accuracy is not None and of.accuracy_interval is not None:
        line += f" ({of.accuracy:.3f}, {of.accuracy_interval[0]:.3f}..{of.accuracy_interval[1]:.3f})"
    return line + (f"; {of.resume}" if of.resume else "")


def _pretraining_line(of: PretrainingSummary) -> str:
    how_far = f"{of.epochs} epochs" if of.done in (None, of.epochs) else f"{of.done} of {of.epochs} epochs"
    line = f"{of.pretraining}: {of.state}, {of.init} on {of.data}, {how_far}" + (f"; {of.why}" if of.why else "")
    line += f"; --model {of.model}" if of.model is not None else ""
    return line + (f"; {of.resume}" if of.resume else "")


def compared_text(compared: RunComparison) -> str:
    """Paired tests of runs first, then the runs as a table, and the settings that differ."""
    lines = [f"on the {compared.shared_images:,} test images that all of them share:"]
    if len(compared.runs) > 2:
        lines = ["pairs, on the test images that both share:"]
    lines += [f"  {pair.sentence} [{pair.images:,} images]" for pair in compared.pairs]
    lines += [f"  images of {sentence}" for sentence in compared.image_differences]
    rows = [(name, *_row(run)) for name, run in zip(compared.names, compared.runs, strict=True)]
    lines += ["", *_table(("name", *_HEADS), rows)]
    if compared.settings:
        table = [(name, *map(_value, values)) for name, values in compared.settings.items()]
        lines += ["", "settings that differ:", *_table(("setting", *compared.names), table)]
    else:
        lines += ["", "no setting differs"]
    return "\n".join(lines)


def _value(setting: Setting | None) -> str:
    return "-" if setting is None else f"{setting:g}" if isinstance(setting, float) else str(setting)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as their widest entry."""
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    return ["  ".join(f"{text:<{w}}" for text, w in zip(row, widths, strict=True)).rstrip() for row in (heads, *rows)]
