"""Which column means what; cells as text are tested with whole tables, in test_rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.data.sources.tables.columns import meaning_columns
from headstart.errors import DataError


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["image", "label", "path", "class"], {"image": "image", "label": "label"}),
        (["Path", "Target", "split"], {"image": "Path", "label": "Target", "split": "split"}),
        (["file_name", "path", "label"], {"image": "file_name", "label": "label"}),
        (["label", "image", "group"], {"image": "image", "label": "label", "group": "group"}),
    ],
)
def test_exact_names_come_first(names: list[str], found: dict[str, str]) -> None:
    assert meaning_columns(Path("t.csv"), names, ("image", "label")) == found


def test_a_wide_table_shows_its_first_columns_only() -> None:
    with pytest.raises(DataError, match=r"'c7', \.\.\.; expected a table with the column image"):
        meaning_columns(Path("t.csv"), [f"c{at}" for at in range(100)], ("image",))
