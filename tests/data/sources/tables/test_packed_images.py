"""Images in a column: copied once, each readable alone."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from headstart.data.sources import copies
from headstart.data.sources.tables.packed_images import holds_images, packed_images


@pytest.mark.parametrize(
    ("kind", "is_packed"),
    [
        (pa.binary(), True),
        (pa.large_binary(), True),
        (pa.struct([("bytes", pa.binary()), ("path", pa.string())]), True),
        (pa.string(), False),
        (pa.struct([("path", pa.string())]), False),
    ],
)
def test_bytes_are_images(kind: pa.DataType, is_packed: bool) -> None:
    assert holds_images(kind) is is_packed


def test_a_column_is_copied_once_for_each_state_of_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "home"))
    table = tmp_path / "t.parquet"
    contents = [bytes([at]) * at for at in range(200)]  # several batches; the first is empty
    pa.parquet.write_table(pa.table({"image": contents}), table, row_group_size=30)
    first = packed_images(table, "image")
    held = first.path.read_bytes()
    assert [held[a:b] for a, b in zip(first.offsets, first.offsets[1:], strict=False)] == contents
    assert (packed_images(table, "image").path, first.names) == (first.path, [None] * 200)
    pa.parquet.write_table(pa.table({"image": contents[:3]}), table)
    again = packed_images(table, "image")
    assert (again.path != first.path, len(again.offsets)) == (True, 4)
    assert copies.copies_bytes() == first.path.stat().st_size + again.path.stat().st_size
