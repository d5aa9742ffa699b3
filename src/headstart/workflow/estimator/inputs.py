"""X, y and weights as users of scikit-learn give them -> images, labels and the table that training reads."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from headstart.data.decoders.tiff import is_tiff
from headstart.data.sources.given_images import GivenImage
from headstart.data.sources.image_bytes import InputError, encoded, is_in_memory
from headstart.data.sources.tables.rows import is_listed_file
from headstart.errors import DataError, require

require("sklearn", extra="train")

from sklearn.utils import check_array, column_or_1d  # noqa: E402
from sklearn.utils.multiclass import check_classification_targets  # noqa: E402

ImageInputs = Sequence[GivenImage] | npt.NDArray[Any]
"""(N,) paths, arrays, PIL images or bytes; or one array (N, H, W[, C]), also of 2 to 16 bands."""

_EXPECTED = (
    "a 1-D sequence of paths of image files (str or Path), or of uint8 arrays (H, W[, 3]), arrays of bands (H, W, n), "
    "PIL images or bytes"
)
_PIXEL_DIMENSIONS = (3, 4)


def images_of(x: Any) -> list[Any]:  # noqa: ANN401 - whatever a user gives as X
    """X as one object an image: text for a path, an array, a PIL image, or bytes.

    Raises:
        InputError: not 1-D, empty, or something in it is no image.
    """
    kind = f"{type(x).__module__}.{type(x).__qualname__}".removeprefix("builtins.")
    if isinstance(x, np.ndarray) and x.dtype.kind not in "OUS" and x.ndim in _PIXEL_DIMENSIONS:
        values: Any = list(x)
    elif isinstance(x, list | tuple) and any(is_in_memory(one) for one in x):
        values = list(x)
    else:
        values = np.asarray(x, dtype=object)
        if values.ndim != 1:
            raise InputError(f"X is {kind} with shape {values.shape}", expected=_EXPECTED)
    if not len(values):
        raise InputError(f"X is {kind} with 0 paths", expected="at least one")
    return [_image(value, position) for position, value in enumerate(values)]


def _image(value: object, position: int) -> object:
    if isinstance(value, str | os.PathLike):
        return str(os.fspath(value))
    if is_in_memory(value):
        if isinstance(value, np.ndarray):
            encoded(value, name=f"X[{position}]")  # refuses another type or shape before anything is written
        return value
    raise InputError(f"X[{position}] is {type(value).__qualname__} {value!r:.60}", expected=_EXPECTED)


def refuse_missing(images: Sequence[object]) -> None:
    """Refuse paths that are no files.

    Raises:
        DataError: names the first.
    """
    missing = [at for at, image in enumerate(images) if isinstance(image, str) and not is_listed_file(Path(image))]
    if missing:
        first = f"X[{missing[0]}], {images[missing[0]]:.200}"
        raise DataError(
            f"{len(missing)} of {len(images)} paths in X are no files (first: {first})",
            expected=f"paths of image files, absolute or relative to {Path.cwd()}",
        )


def labels_of(labels: Any) -> npt.NDArray[Any]:  # noqa: ANN401 - whatever a user gives as y
    """Y as an array of one label an image: text, whole numbers or truth values, whatever holds them.

    Raises:
        ValueError: in scikit-learn's words, or InputError where it has none.
    """
    if labels is None:
        raise InputError("fit requires y to be passed, but the target y is None", expected="one label for each image")
    kind = getattr(labels, "dtype", None)
    if kind is not None and not isinstance(kind, np.dtype) and hasattr(labels, "to_numpy"):
        labels = labels.to_numpy(
            dtype=object, na_value=None
        )  # a column of pandas that would become floats: Int64, boolean, category
    checked = column_or_1d(check_array(labels, ensure_2d=False, dtype=None, input_name="y"), warn=True)
    if checked.dtype == object:
        checked = _of_one_type(checked)
    check_classification_targets(checked)
    return np.asarray(checked)


def _of_one_type(labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Objects as the array they are: of truth values, of whole numbers, or of text.

    Raises:
        InputError: names the first that is of another type than the others, or of none of these.
    """
    kinds = [_kind(label) for label in labels]
    odd = next((at for at, kind in enumerate(kinds) if kind is None or kind is not kinds[0]), None)
    if odd is not None:
        raise InputError(
            f"y[{odd}] is {labels[odd]!r:.60}",
            expected="labels of one type: text, whole numbers or truth values; no label is missing",
        )
    return labels if kinds[0] is str else np.asarray(labels.astype(kinds[0]))


def _kind(label: object) -> type | None:
    for types, kind in (((bool, np.bool_), bool), ((int, np.integer), int), ((str,), str)):
        if isinstance(label, types):
            return kind
    return None


def weights_of(sample_weight: Any) -> npt.NDArray[np.float64] | None:  # noqa: ANN401 - whatever a user gives
    """(N,) weights >= 0, some > 0; None: all alike.

    Raises:
        InputError: not 1-D, negative, all zero, or no numbers.
    """
    if sample_weight is None:
        return None
    try:
        weights = np.asarray(sample_weight, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"sample_weight holds no numbers ({error})", expected="one number >= 0 an image") from error
    if weights.ndim != 1:
        raise InputError(f"sample_weight has shape {weights.shape}", expected="1-D: one number >= 0 an image")
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(wrong):
        raise InputError(f"sample_weight[{wrong[0]}] is {weights[wrong[0]]:g}", expected="a finite number >= 0")
    if not weights.any():
        raise InputError("every sample_weight is 0", expected="some > 0")
    return weights


def write_table(
    table: Path,
    images: Sequence[object],
    labels: Sequence[str],
    groups: Any,  # noqa: ANN401 - whatever a user gives
    weights: npt.NDArray[np.float64] | None,
) -> None:
    """Write the images as DATA. Paths are absolute, because the table does not lie with them.

    Images in memory are written beside the table, into `NAME-images/`, under their positions; the names are relative,
    so that they are the same wherever the table lies.
    """
    import pyarrow as pa
    import pyarrow.csv

    counts = np.ones(len(images), bool) if weights is None else weights > 0
    kept = [int(at) for at in np.flatnonzero(counts)]
    columns: dict[str, list[Any]] = {
        "image": [_written(table, images[at], at) for at in kept],
        "label": [labels[at] for at in kept],
    }
    if groups is not None:
        names = [_group_name(group) for group in groups]
        columns["group"] = [names[at] for at in kept]
    if weights is not None:
        columns["sample_weight"] = [repr(float(weights[at])) for at in kept]
    try:
        pa.csv.write_csv(pa.table(columns), table)
    except UnicodeEncodeError as error:
        raise DataError(f"{error.object!r} is not valid UTF-8", remedy="rename the file or the class") from error


def images_folder(table: Path) -> Path:
    """Where images in memory are written."""
    return table.with_name(f"{table.stem}-images")


def _written(table: Path, image: object, position: int) -> str:
    if isinstance(image, str):
        return Path(image).absolute().as_posix()
    content = encoded(image, name=f"X[{position}]")
    folder = images_folder(table)
    folder.mkdir(exist_ok=True)
    name = f"{position:06d}.{_suffix(content)}"
    (folder / name).write_bytes(content)
    return f"{folder.name}/{name}"


def _suffix(content: bytes) -> str:
    """As the file would be called; what is no image is found when it is read, and named then."""
    if is_tiff(content):  # Pillow does not know TIFF of bands
        return "tiff"
    try:
        with Image.open(io.BytesIO(content)) as image:
            return str(image.format).lower()
    except (OSError, ValueError, SyntaxError):
        return "bin"


def _group_name(group: object) -> str:
    nobody = group is None or (not isinstance(group, str) and str(group) in ("nan", "<NA>"))
    return "" if nobody else str(group)


def names_of(classes: npt.NDArray[Any]) -> list[str]:
    """Labels as the text that stands for them in tables and bundles."""
    return [str(label) for label in classes.tolist()]
