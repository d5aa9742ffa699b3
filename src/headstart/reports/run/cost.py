"""Section of the report on estimated and measured time, and section on how to reproduce the run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from headstart.html import wording
from headstart.html.kit import PageSection, command, paragraph, table
from headstart.html.markup import NOTHING, Html, joined, tag
from headstart.html.tracks import bar
from headstart.machine import Environment
from headstart.runs.record import RunRecord
from headstart.runs.run_metrics import MeasuredEstimate, MeasuredPhase

_SPEEDS_FROM = {
    "measured": "The estimate used speeds of this network that were measured on this machine before.",
    "related": "The estimate used speeds of other networks or a quick benchmark on this machine.",
    "guessed": "Nothing had run on this machine before, so the estimate was a rough guess.",
}


def cost_section(run: RunRecord) -> PageSection | None:
    """Section on estimated and measured time, phase by phase; None for a run without estimates."""
    estimates = None if run.metrics is None else run.metrics.estimates
    if estimates is None:
        return None
    longest = max([max(one.seconds, one.measured_seconds or 0.0) for one in estimates.phases], default=1.0) or 1.0
    before = wording.duration(estimates.elapsed_seconds)
    rows = [_row(phase, longest) for phase in estimates.phases]
    rows.append(["before the first phase", before, before, None])
    rows.append(
        ["total", wording.duration(estimates.total_seconds), wording.duration(estimates.measured_seconds), None]
    )
    parts = [
        paragraph(f"{_verdict(estimates)} {_SPEEDS_FROM[estimates.speeds]}"),
        table(
            ["phase", "estimated time", "measured time", "estimated (striped) and measured (solid)"],
            rows,
            says="Estimated and measured time by phase",
            numeric=(1, 2),
        ),
        paragraph(
            f"Estimated memory: {wording.size(estimates.memory_bytes)}. Estimated size of the cached activations: "
            f"{wording.size(estimates.stored_bytes)}.",
            style="small",
        ),
    ]
    return PageSection("cost", "Estimated and measured time", joined(parts))


def _row(phase: MeasuredPhase, longest: float) -> list[str | None]:
    measured = phase.measured_seconds
    bars = joined([bar(phase.seconds / longest, "two striped"), bar((measured or 0.0) / longest)])
    text = wording.duration(measured) if measured else "not run"
    return [phase.name, wording.duration(phase.seconds), text, bars]


def _verdict(estimates: MeasuredEstimate) -> str:
    """Both totals, and by how much they differ."""
    estimated, measured = estimates.total_seconds, estimates.measured_seconds
    ends = f"Estimated {wording.duration(estimated)}, measured {wording.duration(measured)}"
    if not estimated or not measured:
        return f"{ends}."
    ratio = measured / estimated
    if 0.8 <= ratio <= 1.25:
        return f"{ends}: they differ by less than a quarter."
    times = f"{ratio:.1f} times as long as" if ratio > 1 else f"{1 / ratio:.1f} times faster than"
    return f"{ends}: {times} estimated."


def again_section(run: RunRecord) -> PageSection:
    """Section with the command, the plan, and the machine."""
    given = command_line(run.environment.command)
    parts = [
        paragraph("The command:") if given else None,
        command(given) if given else None,
        paragraph("Or from the plan, which holds every value:"),
        command(f"headstart train --plan {shlex.quote(str(run.folder / 'plan.yaml'))} --out runs/again"),
        paragraph(
            f"The result is the same bit for bit on the same machine, with the same versions and number of threads, "
            f"seed {run.plan.seed}, and the same images (hash of names, classes, roles and contents: ",
            tag("code", run.data.content),
            ").",
        ),
        environment_table(run.environment),
    ]
    return PageSection("again", "How to reproduce it", joined(parts))


def command_line(words: Sequence[str] | str) -> str:
    """A command as one types it: the program without its folder, `headstart` for `python -m headstart`."""
    if isinstance(words, str):
        return words
    if not words:
        return ""
    program = Path(words[0]).name
    return shlex.join(["headstart" if program == "__main__.py" else program, *words[1:]])


def environment_table(environment: Environment) -> Html:
    """Table of versions and machine."""
    rows: list[list[str | None]] = [[name, version] for name, version in environment.versions.items()]
    machine = {
        "Python": environment.python,
        "operating system": environment.platform,
        "CPU cores": environment.cpu_count,
        "threads of PyTorch": environment.threads,
        "started": environment.started,
    }
    rows += [[name, str(value)] for name, value in machine.items() if value is not None]
    return table(["name", "value"], rows, says="Versions and machine") if rows else NOTHING
