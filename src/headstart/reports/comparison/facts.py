"""Contents of a comparison folder: its record, and the runs of its trials that can be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.comparison.record import (
    ComparisonRecord,
    TrialResult,
    VariantResult,
    read_comparison_record,
    remedy_before_first_trial,
)
from headstart.errors import RunError
from headstart.files import is_folder
from headstart.runs.record import RunRecord, read_run


@dataclass(frozen=True)
class ComparisonFacts:
    """Contents of one comparison folder; the only input of the sections."""

    folder: Path
    record: ComparisonRecord
    runs: Mapping[str, RunRecord]
    """Trial -> its run, if it can be read."""
    missing: Mapping[str, str]
    """Finished trial -> reason why its run cannot be read."""

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.resolve().name

    @property
    def variants(self) -> Sequence[VariantResult]:
        """Results of the variants, in the order of the comparison."""
        return self.record.variants

    def number(self, variant: str) -> int:
        """Number of a variant in charts, from 1."""
        return [one.name for one in self.variants].index(variant) + 1

    def runs_of(self, variant: str) -> list[RunRecord]:
        """Runs of one variant on all training images, by seed and fold."""
        trials = sorted(
            (trial for trial in self.record.trials if trial.variant == variant and trial.rung == 1.0),
            key=lambda trial: (trial.seed, int((trial.fold or "0").split("/")[0])),
        )
        return [self.runs[trial.trial] for trial in trials if trial.trial in self.runs]


def read_comparison_facts(folder: Path) -> ComparisonFacts:
    """Contents of a comparison folder; runs that are missing or damaged are listed, not an error.

    Raises:
        RunError: comparison.json is not there, damaged or newer, or no trial has ended yet.
    """
    record = read_comparison_record(folder)
    if all(trial.state == "to_come" for trial in record.trials):
        raise RunError(
            f"{folder} has no finished trial yet",
            expected="a comparison with at least one finished trial",
            remedy=remedy_before_first_trial(folder),
        )
    runs, missing = {}, {}
    for trial in record.trials:
        if trial.state != "done":
            continue
        try:
            runs[trial.trial] = read_run(_place(folder, trial))
        except RunError as error:
            missing[trial.trial] = error.found
    return ComparisonFacts(folder, record, runs, missing)


def _place(folder: Path, trial: TrialResult) -> Path:
    """Folder of a trial's run: next to the record even if the comparison was moved, else where it was written."""
    here = folder / "trials" / trial.trial
    return here if is_folder(here) or not trial.run else Path(trial.run)
