"""Data sets that torchvision knows by name: `torchvision:CIFAR10`, `torchvision:EMNIST,split=letters,root=/data`."""

from __future__ import annotations

import contextlib
import inspect
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from headstart.data.sources.dataset import WHOLE, Account, Dataset, ImageRecord, LabelPolicy
from headstart.data.sources.image_bytes import InputError, encoded
from headstart.data.sources.source_names import TORCHVISION_PREFIX, name_and_options
from headstart.errors import DataError, nearest, require
from headstart.files import home

_SPLITS = (("train", ("train", "trainval")), ("val", ("val", "valid")), ("test", ("test",)))
"""Split -> what torchvision's sets call it; the first that one knows."""
_TARGETS = ("targets", "_labels", "labels", "y")
"""Attributes that hold the class numbers of a whole set."""
_OWN = frozenset({"self", "root", "transform", "target_transform", "transforms", "loader", "download"})
_PROBES = 3

Options = tuple[tuple[str, object], ...]
"""Options of a set other than its root, in order of name."""


@dataclass(frozen=True, slots=True)
class TorchvisionImage:
    """One image of a set."""

    name: str
    root: str
    options: Options
    index: int

    def read(self) -> bytes:
        """The image as an uncompressed file.

        Raises:
            OSError: its file is gone or cannot be read.
        """
        try:
            return encoded(_opened(self.name, self.root, self.options)[self.index][0], name=f"image {self.index}")
        except (InputError, RuntimeError, ValueError) as error:
            raise OSError(str(error)) from error


def open_torchvision(source: str, *, labels: LabelPolicy = "needed") -> Dataset:
    """Images of a set by its name; brought by torchvision where they are not on this disk yet.

    Args:
        source: `torchvision:NAME`, and after commas options of the set; `root` is the folder of its files.
        labels: Whether a set without class numbers is refused.

    Raises:
        DataError: no such set, wrong options, or its files are not there and cannot be brought.
        MissingExtraError: torchvision is not installed.
    """
    name, given = name_and_options(source.removeprefix(TORCHVISION_PREFIX))
    root = str(Path(given.pop("root", "") or home() / "torchvision").expanduser())
    kind = _kind_of(name)
    known = [option for option in _parameters(kind) if option not in _OWN]
    wrong = sorted(set(given) - set(known))
    if wrong:
        raise DataError(
            f"{source} has the option {wrong[0]!r}", expected=f"root or one of {', '.join(known) or 'none'}"
        )
    records: list[ImageRecord] = []
    unlabelled: list[str] = []
    parts = _parts_of(kind, name, root, known, given, source)
    for split, options, content in parts:
        names = _class_names_of(content, labels)
        digits = len(str(max(0, len(names) - 1)))
        for at, label in enumerate(names):
            place = TorchvisionImage(name, root, options, at)
            above = "" if split == WHOLE else f"{split}/"
            record = ImageRecord(f"{above}{at:0{digits}d}", label, split, location=place)
            if label or not any(names):
                records.append(record)
            else:
                unlabelled.append(record.id)
    records.sort(key=lambda record: record.id)
    return Dataset(name, source, tuple(records), Account(unlabelled=tuple(sorted(unlabelled))))


def _kind_of(name: str) -> type[Any]:
    sets = require("torchvision.datasets", extra="train")
    known = {
        each.lower(): getattr(sets, each)
        for each in sets.__all__
        if each != "VisionDataset" and "root" in _parameters(getattr(sets, each))
    }
    if name.lower() not in known:
        raise DataError(
            f"torchvision has no data set {name!r}", expected="a name such as CIFAR10", remedy=nearest(name, known)
        )
    kind: type[Any] = known[name.lower()]
    return kind


def _parameters(kind: Any) -> dict[str, inspect.Parameter]:  # noqa: ANN401 - something that torchvision exports
    """Parameters of a set, those included that it hands on to the class above it."""
    found: dict[str, inspect.Parameter] = {}
    for owner in kind.__mro__ if isinstance(kind, type) else ():
        parameters = inspect.signature(vars(owner).get("__init__", object.__init__)).parameters
        found = {**parameters, **found}
        if not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
            break
    return {name: one for name, one in found.items() if one.kind is not inspect.Parameter.VAR_KEYWORD}


def _parts_of(
    kind: type[Any], name: str, root: str, known: Sequence[str], given: Mapping[str, str], source: str
) -> list[tuple[str, Options, Any]]:
    """(split, options, set) for each split that a set has, or for all of it.

    Raises:
        DataError: a part is not there and cannot be brought, or an option has a wrong value.
    """
    if "train" in known and "train" not in given:
        choices: list[tuple[str, list[dict[str, object]]]] = [
            ("train", [{"train": True}]),
            ("test", [{"train": False}]),
        ]
    elif "split" in known and "split" not in given:
        choices = [(split, [{"split": word} for word in words]) for split, words in _SPLITS]
    else:
        choices = [(WHOLE, [{}])]
    found: list[tuple[str, Options, Any]] = []
    refusal: Exception | None = None
    for split, ways in choices:
        for way in ways:
            options: Options = tuple(sorted({**given, **way}.items()))
            try:
                found.append((split, options, _brought(name, root, options, source, "download" in _parameters(kind))))
                break
            except (ValueError, TypeError) as error:  # a word for a split that this set does not know, or an option
                refusal = error
    if not found:
        raise DataError(
            f"{source} cannot be opened ({refusal})", expected="options as torchvision's documentation says"
        )
    return found


def _brought(name: str, root: str, options: Options, source: str, can_download: bool) -> Any:  # noqa: ANN401, FBT001
    """A set, brought to the disk where it is not there.

    Raises:
        DataError: it is not there and cannot be brought.
        ValueError: an option has a value that the set does not know.
    """
    try:
        return _opened(name, root, options)
    except (RuntimeError, OSError) as error:
        reason: Exception = error
    if can_download:
        try:
            Path(root).mkdir(parents=True, exist_ok=True)
            kind = _kind_of(name)
            with contextlib.redirect_stdout(io.StringIO()):  # it prints, and standard output is for results
                kind(root, download=True, **dict(options))
            return _opened(name, root, options)
        except (RuntimeError, OSError) as error:
            reason = error
    first = (str(reason) or type(reason).__name__).splitlines()[0][:160]
    given = "".join(f", {option}={value!r}" for option, value in options)
    command = f"torchvision.datasets.{name}({root!r}{given}{', download=True' if can_download else ''})"
    raise DataError(
        f"the files of {source} are not in {root} and could not be brought ({first})",
        expected="a network, or the files as torchvision keeps them",
        remedy=f"where there is a network: {command}; then copy the folder, and name it: "
        f"{TORCHVISION_PREFIX}{name},root=FOLDER",
    ) from reason


@lru_cache(maxsize=8)
def _opened(name: str, root: str, options: Options) -> Any:  # noqa: ANN401 - a set of torchvision
    kind = _kind_of(name)
    never = {"download": False} if "download" in _parameters(kind) else {}
    return kind(root, **dict(options), **never)


def _class_names_of(content: Any, labels: LabelPolicy) -> list[str]:  # noqa: ANN401 - a set of torchvision
    """The class of each image, by name where the set has names; empty where the number is below 0.

    Raises:
        DataError: what the set tells of an image is no class.
    """
    targets = _targets_of(content)
    if not all(isinstance(target, int) for target in targets):
        if labels == "optional":
            return [""] * len(content)
        odd = next(target for target in targets if not isinstance(target, int))
        raise DataError(
            f"torchvision's {type(content).__name__} tells {odd!r:.60} of an image",
            expected="one class number per image",
            remedy="if it has an option such as target_type, name one class: ,target_type=category",
        )
    names = [str(name) for name in getattr(content, "classes", None) or ()]
    is_named = len(set(names)) == len(names) and len(names) > max(targets, default=0)
    return ["" if target < 0 else names[target] if is_named else str(target) for target in targets]


def _targets_of(content: Any) -> list[Any]:  # noqa: ANN401 - a set of torchvision
    """What a set tells of each image; without decoding them all where it keeps a list that agrees with its images."""
    probes = range(0, len(content), max(1, len(content) // _PROBES))
    for attribute in _TARGETS:
        held = getattr(content, attribute, None)
        if held is None or not hasattr(held, "__len__") or len(held) != len(content):
            continue
        targets = [_plain(target) for target in held]
        if all(targets[at] == _plain(content[at][1]) for at in probes):
            return targets
    return [_plain(content[at][1]) for at in range(len(content))]


def _plain(target: Any) -> Any:  # noqa: ANN401 - whatever a set tells
    return target.item() if hasattr(target, "item") and getattr(target, "ndim", 0) == 0 else target
