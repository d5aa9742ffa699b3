"""Labels as tables write them: what is refused is tested with whole tables, in test_rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.data.sources.tables.label_cells import doubtful_labels, refuse_unclear_labels
from headstart.errors import DataError


@pytest.mark.parametrize(
    ("labels", "missing", "decimal"),
    [
        (["cat"] * 6 + ["nan"], {"nan": 1}, ()),
        (["cat"] * 6 + ["NaN"] * 6, {"NaN": 6}, ()),
        (["cat"] * 6 + ["None"], {"None": 1}, ()),
        (["cat"] * 6 + ["None"] * 6, {}, ()),
        (["NA"] * 6 + ["NO"], {}, ()),
        (["1.0", "2.0", "2."], {}, ("1.0", "2.", "2.0")),
        (["1.0", "nan"], {"nan": 1}, ("1.0",)),
        (["1.4", "2.0"], {}, ()),
        ([], {}, ()),
    ],
)
def test_labels_that_may_be_none_are_found(
    labels: list[str], missing: dict[str, int], decimal: tuple[str, ...]
) -> None:
    assert doubtful_labels(labels) == (missing, decimal)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["cat", "dog", "cat;dog"], "hold several labels (first: 2: 'cat;dog')"),
        (["cat", "cat "], "differ by spaces only"),
        (["1", "1.0"], "which are the same number"),
    ],
)
def test_unclear_labels_are_refused(labels: list[str], words: str) -> None:
    with pytest.raises(DataError) as caught:
        refuse_unclear_labels(Path("t.csv"), {str(at): label for at, label in enumerate(labels)})
    assert words in str(caught.value)
    refuse_unclear_labels(Path("t.csv"), {str(at): label for at, label in enumerate(labels[:1])})
