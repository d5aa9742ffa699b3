"""The library verbs `evaluate`, `predict` and `report`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from headstart.apps.library.calling import PathLike, checked, path_or_none, text_or_none
from headstart.apps.library.watching import Watch, watching
from headstart.arguments import ArgumentError, fault_of
from headstart.data.sources.dataset import Links
from headstart.data.sources.given_images import GivenImages
from headstart.delivery.predictions import Predictions
from headstart.prediction.evaluation import EvaluateResult
from headstart.prediction.predictor import load

if TYPE_CHECKING:
    from headstart.workflow.reporting import Report


@checked
def evaluate(
    bundle: PathLike,
    data: PathLike | None = None,
    *,
    split: Literal["train", "val", "test"] | None = None,
    group: str | None = None,
    seen: Literal["leave_out", "include"] | None = None,
    links: Links = "inside",
    progress: Watch = "auto",
) -> EvaluateResult:
    """Figures of a bundle on labelled images: `headstart.evaluate("runs/x", "photos").accuracy`.

    Args:
        bundle: Folder of the bundle, or of the run that made it.
        data: DATA; None evaluates the test set of the run again.
        split: Of split folders; test, else val, else everything if None.
        group: Pattern whose group 1 names what belongs together, which intervals count; as in training if None.
        seen: Whether images that the bundle was trained on are evaluated; left out if None and there is DATA.
        links: Links in folders that are followed: those inside DATA, or all (follow).
        progress: As in `train`.

    Raises:
        DataError: the images have classes the bundle does not know, or cannot be read.
        BundleError: not a bundle.
    """
    from headstart.workflow import evaluating

    with watching(progress) as (shown, _):
        return evaluating.evaluate(
            Path(bundle), text_or_none(data), split=split, group=group, seen=seen, links=links, progress=shown
        )


@checked
def predict(
    bundle: PathLike,
    files: GivenImages,
    *,
    out: PathLike | None = None,
    top: int | None = None,
    unreadable: Literal["leave_out", "stop"] = "leave_out",
    links: Links = "inside",
    progress: Watch = "auto",
) -> Predictions:
    """Classes of images: `headstart.predict("runs/x", "new/").write("predictions.csv")`.

    Args:
        bundle: Folder of the bundle, or of the run that made it.
        files: Images: one or several of paths, folders, patterns such as `photos/*.jpg` and tables with a column image;
            or images in memory, as `Predictor.predict_many` takes them.
        out: A .csv or .parquet to write: file, label, probability, and one column a class.
        top: In `out` this many classes an image instead of all.
        unreadable: Whether a path without a prediction is left out and named in the result, or stops it before
            anything is predicted.
        links: Links in folders that are followed: those inside the folder, or all (follow).
        progress: As in `train`.

    Raises:
        BundleError: not a bundle, or a run that has none yet.
        DataError: nothing can be read, or `out` cannot be written.
        InputError: an array of another type or shape, or another kind of object; a ValueError too.
    """
    from headstart.delivery.predictions import refuse_prediction_file
    from headstart.workflow import evaluating

    if out is not None:
        refuse_prediction_file(Path(out))
    paths = paths_of(files)
    with watching(progress) as (shown, _):
        if paths is not None:
            found = evaluating.predict(Path(bundle), paths, unreadable=unreadable, links=links, progress=shown)
        else:
            predictor = load(bundle)
            found = Predictions(tuple(predictor.predict_many(files)), predictor.classes)
    if out is not None:
        found.write(out, top=top)
    return found


def paths_of(files: GivenImages) -> list[str] | None:
    """The paths, where nothing but paths was given; None where images in memory are among them."""
    if isinstance(files, str | os.PathLike):
        return [os.fspath(files)]
    if isinstance(files, list | tuple) and files and all(isinstance(one, str | os.PathLike) for one in files):
        return [os.fspath(one) for one in files if isinstance(one, str | os.PathLike)]
    return None


@checked
def report(
    runs: PathLike | Sequence[PathLike], *, out: PathLike | None = None, images: Literal["named", "shown"] = "named"
) -> list[Report]:
    """Write one HTML page for each run or comparison, `report.html` in its folder.

    Args:
        runs: Folder of a run or comparison, or several.
        out: Another file, for a single page.
        images: shown puts small copies of misclassified images into the page.

    Raises:
        RunError: no run, a damaged file, or nothing was trained yet.
        HeadstartError: `out` for several pages, or a file that cannot be written.
    """
    from headstart.workflow import reporting

    folders = [runs] if isinstance(runs, str | os.PathLike) else list(runs)
    if wrong := [fault for at, one in enumerate(folders) if (fault := fault_of(f"runs[{at}]", one, PathLike))]:
        raise ArgumentError(wrong[0])
    return reporting.report([Path(folder) for folder in folders], out=path_or_none(out), images=images)
