"""Finding tables with labels beside folders."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from headstart.data.sources.tables.label_tables import label_tables_next_to, table_remedy


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("metadata.csv", "file_name,label\n", True),
        ("t.csv", '"Id","Category"\n', True),
        ("t.csv", "\ufefffilename;width;class\n", True),
        ("t.tsv", "image\ttarget\n", True),
        ("train/metadata.csv", "file_name,label\n", True),
        ("metadata.jsonl", json.dumps({"file_name": "a", "label": 1}) + "\n", True),
        ("t.csv", "file_name,width\n", False),
        ("t.csv", "x,label\n", False),
        ("t.csv", "", False),
        ("t.csv", "image,Label\n", True),
        ("t.jsonl", "[1]\n", False),
        ("t.jsonl", "{broken\n", False),
        ("t.parquet", "no parquet", False),
        ("a/b/metadata.csv", "file_name,label\n", False),
    ],
)
def test_a_table_of_files_and_labels_is_found_by_its_columns(
    name: str, content: str, found: bool, tmp_path: Path
) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert label_tables_next_to(tmp_path) == ((name,) if found else ())


def test_a_parquet_is_found_and_bytes_that_are_no_text_are_not(tmp_path: Path) -> None:
    pa.parquet.write_table(pa.table({"image": ["a"], "label": ["b"]}), tmp_path / "t.parquet")
    (tmp_path / "x.csv").write_bytes(b"\xff\xfeimage,label\n")
    assert label_tables_next_to(tmp_path) == ("t.parquet",)


def test_the_way_out_is_one_that_works() -> None:
    assert table_remedy("a/metadata.csv") == "pass a/metadata.csv as DATA"
