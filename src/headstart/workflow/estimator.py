"""HeadstartClassifier: the workflow of `train` as a scikit-learn estimator that learns from paths of images."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from headstart.data.inputs import image_files
from headstart.data.tables import is_there
from headstart.errors import DataError, Interrupted, RunError, require
from headstart.features.predictor import Predictor, load
from headstart.plan import DataPlan, Grain, NoncommercialWeights
from headstart.presets import DEFAULT_STRATEGY, HeadKind, HeadSolver, PeakRates, Resize
from headstart.run import Run
from headstart.train.trackers import chosen_trackers
from headstart.workflow.plans import TrainOptions
from headstart.workflow.train import train

require("sklearn", extra="train")  # a missing extra is answered before the imports that need it

from sklearn.base import BaseEstimator, ClassifierMixin  # noqa: E402
from sklearn.utils import check_array, check_consistent_length, column_or_1d  # noqa: E402
from sklearn.utils.multiclass import check_classification_targets  # noqa: E402
from sklearn.utils.validation import check_is_fitted  # noqa: E402

if TYPE_CHECKING:
    from sklearn.utils import Tags

Paths = Sequence[str | os.PathLike[str]] | npt.NDArray[Any]
"""(N,) paths of image files."""

_NO_OPTIONS = ("out", "report_share", "bits", "track")
"""Parameters that are not among the options of `train`."""


class InputError(DataError, ValueError):
    """X or y cannot be paths or labels; a ValueError too, because that is what callers of scikit-learn catch."""


class HeadstartClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Learns classes from image files; X is a 1-D sequence of their paths.

    `fit` does what `headstart train` does with a table of these paths and labels: it divides the images into those
    that fit, select and report, makes a plan, trains, and judges once. A share of every class (`report_share`)
    reports and is never learned from; `metrics_["val"]` holds the figures on it. The kept network's head is solved
    again on all the others. Which images report depends on the seed and on the paths.

    A pickle carries the trained model and needs no folder.
    """

    classes_: npt.NDArray[Any]
    """(K,) labels, sorted, of the dtype of y."""
    bundle_: Path
    """Folder of the trained model, for `headstart.load` and `headstart predict`."""
    run_: Run
    """What `fit` left. Without `out` it goes with this object, and an unpickled one has none."""
    metrics_: dict[str, Any]
    """What `headstart train --json` prints; classes stand there as text."""
    _trained: _Trained

    def __init__(
        self,
        model: str | None = None,
        strategy: str = DEFAULT_STRATEGY,
        domain: str | None = None,
        input_size: int | None = None,
        resize: Resize | None = None,
        bits: int | None = None,
        epochs: int | None = None,
        thaw: int | None = None,
        rates: str | None = None,
        peak_rates: PeakRates = "planned",
        grain: Grain | None = None,
        noncommercial_weights: NoncommercialWeights = "refuse",
        augmentation: str | None = None,
        head: HeadKind = "linear",
        head_solver: HeadSolver = "solved",
        batch_size: int | None = None,
        seed: int = 0,
        budget_seconds: float | None = None,
        report_share: float = 0.2,
        out: str | Path | None = None,
        track: Sequence[str] = (),
    ) -> None:
        """Keep the parameters; `fit` checks them.

        Args:
            model: See `headstart models`; the default network if None.
            strategy: How to train; auto takes the advice of `headstart advise`.
            domain: photo, medical, satellite, document or industrial; photo if None.
            input_size: Side of the input square in pixels, 32..2048; the size of the weights if None.
            resize: crop, squash or letterbox: how an image becomes a square; the way of the weights if None.
            bits: Bits that grey values with more than 8 bits use; all of the file's type if None.
            epochs: Of every trained phase; the strategy decides if None.
            thaw: Backbone groups that learn, counted from the last; the strategy decides if None.
            rates: Name of a preset in `headstart.facts.RATE_PRESETS`; the strategy decides if None.
            peak_rates: planned, or find: range tests multiply the planned rates of head and backbone.
            grain: What a layer group is, stage or block; the rates decide if None, else stage.
            noncommercial_weights: refuse or allow weights whose licence forbids commercial use.
            augmentation: none, light, standard, strong or trivial; the domain decides if None.
            head: linear, mlp or multi_depth.
            head_solver: solved, ridge or adam.
            batch_size: Images in a step; 32 if None.
            seed: Of every draw.
            budget_seconds: Of each fit; None has no limit.
            report_share: Share of the images of every class that reports, between 0 and 1.
            out: Folder in which each fit keeps a table and a run: `fit-1.csv` and `fit-1`, then `fit-2`, and so on;
                a temporary folder if None.
            track: Places each fit is written to as well, such as `mlflow` (in `out`) or `mlflow:sqlite:///runs.db`.
        """
        self.model = model
        self.strategy = strategy
        self.domain = domain
        self.input_size = input_size
        self.resize = resize
        self.bits = bits
        self.epochs = epochs
        self.thaw = thaw
        self.rates = rates
        self.peak_rates = peak_rates
        self.grain = grain
        self.noncommercial_weights = noncommercial_weights
        self.augmentation = augmentation
        self.head = head
        self.head_solver = head_solver
        self.batch_size = batch_size
        self.seed = seed
        self.budget_seconds = budget_seconds
        self.report_share = report_share
        self.out = out
        self.track = track

    def fit(
        self,
        X: Paths,  # noqa: N803 - the name in scikit-learn
        y: Sequence[Any] | npt.NDArray[Any],
        groups: Sequence[Any] | npt.NDArray[Any] | None = None,
    ) -> Self:
        """Train on image files.

        Args:
            X: (N,) paths; one that stands there twice counts once.
            y: (N,) labels: text, whole numbers or truth values.
            groups: (N,) names of patients, scenes or pages, whose images stay on one side of every split; None and
                NaN belong to nobody.

        Raises:
            ValueError: X is no 1-D sequence of paths, y holds no labels, or their lengths differ; or `track` names no
                place and there is no `out`.
            HeadstartError: what `train` refuses, such as a file that does not exist or a class with one image.
            KeyboardInterrupt: Ctrl-C or SIGTERM.
        """
        if self.out is None and any(choice.where is None for choice in chosen_trackers(self.track)):
            raise InputError(
                f"track={list(self.track)} writes beside a run that goes with this object",
                remedy="set `out`, or name a place, such as mlflow:sqlite:///runs.db",
            )
        labels, files = _labels(y), _paths(X)
        check_consistent_length(files, labels, groups)
        _refuse_missing(files)
        classes, index = np.unique(labels, return_inverse=True)
        names = _names(classes)
        temporary = _TemporaryFolder() if self.out is None else None
        with _claimed(temporary.path if temporary else Path(self.out or ".")) as run_folder:
            table = run_folder.with_suffix(".csv")
            _write_table(table, files, [names[i] for i in index], groups)
            try:
                answer = train(self._options(table), out=run_folder, track=self.track)
            except Interrupted as stopped:
                # A search over parameters goes on after any error but this one.
                words = str(stopped) if temporary is None else "stopped; without `out` nothing is kept"
                raise KeyboardInterrupt(words) from stopped
        self.classes_ = classes
        self.run_, self.bundle_, self.metrics_ = answer.run, answer.run.bundle, answer.metrics
        self._trained = _Trained(self.bundle_, temporary)
        return self

    def predict(self, X: Paths) -> npt.NDArray[Any]:  # noqa: N803
        """(N,) the most probable class of each image, of the dtype of `classes_`.

        Raises:
            NotFittedError: `fit` comes first.
            ValueError: X is no 1-D sequence of paths.
            DataError: a file does not exist or is no image.
        """
        best = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[best])

    def predict_proba(self, X: Paths) -> npt.NDArray[np.float64]:  # noqa: N803
        """(N, K) probabilities, columns in the order of `classes_`.

        Raises:
            NotFittedError: `fit` comes first.
            ValueError: X is no 1-D sequence of paths.
            DataError: a file does not exist or is no image.
        """
        check_is_fitted(self)
        files = _paths(X)
        _refuse_missing(files)
        predictor = self._trained.predictor
        columns = [predictor.classes.index(name) for name in _names(self.classes_)]
        return predictor.probabilities(image_files(files))[:, columns]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array, tags.input_tags.two_d_array = True, False
        tags.input_tags.string = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "_trained" in state:
            temporary = state.pop("_trained").temporary
            if temporary is not None and "run_" in state and state["run_"].folder.is_relative_to(temporary.path):
                del state["run_"]
            folder = state.pop("bundle_")
            files = sorted(path for path in folder.rglob("*") if path.is_file())
            state["_bundle_files"] = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        files = state.pop("_bundle_files", None)
        super().__setstate__(state)
        if files is not None:
            temporary = _TemporaryFolder()
            self.bundle_ = temporary.path / "bundle"
            self._trained = _Trained(self.bundle_, temporary)
            for name, content in files.items():
                (self.bundle_ / name).parent.mkdir(parents=True, exist_ok=True)
                (self.bundle_ / name).write_bytes(content)

    def _options(self, table: Path) -> TrainOptions:
        given = {k: v.item() if isinstance(v, np.generic) else v for k, v in self.get_params(deep=False).items()}
        data = DataPlan.from_options(source=str(table), report_share=given["report_share"], bits=given["bits"])
        return TrainOptions(data, **{name: value for name, value in given.items() if name not in _NO_OPTIONS})


@dataclass
class _Trained:
    """A bundle, loaded when it is first asked; apart from the estimator, which asking must not change."""

    bundle: Path
    temporary: _TemporaryFolder | None
    """Keeps the bundle's folder there."""

    @functools.cached_property
    def predictor(self) -> Predictor:
        return load(self.bundle)


class _TemporaryFolder:
    """A folder that goes when this object does, or with the process that made it."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="headstart-"))
        weakref.finalize(self, _remove, self.path, os.getpid())


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked process has the object too, but not the folder
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _claimed(root: Path) -> Iterator[Path]:
    """Name of a run folder that no other fit has; the table beside it holds the claim, and goes if no run comes of it.

    Raises:
        RunError: `root` cannot be made.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        run_folder = _claim(root.absolute())
    except OSError as error:
        raise RunError(f"{root} cannot be used as out ({error.strerror})", remedy="choose another folder") from error
    try:
        yield run_folder
    finally:
        if not run_folder.exists():
            run_folder.with_suffix(".csv").unlink(missing_ok=True)


def _claim(root: Path) -> Path:
    for number in itertools.count(1):
        run_folder = root / f"fit-{number}"
        with contextlib.suppress(FileExistsError):
            run_folder.with_suffix(".csv").touch(exist_ok=False)
            if not run_folder.exists():
                return run_folder
    raise AssertionError("numbers do not end")


def _write_table(table: Path, files: Sequence[str], labels: Sequence[str], groups: Any) -> None:  # noqa: ANN401
    """Write the images as DATA; paths are absolute, because the table does not lie with them."""
    import pyarrow as pa
    import pyarrow.csv

    columns = {"image": [Path(file).absolute().as_posix() for file in files], "label": list(labels)}
    if groups is not None:
        columns["group"] = [_group_name(group) for group in groups]
    try:
        pa.csv.write_csv(pa.table(columns), table)
    except UnicodeEncodeError as error:
        raise DataError(f"{error.object!r} is not valid UTF-8", remedy="rename the file or the class") from error


def _group_name(group: object) -> str:
    nobody = group is None or (not isinstance(group, str) and str(group) in ("nan", "<NA>"))
    return "" if nobody else str(group)


def _names(classes: npt.NDArray[Any]) -> list[str]:
    """Labels as the text that stands for them in tables and bundles."""
    return [str(label) for label in classes.tolist()]


def _paths(paths: Any) -> list[str]:  # noqa: ANN401 - whatever a user gives as X
    """X as text.

    Raises:
        InputError: not 1-D, empty, or something in it is no path.
    """
    expected = "a 1-D sequence of paths of image files (str or Path)"
    kind = f"{type(paths).__module__}.{type(paths).__qualname__}".removeprefix("builtins.")
    values = np.asarray(paths, dtype=object)
    if values.ndim != 1:
        raise InputError(f"X is {kind} with shape {values.shape}", expected=expected)
    if not len(values):
        raise InputError(f"X is {kind} with 0 paths", expected="at least one")
    for position, value in enumerate(values):
        if not isinstance(value, str | os.PathLike):
            raise InputError(f"X[{position}] is {type(value).__qualname__} {value!r:.60}", expected=expected)
    return [str(os.fspath(value)) for value in values]


def _refuse_missing(files: Sequence[str]) -> None:
    missing = [position for position, file in enumerate(files) if not is_there(Path(file))]
    if missing:
        first = f"X[{missing[0]}], {files[missing[0]]:.200}"
        raise DataError(
            f"{len(missing)} of {len(files)} paths in X are no files (first: {first})",
            expected=f"paths of image files, absolute or relative to {Path.cwd()}",
        )


def _labels(labels: Any) -> npt.NDArray[Any]:  # noqa: ANN401 - whatever a user gives as y
    """Y as an array of one label an image.

    Raises:
        ValueError: in scikit-learn's words, or InputError where it has none.
    """
    if labels is None:
        raise InputError("fit requires y to be passed, but the target y is None", expected="one label for each path")
    checked = column_or_1d(check_array(labels, ensure_2d=False, dtype=None, input_name="y"), warn=True)
    if checked.dtype == object:
        for position, label in enumerate(checked):
            if not isinstance(label, str):
                raise InputError(f"y[{position}] is {label!r:.60}", expected="labels of one type; no label is missing")
    check_classification_targets(checked)
    return np.asarray(checked)
