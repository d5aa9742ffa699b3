"""HeadstartClassifier: the workflow of `train` as a scikit-learn estimator on images or their paths."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import secrets
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter, Signature, signature
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack

import numpy as np
import numpy.typing as npt

from headstart.arguments import refuse_unknown
from headstart.data.sources.given_images import records_of
from headstart.data.sources.image_bytes import InputError
from headstart.errors import Interrupted, RunError, require
from headstart.plan.plan import DataPlan, Plan
from headstart.plan.request import OPTIONS, Request
from headstart.prediction.predictor import Predictor, load
from headstart.runs.folder import Run
from headstart.training.trackers.trackers import chosen_trackers
from headstart.workflow.keywords import INSTEAD, TrainKeywords, defaults, with_keywords
from headstart.workflow.training.result import TrainResult
from headstart.workflow.training.train import train

require("sklearn", extra="train")  # a missing extra is named before the imports that need it

from sklearn.base import BaseEstimator, ClassifierMixin  # noqa: E402
from sklearn.utils import check_consistent_length  # noqa: E402
from sklearn.utils.validation import check_is_fitted  # noqa: E402

from headstart.workflow.estimator.inputs import (  # noqa: E402
    ImageInputs,
    images_folder,
    images_of,
    labels_of,
    names_of,
    refuse_missing,
    weights_of,
    write_table,
)

if TYPE_CHECKING:
    from sklearn.utils import Tags

_OF_FILES = ("test_fraction", "bits", "bands", "window", "contrast", "links")
"""Parameters that a `DataPlan` takes."""
_NO_OPTIONS = ("plan", "random_state", "class_weight", "out", "track", *_OF_FILES)
"""Parameters that are not among the options of `train`, or hold them in another form."""

_OPTIONS = {name: default for name, default in defaults().items() if name in {*OPTIONS, *_OF_FILES} - {"seed"}}
"""Options of `train` that are parameters under the same name -> default; the table of X and y has no other splits."""

_INSTEAD = {**INSTEAD, "seed": "random_state=0"}

_WITH_A_PLAN = ("plan", "budget_seconds", "out", "track")
"""Parameters that have an effect together with a plan."""


class HeadstartClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Classifier of images; X is a sequence of paths, uint8 arrays (H, W[, C]), PIL images or bytes of files.

    `fit` does what `headstart train` does with a table of these images and labels: it divides the images into a
    training, a validation and a test set, makes a plan, trains, and evaluates once. The test set is a share of every
    class (`test_fraction`) and is used for nothing else; `metrics_["test"]` holds its figures. The head of the selected
    checkpoint is fitted again on all other images. Which images are in the test set depends on the seed and on the
    paths (of images in memory: on their positions).

    A pickle carries the trained model and needs no folder.
    """

    classes_: npt.NDArray[Any]
    """(K,) labels, sorted, of the dtype of y."""
    bundle_: Path
    """Folder of the trained model, for `headstart.load` and `headstart predict`."""
    run_: Run
    """Run of the last `fit`. Without `out` it is removed with this object, and an unpickled object has none."""
    metrics_: dict[str, Any]
    """What `headstart train --json` prints; classes are text there."""
    _trained: _Trained

    budget_seconds: float | None

    def __init__(
        self,
        *,
        random_state: int | np.random.RandomState | None = 0,
        plan: Plan | str | os.PathLike[str] | None = None,
        out: str | Path | None = None,
        track: Sequence[str] = (),
        **options: Unpack[TrainKeywords],
    ) -> None:
        """Store the parameters; `fit` checks them.

        Args:
            random_state: Seed of every draw. None draws another one for each fit.
            plan: A plan, or the path of its YAML, in place of all parameters but budget_seconds, out and track;
                its source is replaced by X and y.
            out: Folder in which each fit keeps a table and a run: `fit-1.csv` and `fit-1`, then `fit-2`, and so on;
                a temporary folder if None.
            track: Places each fit is written to as well, such as `mlflow` (in `out`) or `mlflow:sqlite:///runs.db`.
            options: The options of `headstart train`, by the names of `headstart.Request`, and of `headstart.DataPlan`
                `bits`, `bands`, `window`, `contrast`, `links` and `test_fraction`; `class_weight` may name labels of
                any type.

        Raises:
            TypeError: no such parameter.
        """
        self.random_state = random_state
        self.plan = plan
        self.out = out
        self.track = track
        refuse_unknown(options, _OPTIONS, where="HeadstartClassifier", instead=_INSTEAD)
        for name, default in _OPTIONS.items():
            setattr(self, name, options.get(name, default))

    def fit(
        self,
        X: ImageInputs,  # noqa: N803 - the name in scikit-learn
        y: Sequence[Any] | npt.NDArray[Any],
        groups: Sequence[Any] | npt.NDArray[Any] | None = None,
        sample_weight: Sequence[float] | npt.NDArray[Any] | None = None,
    ) -> Self:
        """Train on images.

        Args:
            X: (N,) paths, uint8 arrays, PIL images or bytes of image files, of any kinds mixed; or one uint8 array
                (N, H, W), (N, H, W, 3) or (N, H, W, 4). Arrays of 2 to 16 bands (N, H, W, n) may be uint16 or 0..1,
                too. A path that stands there twice counts once.
            y: (N,) labels: text, whole numbers or truth values.
            groups: (N,) names of patients, scenes or pages, whose images stay on one side of every split; None and
                NaN stand alone.
            sample_weight: (N,) how much each image counts in what is minimised, >= 0; only the ratios matter. An image
                of weight 0 is left out. Figures are not weighted.

        Raises:
            ValueError: X is no sequence of images, y holds no labels, weights are none, or their lengths differ; or
                `track` names no place and there is no `out`.
            HeadstartError: what `train` refuses, such as a file that does not exist or a class with one image.
            KeyboardInterrupt: Ctrl-C or SIGTERM.
        """
        if self.out is None and any(choice.where is None for choice in chosen_trackers(self.track)):
            raise InputError(
                f"track={list(self.track)} writes a run that is removed with this object",
                remedy="set `out`, or name a place, such as mlflow:sqlite:///runs.db",
            )
        labels, images = labels_of(y), images_of(X)
        check_consistent_length(images, labels, groups, sample_weight)
        refuse_missing(images)
        weights = weights_of(sample_weight)
        classes, index = np.unique(labels, return_inverse=True)
        names = names_of(classes)
        temporary = _TemporaryFolder() if self.out is None else None
        with _claimed(temporary.path if temporary else Path(self.out or ".")) as run_folder:
            table = run_folder.with_suffix(".csv")
            write_table(table, images, [names[i] for i in index], groups, weights)
            try:
                result = self._train(table, run_folder)
            except Interrupted as stopped:
                # A search over parameters continues after any other error.
                words = str(stopped) if temporary is None else "stopped; without `out` nothing is saved"
                raise KeyboardInterrupt(words) from stopped
        self.classes_ = classes
        self.run_, self.bundle_, self.metrics_ = result.run, result.bundle, result.to_dict()
        self._trained = _Trained(self.bundle_, temporary)
        return self

    def predict(self, X: ImageInputs) -> npt.NDArray[Any]:  # noqa: N803
        """(N,) the most probable class of each image, of the dtype of `classes_`.

        Raises:
            NotFittedError: `fit` comes first.
            ValueError: X is no sequence of images.
            DataError: a file does not exist or is no image.
        """
        best = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[best])

    def predict_proba(self, X: ImageInputs) -> npt.NDArray[np.float64]:  # noqa: N803
        """(N, K) probabilities, columns in the order of `classes_`.

        Raises:
            NotFittedError: `fit` comes first.
            ValueError: X is no sequence of images.
            DataError: a file does not exist or is no image.
        """
        check_is_fitted(self)
        images = images_of(X)
        refuse_missing(images)
        predictor = self._trained.predictor
        columns = [predictor.classes.index(name) for name in names_of(self.classes_)]
        return predictor.probabilities(records_of(images, name="X"))[:, columns]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array, tags.input_tags.two_d_array = True, False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "_trained" in state:
            temporary = state.pop("_trained").temporary
            if temporary is not None and "run_" in state and state["run_"].folder.is_relative_to(temporary.path):
                del state["run_"]
            folder = state.pop("bundle_")
            # The files travel in the pickle: it is loaded on machines that lack the folder.
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

    def _train(self, table: Path, run_folder: Path) -> TrainResult:
        """Train on a table, by the plan or by the other parameters.

        Raises:
            HeadstartError: as `fit` says.
        """
        request = self._options(table) if self.plan is None else self._plan(table)
        budget = None if self.plan is None else self.budget_seconds
        return train(request, out=run_folder, budget_seconds=budget, track=self.track)

    def _options(self, table: Path) -> Request:
        # A search over parameters sets numpy's numbers, which a plan does not take.
        given = {k: v.item() if isinstance(v, np.generic) else v for k, v in self.get_params(deep=False).items()}
        of_files = {name: given[name] for name in _OF_FILES}
        data = DataPlan.from_options(source=str(table), **of_files)
        said = {name: value for name, value in given.items() if name not in _NO_OPTIONS}
        weight = given["class_weight"]
        if isinstance(weight, Mapping):  # classes stand in the table as text
            weight = {names_of(np.asarray([label]))[0]: value for label, value in weight.items()}
        request = Request(data, seed=_seed(given["random_state"]), class_weight=weight)
        return with_keywords(request, said, where="HeadstartClassifier")

    def _plan(self, table: Path) -> Plan:
        """The given plan on these images.

        Raises:
            InputError: a parameter that has no effect together with it.
        """
        usual = signature(type(self)).parameters
        odd = [
            name
            for name, value in self.get_params(deep=False).items()
            if name not in _WITH_A_PLAN and value is not usual[name].default and value != usual[name].default
        ]
        if odd:
            raise InputError(
                f"{', '.join(odd)} has no effect together with plan", remedy="change the plan: plan.changed(...)"
            )
        plan = self.plan if isinstance(self.plan, Plan) else Plan.read(Path(str(self.plan)))
        return plan.changed(data=plan.data.model_copy(update={"source": str(table)}))


def _with_all_parameters(init: Callable[..., None]) -> Signature:
    """The signature of `init` with each option of `train` in place of `**options`: scikit-learn reads it."""
    own = [p for p in signature(init).parameters.values() if p.kind is not Parameter.VAR_KEYWORD]
    options = [Parameter(name, Parameter.KEYWORD_ONLY, default=default) for name, default in _OPTIONS.items()]
    return Signature([*own, *options])


HeadstartClassifier.__init__.__signature__ = _with_all_parameters(HeadstartClassifier.__init__)  # type: ignore[attr-defined]


def _seed(random_state: object) -> int:
    """A seed as scikit-learn's conventions give it.

    Raises:
        InputError: neither a whole number, nor None, nor a RandomState.
    """
    if isinstance(random_state, Integral) and not isinstance(random_state, bool):
        return int(random_state)
    if random_state is None:
        return secrets.randbelow(2**32)
    if isinstance(random_state, np.random.RandomState | np.random.Generator):
        draw = random_state.integers if isinstance(random_state, np.random.Generator) else random_state.randint
        return int(draw(2**31 - 1))
    raise InputError(
        f"random_state={random_state!r:.60} is not valid", expected="a whole number, None or a RandomState"
    )


@dataclass
class _Trained:
    """A bundle, loaded on first use; not part of the estimator, which `predict` must not change."""

    bundle: Path
    temporary: _TemporaryFolder | None
    """Keeps the folder of the bundle from being removed."""

    @functools.cached_property
    def predictor(self) -> Predictor:
        return load(self.bundle)


class _TemporaryFolder:
    """A folder that is removed with this object, or with the process that made it."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="headstart-"))
        weakref.finalize(self, _remove, self.path, os.getpid())


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked process has the object too, but not the folder
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _claimed(root: Path) -> Iterator[Path]:
    """Run folder of its own for a fit; the table next to it holds the claim, and is removed if no run is made.

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
            table = run_folder.with_suffix(".csv")
            table.unlink(missing_ok=True)
            shutil.rmtree(images_folder(table), ignore_errors=True)


def _claim(root: Path) -> Path:
    for number in itertools.count(1):
        run_folder = root / f"fit-{number}"
        with contextlib.suppress(FileExistsError):
            run_folder.with_suffix(".csv").touch(exist_ok=False)
            if not run_folder.exists():
                return run_folder
    raise AssertionError("numbers do not end")
