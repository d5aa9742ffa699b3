"""What a comparison folder tells: its answer, and the runs of its trials as far as they are there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.errors import RunError
from headstart.files import is_file, is_folder
from headstart.runs.folder import resume_command
from headstart.runs.record import RunFacts, Values, read_run

ANSWER = "comparison.json"
SETTLED = "comparison.yaml"
SCHEMA_VERSION = 1
_NEEDED = ("what", "finished", "metric", "seeds", "data", "trials", "variants", "pairs", "pareto")


@dataclass(frozen=True)
class ComparisonFacts:
    """One comparison; sections read it, and nothing else."""

    folder: Path
    answer: Values
    """comparison.json."""
    runs: Mapping[str, RunFacts]
    """Trial -> its run, where it can be read."""
    missing: Mapping[str, str]
    """Trial that is done -> why its run cannot be read."""

    @property
    def name(self) -> str:
        """Of the folder."""
        return self.folder.resolve().name

    @property
    def variants(self) -> Sequence[Values]:
        """What is compared, in the order of the comparison."""
        return list(self.answer["variants"])

    def number(self, variant: str) -> int:
        """The number by which drawings name a variant, from 1."""
        return [one["name"] for one in self.variants].index(variant) + 1

    def variant(self, name: str) -> Values | None:
        """One of them."""
        return next((one for one in self.variants if one["name"] == name), None)

    def runs_of(self, variant: str) -> list[RunFacts]:
        """Runs on all training images of one variant, by seed."""
        trials = sorted(
            (t for t in self.answer["trials"] if t["variant"] == variant and (t.get("rung") or 1.0) == 1.0),
            key=lambda trial: trial["seed"],
        )
        return [self.runs[t["trial"]] for t in trials if t["trial"] in self.runs]


def read_comparison(folder: Path) -> ComparisonFacts:
    """Read a comparison folder; runs that are gone or damaged are said, not an error.

    Raises:
        RunError: comparison.json is not there, damaged or newer, or no trial has ended yet.
    """
    answer = _answer(folder)
    if all(trial["state"] == "to_come" for trial in answer["trials"]):
        raise RunError(
            f"{folder} has no trial that ended yet",
            expected="a comparison with at least one",
            remedy=_way_on(folder),
        )
    runs, missing = {}, {}
    for trial in answer["trials"]:
        if trial["state"] != "done":
            continue
        try:
            runs[trial["trial"]] = read_run(_place(folder, trial))
        except RunError as error:
            missing[trial["trial"]] = error.found
    return ComparisonFacts(folder, answer, runs, missing)


def _way_on(folder: Path) -> str:
    return f"wait for its first trial, or if it was stopped, go on with: {resume_command('compare', folder)}"


def _answer(folder: Path) -> Values:
    path = folder / ANSWER
    if not is_file(path):
        raise RunError(
            f"{folder} has no {ANSWER} yet",
            expected="a comparison of which one trial has ended",
            remedy=_way_on(folder),
        )
    whole = {
        "expected": "the file as headstart compare wrote it",
        "remedy": f"it is rewritten by: {resume_command('compare', folder)}",
    }
    try:
        answer = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read ({str(error).splitlines()[0]})", **whole) from error
    if not isinstance(answer, dict) or answer.get("kind") != "comparison":
        raise RunError(f"{path} is damaged: it is no answer of a comparison", **whole)
    if answer.get("schema_version") != SCHEMA_VERSION:
        raise RunError(
            f"{path} has schema version {answer.get('schema_version')!r}",
            expected=str(SCHEMA_VERSION),
            remedy="pip install --upgrade headstart",
        )
    if missing := [name for name in _NEEDED if name not in answer]:
        raise RunError(f"{path} is damaged: {', '.join(missing)} is missing", **whole)
    return answer


def _place(folder: Path, trial: Values) -> Path:
    """Where a trial's run lies: beside the answer even if the comparison was moved, else where it was written."""
    here = folder / "trials" / str(trial["trial"])
    return here if is_folder(here) or not trial.get("run") else Path(trial["run"])
