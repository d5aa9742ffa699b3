"""Record of a comparison: comparison.json as types, written after every trial and read by every report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from headstart.comparison.grid import ComparisonKind, Metric
from headstart.comparison.identical import Entry
from headstart.comparison.learning_rate_labels import LearningRateLabel
from headstart.comparison.outcomes import Repeats, VariantMetrics
from headstart.comparison.recommendation import Recommendation
from headstart.comparison.verdicts import Pair, Role
from headstart.errors import RunError
from headstart.files import is_file
from headstart.machine import Environment
from headstart.prediction.inference_figures import InferenceFigures
from headstart.runs.folder import resume_command

if TYPE_CHECKING:
    from pydantic import TypeAdapter

RECORD_FILE = "comparison.json"
RECORD_KIND = "comparison"
RECORD_SCHEMA = 2
_MOST_FAULTS = 5
"""Named in the error of a damaged file."""

AccuracyStatus = Literal["measured", "needs download"]
"""needs download: the trial ran with random weights, so that only its time and memory count."""
VariantStatus = Literal["measured", "needs download", "dropped", "failed", "to come"]


@dataclass(frozen=True, slots=True)
class ComparedImages:
    """Classes and number of images by role; a number is None while no trial has ended."""

    source: str
    """DATA."""
    classes: tuple[str, ...] = ()
    train_images: int | None = None
    validation_images: int | None = None
    test_images: int | None = None
    validated_on: str | None = None
    """Where the validation images come from, in words."""
    tested_on: str | None = None
    """Where the test images come from, in words."""


@dataclass(frozen=True, slots=True)
class TrialResult:
    """One trial: its state, its accuracies and its cost."""

    trial: str
    """Name of its folder."""
    run: str
    """Its folder, where it was written."""
    variant: str
    seed: int
    rung: float
    """Share of the training images that it used; below 1 in the early rounds of successive halving."""
    state: Literal["to_come", "done", "failed"]
    fold: str | None = None
    """The fold on which it is tested, such as 2/5."""
    accuracy_status: AccuracyStatus | None = None
    """None unless it is done."""
    test_accuracy: float | None = None
    """0..1; None where it was not measured."""
    validation_accuracy: float | None = None
    """0..1, of the selected checkpoint; None where it was not measured."""
    seconds: float | None = None
    peak_memory_bytes: int | None = None
    resumed: int = 0
    """How often it was resumed."""
    error: str | None = None
    """Message of a failed trial, in a line."""
    selected_checkpoint: str | None = None
    """probe or PHASE/EPOCH; not written unless the trial is done."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            name: value
            for name, value in asdict(self).items()
            if name != "selected_checkpoint" or value is not None  # the only key that not every trial has
        }


@dataclass(frozen=True, slots=True)
class ProbeSelections:
    """Seeds in which fine-tuning did not beat the linear probe."""

    seeds: int
    of: int
    """Seeds in which something was fine-tuned."""


@dataclass(frozen=True, slots=True)
class TrainingTime:
    """Seconds of training and evaluation of one trial."""

    mean: float
    by_seed: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class VariantResult:
    """One variant: its metrics over seeds, and its cost. None is unknown."""

    name: str
    changes: dict[str, Any]
    """Option of `train` or path in the plan -> value."""
    strategy: str | None
    model: str | None
    weights: str
    seeds_done: int
    """Number of seeds, or of folds of all seeds, whose trials on all training images are done."""
    selected_probe: ProbeSelections | None
    """None where nothing was fine-tuned."""
    validation_method: str | None
    """Way in which its validation images were classified, in words."""
    accuracy_status: VariantStatus
    test: VariantMetrics | None
    validation: VariantMetrics | None
    seconds: TrainingTime | None
    peak_memory_bytes: int | None
    """Of training, the most of its trials."""
    parameters: int | None
    flops: float | None
    """Multiply-accumulates of one image."""
    inference: InferenceFigures | None
    learning_rate_label: LearningRateLabel | None
    """None unless learning rates are compared."""
    dropped_at: float | None
    """Share of the training images after which successive halving dropped it."""
    weights_missing: str | None
    """Why its pretrained weights are unavailable, and the way out."""
    errors: tuple[str, ...] = ()
    """Of its failed trials."""
    same_model_as: str | None = None
    """Variant whose trials selected the same network, if there is one."""

    @property
    def mean_seconds(self) -> float | None:
        """Mean training time of a trial."""
        return None if self.seconds is None else self.seconds.mean

    @property
    def stable_throughput(self) -> float | None:
        """Images a second; None where it is unknown or unstable."""
        return None if self.inference is None or self.inference.is_unstable else self.inference.images_per_second


@dataclass(frozen=True, slots=True)
class ParetoFronts:
    """Names of the variants of which no other is both more accurate and cheaper."""

    minutes: tuple[str, ...] = ()
    """Test accuracy and training time."""
    inference: tuple[str, ...] = ()
    """Test accuracy and throughput."""


@dataclass(frozen=True, slots=True)
class ComparisonRecord:
    """Result of a comparison from the trials that have ended so far."""

    comparison: str
    """Its folder, where it was written."""
    what: ComparisonKind
    finished: bool
    metric: Metric
    seeds: tuple[int, ...]
    halving: Literal["none", "successive"]
    data: ComparedImages
    trials: tuple[TrialResult, ...]
    """In the order of running."""
    trials_to_come: int
    variants: tuple[VariantResult, ...]
    """In the order of the plan."""
    pairs: tuple[Pair, ...]
    entries: tuple[Entry, ...]
    """Variants by model."""
    chosen: Recommendation | None
    """None where no accuracy was measured."""
    pareto: ParetoFronts
    seconds: float
    """Of all trials."""
    folds: int | None = None
    """Number of folds; None where all trials share one test set."""
    environment: Environment | None = None
    """Versions, machine and command when it began; None if unknown."""
    written: str = ""
    """ISO 8601, with the offset of the time zone."""
    command: str = ""
    resume: str | None = None
    """Command that resumes it; None where nothing is left to do."""
    why_resume: str | None = None
    """Reason to resume it, as the beginning of a sentence that ends in the command."""

    @property
    def folder(self) -> Path:
        """Its folder, where it was written."""
        return Path(self.comparison)

    @property
    def repeats(self) -> Repeats:
        """What the trials of a variant differ in."""
        return "seeds" if self.folds is None else "folds"

    @property
    def started(self) -> str:
        """Time at which it began, ISO 8601; empty if unknown."""
        return "" if self.environment is None else self.environment.started

    def variant(self, name: str) -> VariantResult | None:
        """Result of one variant; None if there is none of that name."""
        return next((one for one in self.variants if one.name == name), None)

    def pairs_on(self, role: Role) -> list[Pair]:
        """Verdicts on the images of one role."""
        return [pair for pair in self.pairs if pair.on == role]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the contents of comparison.json."""
        values = {"kind": RECORD_KIND, "schema_version": RECORD_SCHEMA, **asdict(self)}
        plain: dict[str, Any] = _plain(values | {"trials": [trial.to_dict() for trial in self.trials]})
        return plain

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ComparisonRecord:
        """The record with these values; keys that it does not have are ignored.

        Raises:
            ValueError: in one line, the first values that are missing or wrong, each with its path.
        """
        from pydantic import ValidationError

        from headstart.plan.faults import sentences

        try:
            return _adapter().validate_python(values)
        except ValidationError as error:
            found = sentences(error, dict(values))
            more = f"; and {len(found) - _MOST_FAULTS} more" if len(found) > _MOST_FAULTS else ""
            raise ValueError("; ".join(found[:_MOST_FAULTS]) + more) from error


def read_comparison_record(folder: Path) -> ComparisonRecord:
    """Record in the folder of a comparison.

    Raises:
        RunError: comparison.json is not there, damaged, or of another schema version.
    """
    path = folder / RECORD_FILE
    if not is_file(path):
        raise RunError(
            f"{folder} has no {RECORD_FILE} yet",
            expected="a comparison with at least one finished trial",
            remedy=remedy_before_first_trial(folder),
        )
    rewritten = f"it is rewritten by: {resume_command('compare', folder)}"

    def damaged(found: str) -> RunError:
        return RunError(f"{path} {found}", expected="the file as headstart compare wrote it", remedy=rewritten)

    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise damaged(f"cannot be read ({str(error).splitlines()[0]})") from error
    if not isinstance(values, dict) or values.get("kind") != RECORD_KIND:
        raise damaged("is damaged: it is not the result of a comparison")
    version = values.get("schema_version")
    if version != RECORD_SCHEMA:
        is_newer = isinstance(version, int) and version > RECORD_SCHEMA
        raise RunError(
            f"{path} has schema version {version!r}",
            expected=str(RECORD_SCHEMA),
            remedy="pip install --upgrade headstart" if is_newer else rewritten,
        )
    try:
        return ComparisonRecord.from_dict(values)
    except ValueError as error:
        raise damaged(f"is damaged: {error}") from error


def remedy_before_first_trial(folder: Path) -> str:
    """What to do where no trial has ended yet, in words."""
    return f"wait for its first trial, or if it was stopped, resume it with: {resume_command('compare', folder)}"


@cache
def _adapter() -> TypeAdapter[ComparisonRecord]:
    # Built once and late: pydantic takes some milliseconds for all these types, and --help needs none of them.
    from pydantic import TypeAdapter

    return TypeAdapter(ComparisonRecord)


def _plain(value: Any) -> Any:  # noqa: ANN401 - any field
    """Mappings and lists for JSON: tuples become lists, as they are read back."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
