"""Files of tables: names, columns and what divides cells."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from headstart.data.sources.tables.files import column_names, mark_between, open_table


@pytest.mark.parametrize(
    ("header", "mark"), [("a,b", ","), ("a;b,c;d", ";"), ("a\tb", "\t"), ('"a,b";c', ";"), ("a", ","), ("", ",")]
)
def test_the_mark_that_divides_the_header_most_often_divides_the_cells(header: str, mark: str) -> None:
    assert mark_between(header) == mark


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", "a;b\n1;x\n"),
        ("t.tsv", "a\tb\n1\tx\n"),
        ("t.jsonl", '{"a": "1", "b": "x"}\n'),
    ],
)
def test_every_kind_of_file_has_names_and_columns(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    table = open_table(tmp_path / name)
    assert table.names == column_names(tmp_path / name) == ["a", "b"]
    assert [table.column(column).to_pylist() for column in table.names] == [["1"], ["x"]]
    assert table.kind("a") == pa.string(), "cells of text are never numbers"


def test_columns_of_a_parquet_are_read_one_by_one(tmp_path: Path) -> None:
    pa.parquet.write_table(pa.table({"a": [1], "b": [b"x"]}), tmp_path / "t.parquet")
    table = open_table(tmp_path / "t.parquet")
    assert table.names == column_names(tmp_path / "t.parquet") == ["a", "b"]
    assert (table.column("a").to_pylist(), table.kind("b"), table.class_names) == ([1], pa.binary(), {})
