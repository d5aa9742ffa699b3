"""runs: runs that are found, filtered, and compared on the test images they share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from headstart.errors import HeadstartError, RunError, nearest
from headstart.files import is_there
from headstart.plan.presets import STRATEGIES
from headstart.runs.finding import (
    DEFAULT_FOLDER,
    PRETRAINED_FOLDER,
    DamagedRun,
    Found,
    RunQuery,
    RunSummary,
    found_runs,
    started_instant,
    summary_of,
)
from headstart.runs.folder import Run
from headstart.runs.settings import Setting, differing_settings
from headstart.runs.tables import PredictedImage
from headstart.workflow.image_differences import image_difference

if TYPE_CHECKING:
    from headstart.comparison.finding import ComparisonSummary
    from headstart.comparison.verdicts import Pair
    from headstart.workflow.pretraining.finding import PretrainingSummary


@dataclass(frozen=True)
class RunList:
    """Runs and comparisons of a folder; `to_dict` is what `headstart runs --json` prints."""

    runs: tuple[RunSummary, ...]
    """Those that pass the query, sorted."""
    comparisons: tuple[ComparisonSummary, ...]
    """All that lie there: a query is about runs."""
    damaged: tuple[DamagedRun, ...]
    """Empty where the query asks for another state."""
    searched: int
    """Runs before the query, the damaged ones not counted."""
    pretrainings: tuple[PretrainingSummary, ...] = ()
    """All that lie there, the newest first."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "runs": [run.to_dict() for run in self.runs],
            "comparisons": [comparison.to_dict() for comparison in self.comparisons],
            "damaged": [run.to_dict() for run in self.damaged],
            "searched": self.searched,
            "pretrainings": [pretraining.to_dict() for pretraining in self.pretrainings],
        }


@dataclass(frozen=True)
class RunComparison:
    """Runs side by side; `to_dict` is what `headstart runs --compare --json` prints."""

    runs: tuple[RunSummary, ...]
    names: tuple[str, ...]
    """By which the pairs call them."""
    shared_images: int
    """Test images that all of the runs have."""
    same_images: bool
    """Whether all runs saw the same files; if not, images are the same by name only."""
    pairs: tuple[Pair, ...]
    """Paired test of every two of the runs, on the test images that both have, corrected for their number."""
    settings: dict[str, tuple[Setting | None, ...]]
    """Each setting in which they differ -> its value in each run."""
    image_differences: tuple[str, ...] = ()
    """Of each later run against the first, in a sentence: files, roles and why; empty where nothing differs."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "runs": [{"name": name, **run.to_dict()} for name, run in zip(self.names, self.runs, strict=True)],
            "shared_images": self.shared_images,
            "same_images": self.same_images,
            "image_differences": list(self.image_differences),
            "pairs": [pair.to_dict() for pair in self.pairs],
            "settings": {name: list(values) for name, values in self.settings.items()},
        }


def find_runs(folder: str | Path | None = None, query: RunQuery | None = None) -> RunList:
    """Runs under a folder.

    Args:
        folder: `runs` and `pretrained` if None, and then they need not be there.
        query: Which of them, and in which order; all, the newest first, if None.

    Raises:
        RunError: the folder is not there, or no strategy has the name.
    """
    query = query or RunQuery()
    if query.strategy is not None and query.strategy not in STRATEGIES:
        raise RunError(
            f"--strategy {query.strategy!r} is no strategy",
            expected=f"one of {', '.join(STRATEGIES)}",
            remedy=nearest(query.strategy, STRATEGIES),
        )
    found = _found(folder)
    comparisons, unreadable = _comparisons(found.comparisons)
    pretrainings, also_unreadable = _pretrainings(found.pretrainings)
    damaged = (*found.damaged, *unreadable, *also_unreadable) if query.state in (None, "damaged") else ()
    return RunList(query.select(found.runs), comparisons, damaged, len(found.runs), pretrainings)


def _found(folder: str | Path | None) -> Found:
    """What lies under a folder, or under both usual ones."""
    if folder is not None:
        return found_runs(Path(folder))
    runs, pretrained = (
        found_runs(usual) if is_there(usual) else Found((), (), ()) for usual in (DEFAULT_FOLDER, PRETRAINED_FOLDER)
    )
    return Found(
        runs.runs + pretrained.runs,
        runs.comparisons + pretrained.comparisons,
        runs.damaged + pretrained.damaged,
        runs.pretrainings + pretrained.pretrainings,
    )


def _pretrainings(folders: Sequence[Path]) -> tuple[tuple[PretrainingSummary, ...], tuple[DamagedRun, ...]]:
    """(pretrainings, the newest first; those that cannot be read)."""
    if not folders:
        return (), ()
    from headstart.workflow.pretraining.finding import pretraining_summary

    return _read_folders(folders, pretraining_summary)


def _comparisons(folders: Sequence[Path]) -> tuple[tuple[ComparisonSummary, ...], tuple[DamagedRun, ...]]:
    """(comparisons, the newest first; those that cannot be read)."""
    if not folders:
        return (), ()
    from headstart.comparison.finding import comparison_summary

    return _read_folders(folders, comparison_summary)


class _Started(Protocol):
    @property
    def started(self) -> str: ...


_Summary = TypeVar("_Summary", bound=_Started)


def _read_folders(
    folders: Sequence[Path], summary: Callable[[Path], _Summary]
) -> tuple[tuple[_Summary, ...], tuple[DamagedRun, ...]]:
    """(summaries, the newest first; folders that cannot be read)."""
    read: list[_Summary] = []
    damaged: list[DamagedRun] = []
    for folder in folders:
        try:
            read.append(summary(folder))
        except (HeadstartError, OSError) as error:  # the latter: it was removed meanwhile, or may not be read
            damaged.append(DamagedRun(str(folder), str(error)))
    read.sort(key=lambda one: started_instant(one.started), reverse=True)
    return tuple(read), tuple(damaged)


def compare_runs(folders: Sequence[str | Path]) -> RunComparison:
    """Paired tests of finished runs on the test images they share, and the settings in which they differ.

    Each run is one trained network with one seed: the verdict is about these networks, not about their recipes.

    Args:
        folders: Of two or more runs.

    Raises:
        RunError: fewer than two, one of them has no test figures yet, or they share no test image.
    """
    from headstart.comparison.verdicts import compare_pairs

    places = list(dict.fromkeys(Path(folder) for folder in folders))
    if len(places) < 2:
        raise RunError(f"{len(places)} run to compare", expected="two or more: --compare RUN_A --compare RUN_B")
    runs = [Run.open(place) for place in places]
    summaries = tuple(summary_of(place) for place in places)
    for run, summary in zip(runs, summaries, strict=True):
        if summary.accuracy is None:
            raise RunError(
                f"{run.folder} has no test figures yet ({summary.why})", remedy=f"resume it with: {run.resume_command}"
            )
    names = _short_names(places)
    predictions = {name: _predictions(run) for name, run in zip(names, runs, strict=True)}
    labels = _labels(predictions)
    shared = set.intersection(*(set(rows) for rows in predictions.values()))
    groups = [run.data().group_of for run in runs]
    outcomes = [_outcomes(name, rows, of) for (name, rows), of in zip(predictions.items(), groups, strict=True)]
    pairs = compare_pairs(outcomes, on="test")
    if not pairs:
        raise RunError(
            f"{' and '.join(names)} share none of their {len(labels):,} test images",
            expected="runs on the same data, split alike",
            remedy="train both on folders with the same val or test images, or with one seed",
        )
    found = [
        (name, image_difference((names[0], name), (runs[0], run)))
        for name, run in zip(names[1:], runs[1:], strict=True)
    ]
    said = tuple(f"{names[0]} and {name}: {difference.sentence}" for name, difference in found if difference.sentence)
    alike = all(difference.files == "same" for _, difference in found)
    return RunComparison(summaries, names, len(shared), alike, tuple(pairs), differing_settings(runs), said)


def _short_names(places: Sequence[Path]) -> tuple[str, ...]:
    """The last part of each path, or all of it where two end alike."""
    short = [place.name for place in places]
    return tuple(short) if len(set(short)) == len(short) else tuple(map(str, places))


_Predictions = dict[str, PredictedImage]
"""Test image -> its prediction."""


def _predictions(run: Run) -> _Predictions:
    return {row.image: row for row in run.predictions()}


def _labels(predictions: dict[str, _Predictions]) -> dict[str, str]:
    """Image -> class, of all runs.

    Raises:
        RunError: two runs disagree, so an image of one is not that of the other.
    """
    labels: dict[str, str] = {}
    for name, rows in predictions.items():
        for image, row in rows.items():
            if labels.setdefault(image, row.label) != row.label:
                raise RunError(
                    f"{image} is {row.label!r} in {name} and {labels[image]!r} in a run before it",
                    expected="runs on the same data, with the same classes",
                )
    return labels


def _outcomes(name: str, rows: _Predictions, groups: Mapping[str, str]) -> Any:  # noqa: ANN401 - comparison.outcomes is imported late
    from headstart.comparison.outcomes import Outcomes

    correct = {image: float(row.is_correct) for image, row in rows.items()}
    together = {image: groups[image] for image in correct if image in groups}
    return Outcomes(name, "accuracy", {0: correct}, {}, together)  # one number for all: seeds are matched by it
