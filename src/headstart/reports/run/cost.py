"""Section of the report on estimated and measured time, and section on how to repeat the run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from headstart.html import wording
from headstart.html.kit import PageSection, command, paragraph, table
from headstart.html.markup import NOTHING, Html, joined, tag
from headstart.html.tracks import bar
from headstart.runs.record import RecordValues, RunFacts

_SPEEDS_FROM = {
    "measured": "The estimate used speeds of this network that were measured on this machine before.",
    "related": "The estimate used speeds of other networks or a quick benchmark on this machine.",
    "guessed": "Nothing had run on this machine before, so the estimate was a rough guess.",
}


def cost_section(run: RunFacts) -> PageSection | None:
    """Estimated and measured time, phase by phase; None for a run without estimates."""
    estimates = (run.metrics or {}).get("estimates")
    if not estimates:
        return None
    phases = estimates["phases"]
    longest = max([max(phase["seconds"], phase.get("measured_seconds") or 0.0) for phase in phases], default=1.0) or 1.0
    rows = [_row(phase, longest) for phase in phases]
    before = estimates["elapsed_seconds"]
    rows.append(["before the first phase", wording.duration(before), wording.duration(before), None])
    rows.append(
        ["all", wording.duration(estimates["total_seconds"]), wording.duration(estimates["measured_seconds"]), None]
    )
    parts = [
        paragraph(f"{_verdict(estimates)} {_SPEEDS_FROM.get(estimates['speeds'], '')}"),
        table(
            ["phase", "estimated", "measured", "estimated (striped) and measured (full)"],
            rows,
            says="Estimated and measured time by phase",
            numeric=(1, 2),
        ),
        paragraph(
            f"Memory was estimated at {wording.size(estimates['memory_bytes'])}; the store at "
            f"{wording.size(estimates['stored_bytes'])}.",
            style="small",
        ),
    ]
    return PageSection("cost", "Time: estimated and measured", joined(parts))


def _row(phase: RecordValues, longest: float) -> list[str | None]:
    took = phase.get("measured_seconds")
    bars = joined([bar(phase["seconds"] / longest, "two striped"), bar((took or 0.0) / longest)])
    return [phase["name"], wording.duration(phase["seconds"]), wording.duration(took) if took else "did not run", bars]


def _verdict(estimates: RecordValues) -> str:
    said, took = estimates["total_seconds"], estimates["measured_seconds"]
    ends = f"estimated {wording.duration(said)}, measured {wording.duration(took)}"
    if not said or not took:
        return f"{ends}."
    ratio = took / said
    if 0.8 <= ratio <= 1.25:
        return f"{ends}: within a quarter of each other."
    return f"{ends}: {f'{ratio:.1f} times as long' if ratio > 1 else f'{1 / ratio:.1f} times as fast'}."


def again_section(run: RunFacts) -> PageSection:
    """The command, the plan, and the machine."""
    given = command_line(run.environment.get("command", ()))
    parts = [
        paragraph("The command as it was typed:") if given else None,
        command(given) if given else None,
        paragraph("Or from the plan, which holds every value:"),
        command(f"headstart train --plan {shlex.quote(str(run.folder / 'plan.yaml'))} --out runs/again"),
        paragraph(
            f"The same bits come out on the same machine with the same versions and number of threads, seed "
            f"{run.plan.get('seed', 0)}, and the same images (hash of all that took part: ",
            tag("code", str(run.data.get("content", "\u2013"))),
            ").",
        ),
        environment_table(run.environment),
    ]
    return PageSection("again", "To do it again", joined(parts))


def command_line(words: Sequence[str] | str) -> str:
    """A command as one types it; the program without the folder it lies in."""
    if isinstance(words, str):
        return words
    return shlex.join([Path(words[0]).name, *words[1:]]) if words else ""


def environment_table(environment: RecordValues) -> Html:
    """Versions and machine."""
    versions = environment.get("versions") or {}
    rows: list[list[str | None]] = [[name, str(version)] for name, version in versions.items()]
    names = {
        "python": "Python",
        "platform": "system",
        "cpu_count": "cores",
        "threads": "threads computed with",
        "started": "started",
    }
    rows += [[name, str(environment[path])] for path, name in names.items() if environment.get(path) is not None]
    return table(["what", "value"], rows, says="Versions and machine") if rows else NOTHING
