"""One fold of k: the part of all images that is the test set."""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST_FOLDS = 100


@dataclass(frozen=True, slots=True)
class Fold:
    """Fold `number` of `count`; written as 2/5."""

    number: int
    """1..count."""
    count: int
    """2..`MOST_FOLDS`."""

    @classmethod
    def read(cls, text: str) -> Fold:
        """The fold that a text such as 2/5 names.

        Raises:
            ValueError: it names none.
        """
        found = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", text)
        if found is None or not 2 <= int(found[2]) <= MOST_FOLDS or int(found[1]) > int(found[2]):
            raise ValueError(f"{text!r} must be a fold and their number, such as 2/5 (2 to {MOST_FOLDS} folds)")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def sentence(self) -> str:
        """Where its images come from, as `test_source` says it."""
        return f"fold {self.number} of {self.count}"
