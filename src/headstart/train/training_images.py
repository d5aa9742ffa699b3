"""The images of a run as training needs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from headstart.data.sources import ImageRecord
from headstart.data.splits import Roles
from headstart.features.activations import Precision
from headstart.features.store import ActivationStore
from headstart.input_spec import InputSpec


@dataclass(frozen=True)
class TrainingImages:
    """Who plays which role, what the network sees of them, and where frozen activations are kept."""

    roles: Roles
    spec: InputSpec
    groups: Mapping[str, str]
    """Image id -> group that must stay together in folds."""
    digests: Mapping[str, bytes] = field(default_factory=dict)
    """Image id -> hash of its file, 16 bytes; needed where there is a store."""
    store: ActivationStore | None = None
    """None computes everything anew."""
    precision: Precision = "float16"
    """In which activations are kept."""

    def labels(self, records: Sequence[ImageRecord]) -> npt.NDArray[np.int64]:
        """Class index of each."""
        index = {name: i for i, name in enumerate(self.roles.classes)}
        return np.array([index[record.label] for record in records], np.int64)
