"""What a data set says of itself without reading an image: labels, classes, paths, transform, through any wrapper."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_LABELS = ("targets", "labels", "y", "_labels", "ys", "label", "classes_of_images")
_ROWS = ("samples", "imgs", "items", "image_paths", "paths", "files", "filenames", "img_paths")
_TRANSFORMS = ("transform", "transforms", "tfm", "tfms", "augment", "preprocess", "_transform")
_IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".jfif")


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """Facts of a data set; None where it does not say."""

    size: int | None
    """Number of images."""
    classes: tuple[str, ...] | None = None
    """In the order of the labels."""
    labels: npt.NDArray[np.int64] | None = None
    """(N,) one an image."""
    paths: tuple[str, ...] | None = None
    """(N,) one an image."""
    transform: Any = None
    identity: tuple[tuple[int, int], ...] | None = None
    """(N,) (data set that holds the image, index there): equal for the same image behind two wrappers."""


def facts_of_dataset(dataset: Any) -> DatasetFacts:  # noqa: ANN401 - any data set
    """Facts of a map-style data set, behind `Subset`, `ConcatDataset` and wrappers that hold a `dataset`."""
    size = length_of(dataset)
    if size is None:
        return DatasetFacts(None, classes=_classes(dataset), transform=_transform(dataset))
    parts = getattr(dataset, "datasets", None)
    if isinstance(parts, list | tuple) and parts and all(length_of(part) is not None for part in parts):
        return _joined([facts_of_dataset(part) for part in parts], size)
    inner, indices = getattr(dataset, "dataset", None), getattr(dataset, "indices", None)
    own = _own_facts(dataset, size)
    if inner is None or length_of(inner) is None:
        return own
    if indices is None and length_of(inner) != size:
        return own
    base = facts_of_dataset(inner)
    picked = np.arange(size) if indices is None else np.asarray(indices, dtype=np.int64)
    if len(picked) != size or (len(picked) and picked.max() >= (base.size or 0)):
        return own
    return DatasetFacts(
        size,
        own.classes or base.classes,
        own.labels if own.labels is not None else None if base.labels is None else base.labels[picked],
        own.paths or (None if base.paths is None else tuple(base.paths[i] for i in picked)),
        own.transform if own.transform is not None else base.transform,
        None if base.identity is None else tuple(base.identity[i] for i in picked),
    )


def length_of(dataset: object) -> int | None:
    """Number of items; None where that is not known."""
    try:
        return len(dataset)  # type: ignore[arg-type]
    except (TypeError, NotImplementedError, AttributeError):
        return None


def _own_facts(dataset: Any, size: int) -> DatasetFacts:  # noqa: ANN401
    identity = tuple((id(dataset), index) for index in range(size))
    return DatasetFacts(
        size, _classes(dataset), _labels(dataset, size), _paths(dataset, size), _transform(dataset), identity
    )


def _joined(parts: Sequence[DatasetFacts], size: int) -> DatasetFacts:
    labels = [part.labels for part in parts if part.labels is not None]
    paths = [part.paths for part in parts if part.paths is not None]
    identities = [part.identity for part in parts if part.identity is not None]
    return DatasetFacts(
        size,
        parts[0].classes,
        np.concatenate(labels) if len(labels) == len(parts) else None,
        tuple(path for one in paths for path in one) if len(paths) == len(parts) else None,
        parts[0].transform,
        tuple(pair for one in identities for pair in one) if len(identities) == len(parts) else None,
    )


def _classes(dataset: Any) -> tuple[str, ...] | None:  # noqa: ANN401
    order = getattr(dataset, "class_to_idx", None)
    if isinstance(order, Mapping) and order and all(isinstance(value, int) for value in order.values()):
        return tuple(str(name) for name, _ in sorted(order.items(), key=lambda item: item[1]))
    names = getattr(dataset, "classes", None)
    if isinstance(names, list | tuple) and names and all(isinstance(name, str) for name in names):
        return tuple(names)
    features = getattr(dataset, "features", None)  # of Hugging Face datasets
    if isinstance(features, Mapping):
        for feature in features.values():
            if isinstance(getattr(feature, "names", None), list):
                return tuple(feature.names)
    return None


def _labels(dataset: Any, size: int) -> npt.NDArray[np.int64] | None:  # noqa: ANN401
    candidates = [getattr(dataset, name, None) for name in _LABELS]
    candidates += [[row[1] for row in rows] for rows in _rows(dataset) if _are_pairs(rows)]
    tensors = getattr(dataset, "tensors", None)
    if isinstance(tensors, tuple) and len(tensors) > 1:
        candidates.append(tensors[1])
    for values in candidates:
        if values is None or callable(values) or isinstance(values, str):
            continue
        try:
            array = np.asarray(values)
        except (ValueError, TypeError, RuntimeError):
            continue
        if array.shape == (size,) and array.dtype.kind in "iub":
            return array.astype(np.int64)
    return None


def _rows(dataset: object) -> list[list[Any]]:
    found = (getattr(dataset, name, None) for name in _ROWS)
    return [list(rows) for rows in found if isinstance(rows, list | tuple) and rows]


def _are_pairs(rows: Sequence[object]) -> bool:
    return all(isinstance(row, list | tuple) and len(row) >= 2 for row in rows[:5])


def _paths(dataset: object, size: int) -> tuple[str, ...] | None:
    for rows in _rows(dataset):
        names = [row[0] if isinstance(row, list | tuple) and row else row for row in rows]
        if len(names) == size and all(isinstance(name, str | Path) for name in names[:5]):
            texts = tuple(os.fspath(name) for name in names if isinstance(name, str | Path))
            if len(texts) == size and texts[0].lower().endswith(_IMAGES):
                return texts
    return None


def _transform(dataset: object) -> Any:  # noqa: ANN401
    for name in _TRANSFORMS:
        found = getattr(dataset, name, None)
        if callable(found) and not hasattr(found, "transform_input_and_target"):
            # torchvision keeps both transforms in one object besides, which takes images and labels.
            inner = getattr(found, "transform", None)
            return inner if type(found).__name__ == "StandardTransform" and callable(inner) else found
    return None
