"""Contents of a comparison folder: its result, and the runs of its trials that can be read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.errors import RunError
from headstart.files import is_file, is_folder
from headstart.runs.folder import resume_command
from headstart.runs.record import RecordValues, RunFacts, read_run

RESULT_FILE = "comparison.json"
PLAN_FILE = "comparison.yaml"
KNOWN_SCHEMA = 2
_NEEDED = ("what", "finished", "metric", "seeds", "data", "trials", "variants", "pairs", "pareto")


@dataclass(frozen=True)
class ComparisonFacts:
    """Contents of one comparison folder; the only input of the sections."""

    folder: Path
    result: RecordValues
    """comparison.json."""
    runs: Mapping[str, RunFacts]
    """Trial -> its run, if it can be read."""
    missing: Mapping[str, str]
    """Finished trial -> reason why its run cannot be read."""

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.resolve().name

    @property
    def variants(self) -> Sequence[RecordValues]:
        """Rows of `variants`, in the order of the comparison."""
        return list(self.result["variants"])

    def number(self, variant: str) -> int:
        """Number of a variant in charts, from 1."""
        return [one["name"] for one in self.variants].index(variant) + 1

    def variant(self, name: str) -> RecordValues | None:
        """Row of one variant; None if there is none of that name."""
        return next((one for one in self.variants if one["name"] == name), None)

    def runs_of(self, variant: str) -> list[RunFacts]:
        """Runs of one variant on all training images, by seed."""
        trials = sorted(
            (t for t in self.result["trials"] if t["variant"] == variant and (t.get("rung") or 1.0) == 1.0),
            key=lambda trial: trial["seed"],
        )
        return [self.runs[t["trial"]] for t in trials if t["trial"] in self.runs]


def read_comparison_facts(folder: Path) -> ComparisonFacts:
    """Contents of a comparison folder; runs that are missing or damaged are listed, not an error.

    Raises:
        RunError: comparison.json is not there, damaged or newer, or no trial has ended yet.
    """
    result = _result(folder)
    if all(trial["state"] == "to_come" for trial in result["trials"]):
        raise RunError(
            f"{folder} has no finished trial yet",
            expected="a comparison with at least one finished trial",
            remedy=_way_on(folder),
        )
    runs, missing = {}, {}
    for trial in result["trials"]:
        if trial["state"] != "done":
            continue
        try:
            runs[trial["trial"]] = read_run(_place(folder, trial))
        except RunError as error:
            missing[trial["trial"]] = error.found
    return ComparisonFacts(folder, result, runs, missing)


def _way_on(folder: Path) -> str:
    return f"wait for its first trial, or if it was stopped, resume it with: {resume_command('compare', folder)}"


def _result(folder: Path) -> RecordValues:
    path = folder / RESULT_FILE
    if not is_file(path):
        raise RunError(
            f"{folder} has no {RESULT_FILE} yet",
            expected="a comparison with at least one finished trial",
            remedy=_way_on(folder),
        )
    whole = {
        "expected": "the file as headstart compare wrote it",
        "remedy": f"it is rewritten by: {resume_command('compare', folder)}",
    }
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read ({str(error).splitlines()[0]})", **whole) from error
    if not isinstance(result, dict) or result.get("kind") != "comparison":
        raise RunError(f"{path} is damaged: it is not the result of a comparison", **whole)
    version = result.get("schema_version")
    if version != KNOWN_SCHEMA:
        is_newer = isinstance(version, int) and version > KNOWN_SCHEMA
        raise RunError(
            f"{path} has schema version {version!r}",
            expected=str(KNOWN_SCHEMA),
            remedy="pip install --upgrade headstart" if is_newer else whole["remedy"],
        )
    if missing := [name for name in _NEEDED if name not in result]:
        raise RunError(f"{path} is damaged: {', '.join(missing)} is missing", **whole)
    return result


def _place(folder: Path, trial: RecordValues) -> Path:
    """Folder of a trial's run: next to the result even if the comparison was moved, else where it was written."""
    here = folder / "trials" / str(trial["trial"])
    return here if is_folder(here) or not trial.get("run") else Path(trial["run"])
