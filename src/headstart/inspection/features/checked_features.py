"""Images with their features: the input of every check on features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from headstart.arrays import Singles
from headstart.data.checks.image_checks import FileFacts
from headstart.data.sources.reading import ImageRecord
from headstart.input_spec import Decoding


@dataclass(frozen=True)
class CheckedFeatures:
    """Readable images of DATA, one for each distinct file, and their pooled features."""

    records: tuple[ImageRecord, ...]
    features: Singles
    """(N, F) pooled features of the evaluation view, as the linear probe reads them."""
    facts: FileFacts
    """Of all files of DATA, these images among them."""
    groups: Mapping[str, str]
    """Image id -> group: the named one, with equal files and near-identical images joined; else its own id."""
    decoding: Decoding
    """How the files are read."""

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes of these images, in order."""
        return tuple(sorted({record.label for record in self.records}))

    @cached_property
    def labels(self) -> npt.NDArray[np.int64]:
        """(N,) position of each label in `classes`."""
        index = {name: number for number, name in enumerate(self.classes)}
        return np.array([index[record.label] for record in self.records], np.int64)

    @cached_property
    def group_numbers(self) -> npt.NDArray[np.int64]:
        """(N,) number of the group of each."""
        names = [self.groups[record.id] for record in self.records]
        return np.asarray(np.unique(names, return_inverse=True)[1], np.int64)

    @cached_property
    def splits(self) -> npt.NDArray[np.str_]:
        """(N,) split of each; `all` where DATA has none."""
        return np.array([record.split for record in self.records], np.str_)

    @property
    def has_labels(self) -> bool:
        """Whether every image has a label."""
        return all(record.label for record in self.records)
