"""Tables of images: what cells mean, and what is refused in one sentence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from headstart.data.sources.split_names import SPLIT_FOLDERS
from headstart.data.sources.stores import StoredImage, StoreFolder
from headstart.data.sources.tables.rows import TableRow, image_rows, read_table
from headstart.errors import DataError

IMAGES = ("cat/1.png", "cat/2.png", "dog/1.png")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files that tables may name; a table never looks into them."""
    for name in IMAGES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def csv_of(folder: Path, text: str | bytes, name: str = "images.csv") -> Path:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder / name


def parquet_of(folder: Path, columns: dict[str, Any]) -> Path:
    pa.parquet.write_table(pa.table(columns), folder / "images.parquet")
    return folder / "images.parquet"


def rows_of(table: Path) -> list[TableRow]:
    return read_table(table, SPLIT_FOLDERS).rows


def cells(table: Path) -> list[tuple[str, str, str | None, str | None]]:
    return [(row.image, row.label, row.split, row.group) for row in rows_of(table)]


def refused(table: Path) -> str:
    with pytest.raises(DataError) as caught:
        rows_of(table)
    assert "\n" not in str(caught.value), "one line"
    return str(caught.value)


def test_image_and_label_are_enough_and_paths_start_at_the_table(folder: Path) -> None:
    rows = rows_of(csv_of(folder, "image,label\ncat/1.png,cat\ndog/1.png,dog\n"))
    assert rows == [
        TableRow("cat/1.png", "cat", None, None, folder / "cat/1.png"),
        TableRow("dog/1.png", "dog", None, None, folder / "dog/1.png"),
    ]


def test_an_absolute_path_is_taken_as_it_is(folder: Path) -> None:
    inner = folder / "tables"
    inner.mkdir()
    row = rows_of(csv_of(inner, f"image,label\n{folder}/cat/1.png,cat\n../dog/1.png,dog\n"))
    assert [r.file.read_bytes() for r in row] == [b"cat/1.png", b"dog/1.png"]
    assert [r.image for r in row] == [f"{folder.as_posix()}/cat/1.png", "../dog/1.png"]


def test_columns_are_found_by_name_and_others_ignored(folder: Path) -> None:
    text = 'width,group,label,notes,image,split\n8,p1,cat,"a, b",cat/1.png,train\n,p2,dog,é,dog/1.png,test\n'
    assert cells(csv_of(folder, text)) == [("cat/1.png", "cat", "train", "p1"), ("dog/1.png", "dog", "test", "p2")]


def test_labels_and_groups_are_text_whatever_they_look_like(folder: Path) -> None:
    text = "image,label,group\ncat/1.png,01,007\ncat/2.png,1,7\ndog/1.png,NA,1e3\n"
    assert [(label, group) for _, label, _, group in cells(csv_of(folder, text))] == [
        ("01", "007"),
        ("1", "7"),
        ("NA", "1e3"),
    ]


@pytest.mark.parametrize(
    ("column", "labels"),
    [
        (pa.array(["01", "1", "b"]), ["01", "1", "b"]),
        (pa.array(["01", "1", "b"], pa.large_string()), ["01", "1", "b"]),
        (pa.array(["x", "x", "y"]).dictionary_encode(), ["x", "x", "y"]),
        (pa.array([3, -1, 3], pa.int8()), ["3", "-1", "3"]),
        (pa.array([True, False, True]), ["true", "false", "true"]),
    ],
)
def test_a_parquet_holds_what_its_types_say(column: pa.Array, labels: list[str], folder: Path) -> None:
    nothing = pa.nulls(3)
    table = parquet_of(
        folder, {"image": IMAGES, "label": column, "split": nothing, "group": ["p", None, ""], "x": [1.5] * 3}
    )
    assert [row.label for row in rows_of(table)] == labels
    assert [(row.split, row.group) for row in rows_of(table)] == [(None, "p"), (None, None), (None, None)]


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        ("double", pa.array([0.5, 1.0, None])),
        ("list<element: string>", pa.array([["cat", "dog"], ["cat"], ["dog"]])),
        ("date32", pa.array([1, 2, 3], pa.date32())),
    ],
)
def test_values_that_are_no_names_are_refused_by_type(kind: str, column: pa.Array, folder: Path) -> None:
    message = refused(parquet_of(folder, {"image": IMAGES, "label": column}))
    for words in ("column label", "images.parquet", kind, "text or whole numbers; one label per image", "as text"):
        assert words in message


@pytest.mark.parametrize(("word", "split"), [*SPLIT_FOLDERS.items(), ("Train", "train"), (" VAL ", "val")])
def test_split_words_are_those_of_split_folders(word: str, split: str, folder: Path) -> None:
    assert cells(csv_of(folder, f"image,label,split\ncat/1.png,cat,{word}\n"))[0][2] == split


def test_empty_cells_of_split_and_group_mean_that_there_is_none(folder: Path) -> None:
    rows = cells(csv_of(folder, "image,label,split,group\ncat/1.png,cat,,\ndog/1.png,dog, , p1 \n"))
    assert [(split, group) for _, _, split, group in rows] == [(None, None), (None, "p1")]


@pytest.mark.parametrize("written", ["./cat/1.png", "cat//1.png", "cat\\1.png", ".\\cat\\1.png"])
def test_names_have_forward_slashes(written: str, folder: Path) -> None:
    (row,) = rows_of(csv_of(folder, f"image,label\n{written},cat\n"))
    assert row.image == "cat/1.png"
    assert row.file.read_bytes() == b"cat/1.png"


@pytest.mark.parametrize("name", ["a\\b.png", "a,b.png", 'a"b.png', "a\nb.png", " a.png ", "ä.png", "no_suffix"])
def test_odd_file_names_are_found(name: str, folder: Path) -> None:
    (folder / name).write_bytes(b"odd")
    quoted = name.replace('"', '""')
    (row,) = rows_of(csv_of(folder, f'image,label\n"{quoted}",cat\n'))
    assert row.file.read_bytes() == b"odd"


@pytest.mark.parametrize(
    "text", ["\ufeffimage,label\r\ncat/1.png,01\r\n", "image,label\ncat/1.png,01", "image,label\n\ncat/1.png,01\n\n"]
)
def test_marks_line_ends_and_empty_lines_of_spreadsheets_do_no_harm(text: str, folder: Path) -> None:
    assert cells(csv_of(folder, text, "TABLE.CSV")) == [("cat/1.png", "01", None, None)]


def test_a_repeated_row_counts_once(folder: Path) -> None:
    text = "image,label,group\ncat/1.png,cat,p\ndog/1.png,dog,p\n./cat/1.png,cat,p\ncat/1.png,cat,p\n"
    assert [row.image for row in rows_of(csv_of(folder, text))] == ["cat/1.png", "dog/1.png"]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("x,species", ["no column image and no column label", "'x', 'species'", "rename"]),
        ("image,breed", ["no column label, only 'image', 'breed'"]),
        (
            "image,class,category",
            ["no column label", "'class' and 'category' could both be it", "call one of them label"],
        ),
        ("path,file,label", ["no column image", "'path' and 'file' could both be it", "call one of them image"]),
        ("image,label,label", ["several columns label", "expected one"]),
    ],
)
def test_columns_that_are_missing_or_there_twice_are_named(header: str, words: Sequence[str], folder: Path) -> None:
    row = ",".join("x" * len(header.split(",")))
    message = refused(csv_of(folder, f"{header}\n{row}\n"))
    for part in ("images.csv", *words):
        assert part in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["cannot be read as a table", "columns image and label"]),
        (b"image,label\n", ["has a header but no rows"]),
        (b"image,label\ncat/1.png,cat,x\n", ["Expected 2 columns, got 3"]),
        (b"image,label\ncat/\xff.png,cat\n", ["cannot be read as a table", "UTF-8 with a header"]),
        ("image,label\nä,b\n".encode("utf-16"), ["cannot be read as a table", "UTF-8"]),
    ],
)
def test_a_file_that_is_no_table_is_refused(content: bytes, words: Sequence[str], folder: Path) -> None:
    message = refused(csv_of(folder, content))
    for part in ("images.csv", *words):
        assert part in message
    assert "cannot be read as a table" in refused(csv_of(folder, content, "images.parquet"))


@pytest.mark.parametrize("empty", ["", "  "])
def test_rows_without_a_label_are_left_out_and_named(empty: str, folder: Path) -> None:
    table = csv_of(folder, f"image,label\ncat/1.png,cat\ncat/2.png,{empty}\ndog/1.png,{empty}\n")
    found = read_table(table, SPLIT_FOLDERS)
    assert ([row.image for row in found.rows], found.unlabelled) == (["cat/1.png"], ("cat/2.png", "dog/1.png"))
    found = read_table(parquet_of(folder, {"image": IMAGES, "label": ["cat", None, "dog"]}), SPLIT_FOLDERS)
    assert ([row.label for row in found.rows], found.unlabelled) == (["cat", "dog"], ("cat/2.png",))


def test_a_table_without_any_label_is_refused_where_labels_are_needed(folder: Path) -> None:
    for table in (
        csv_of(folder, "image,label\ncat/1.png,\ncat/2.png,\n"),
        csv_of(folder, "image\ncat/1.png\ncat/2.png\n", "bare.csv"),
    ):
        assert "headstart embed" in refused(table) or "has no column label" in refused(table)
        found = read_table(table, SPLIT_FOLDERS, labels="optional")
        assert [(row.image, row.label) for row in found.rows] == [("cat/1.png", ""), ("cat/2.png", "")]
        assert found.unlabelled == ()


@pytest.mark.parametrize("empty", ["", "  "])
def test_rows_without_image_are_counted_and_the_first_is_named(empty: str, folder: Path) -> None:
    message = refused(csv_of(folder, f"image,label\ncat/1.png,cat\n{empty},dog\n"))
    assert "1 rows of" in message
    assert "have no image (first: row 2 below the header); expected a path" in message


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize(("name", "end"), [("t.csv", "\r\n"), ("t.tsv", "\n"), ("t.CSV", "\n")])
def test_any_usual_mark_divides_the_cells(mark: str, name: str, end: str, folder: Path) -> None:
    lines = [("\ufeffimage", "notes", "label"), ("cat/1.png", '"a, b; c"', "cat"), ("dog/1.png", "", "x y")]
    found = cells(csv_of(folder, end.join(mark.join(line) for line in lines) + end, name))
    assert [(image, label) for image, label, _, _ in found] == [("cat/1.png", "cat"), ("dog/1.png", "x y")]


@pytest.mark.parametrize(
    ("header", "read_as"),
    [
        ("filename;class", {"filename": "image", "class": "label"}),
        ("Image;Label", {"Image": "image", "Label": "label"}),
        ("file_name;category", {"category": "label"}),
        ("path;label", {"path": "image"}),
        ("image;label", {}),
    ],
)
def test_columns_of_labelling_tools_are_read_and_named(header: str, read_as: dict[str, str], folder: Path) -> None:
    found = read_table(csv_of(folder, f"{header}\ncat/1.png;cat\n"), SPLIT_FOLDERS)
    assert [(row.image, row.label) for row in found.rows] == [("cat/1.png", "cat")]
    assert found.read_as == read_as


def test_lines_of_json_are_rows(folder: Path) -> None:
    lines = ['{"file_name": "cat/1.png", "label": 3}', "", '{"file_name": "dog/1.png", "label": null, "group": "p"}']
    found = read_table(csv_of(folder, "\n".join(lines), "metadata.jsonl"), SPLIT_FOLDERS)
    assert [(row.image, row.label) for row in found.rows] == [("cat/1.png", "3")]
    assert found.unlabelled == ("dog/1.png",)
    dated = csv_of(folder, '{"image": "cat/1.png", "label": "2020-01-01"}\n', "metadata.jsonl")
    assert [row.label for row in rows_of(dated)] == ["2020-01-01"], "text stays as it is written"
    assert "line 1 is no object" in refused(csv_of(folder, "[1]\n", "metadata.jsonl"))
    assert "date" not in refused(csv_of(folder, '{"image": "a", "label": ["x"]}\n', "metadata.jsonl"))


def test_whole_numbers_that_became_decimal_because_a_cell_is_missing_are_whole(folder: Path) -> None:
    found = read_table(parquet_of(folder, {"image": IMAGES, "label": pa.array([10.0, 2.0, None])}), SPLIT_FOLDERS)
    assert ([row.label for row in found.rows], found.unlabelled) == (["10", "2"], ("dog/1.png",))
    table = parquet_of(folder, {"image": IMAGES, "label": pa.array([10.0, 2.0, float("nan")])})
    assert [row.label for row in rows_of(table)] == ["10", "2"]


def test_class_numbers_get_the_names_that_the_file_gives_them(folder: Path) -> None:
    info = {"info": {"features": {"label": {"names": ["ant", "bee"], "_type": "ClassLabel"}}}}
    table = pa.table({"image": IMAGES, "label": pa.array([1, 0, -1])})
    pa.parquet.write_table(table.replace_schema_metadata({"huggingface": json.dumps(info)}), folder / "t.parquet")
    found = read_table(folder / "t.parquet", SPLIT_FOLDERS)
    assert ([row.label for row in found.rows], found.unlabelled) == (["bee", "ant"], ("dog/1.png",))


@pytest.mark.parametrize("names", [["c.png", "b.png", "a.png"], ["x.png", "x.png", None]])
def test_a_parquet_may_hold_the_images(names: list[str | None], folder: Path) -> None:
    contents = [b"one", b"second", b"3"]
    structs = [{"bytes": content, "path": name} for content, name in zip(contents, names, strict=True)]
    for column in (pa.array(contents), pa.array(contents, pa.large_binary()), pa.array(structs)):
        table = parquet_of(folder, {"image": column, "label": ["u", "v", "u"]})
        for rows in (rows_of(table), image_rows(table)):
            found = []
            for row in rows:
                assert row.file is not None
                found.append(row.file.read_bytes()[row.offset : row.offset + (row.size or 0)])
            assert found == contents
        has_names = pa.types.is_struct(column.type) and None not in names
        assert [row.image for row in rows] == (names if has_names else ["0000000", "0000001", "0000002"])
    assert "1 rows of" in refused(parquet_of(folder, {"image": [b"a", None], "label": ["u", "v"]}))


def test_images_may_lie_in_a_store(folder: Path) -> None:
    table = csv_of(folder, "image,label\nmemory://bucket/a.png,u\n../b.png,v\n")
    rows = read_table(table, SPLIT_FOLDERS, folder=StoreFolder("memory://bucket/tables")).rows
    assert [(row.image, row.file, row.location) for row in rows] == [
        ("memory://bucket/a.png", None, StoredImage("memory://bucket/a.png")),
        ("../b.png", None, StoredImage("memory://bucket/b.png")),
    ]


@pytest.mark.parametrize("word", ["holdout", "all", ""])
def test_a_split_nobody_knows_is_refused_with_those_that_are_known(word: str, folder: Path) -> None:
    text = f"image,label,split\ncat/1.png,cat,train\ncat/2.png,cat,{word}\ndog/1.png,dog,{word}\n"
    message = refused(csv_of(folder, text))
    assert f"unknown split (first: {word!r}, row 2 below the header, cat/2.png)" in message
    for part in (
        "2 rows of",
        "one of train, training, val, valid, validation, dev, test, testing, eval, evaluation in every row",
    ):
        assert part in message


def test_one_image_with_two_labels_is_refused(folder: Path) -> None:
    text = "image,label\ncat/1.png,cat\ncat\\1.png,dog\ncat/1.png,bird\ndog/1.png,dog\n"
    message = refused(csv_of(folder, text))
    assert "1 images of" in message
    assert "several values of label (first: cat/1.png: 'cat' and 'dog'); expected one label per image" in message


@pytest.mark.parametrize(("column", "values"), [("split", ("train", "test")), ("group", ("p1", "p2"))])
def test_one_image_on_two_sides_is_refused(column: str, values: tuple[str, str], folder: Path) -> None:
    text = f"image,label,{column}\ncat/1.png,cat,{values[0]}\ncat/1.png,cat,{values[1]}\n"
    message = refused(csv_of(folder, text))
    assert (
        f"several values of {column} (first: cat/1.png: {values[0]!r} and {values[1]!r}); expected one row" in message
    )


@pytest.mark.parametrize(
    "joined",
    [
        *("cat;dog", "cat | dog", "dog|cat|dog", "cat,dog", "cat, dog", "cat+dog", "cat dog", "dog / cat", "cat&dog"),
        *("['cat', 'dog']", "(cat,dog)", "[cat, dog]", "{'dog'; 'cat'}", "['cat' 'dog']"),
    ],
)
def test_a_cell_with_several_labels_is_refused_where_nothing_else_can_be_meant(joined: str, folder: Path) -> None:
    message = refused(csv_of(folder, f'image,label\ncat/1.png,cat\ndog/1.png,dog\ncat/2.png,"{joined}"\n'))
    for part in ("1 rows of", f"several labels (first: cat/2.png: {joined!r})", "one label per image"):
        assert part in message


@pytest.mark.parametrize(
    "name", ["cat;dog", "cat|bird", "a;b", "cat;", ";", "cat,dog", "cat/dog", "cat bird", "['cat']"]
)
def test_a_cell_that_may_be_a_name_is_a_label(name: str, folder: Path) -> None:
    rows = cells(csv_of(folder, f'image,label\ncat/1.png,cat\ncat/2.png,"{name}"\ndog/1.png,"{name}"\n'))
    assert [label for _, label, _, _ in rows] == ["cat", name, name]


def test_lists_of_one_label_make_longer_lists_joined(folder: Path) -> None:
    rows = "cat/1.png,['cat']\ndog/1.png,['dog']\ncat/2.png,\"['cat', 'dog']\"\n"
    assert "1 rows of" in refused(csv_of(folder, f"image,label\n{rows}"))


@pytest.mark.parametrize(("one", "other"), [("1", "1.0"), ("2.50", "2.5"), ("1e1", "10"), ("01", "1."), ("-0.0", "0")])
def test_one_number_in_two_spellings_is_refused(one: str, other: str, folder: Path) -> None:
    message = refused(csv_of(folder, f"image,label\ncat/1.png,{one}\ncat/2.png,{other}\ndog/1.png,x\n"))
    for part in (repr(one), repr(other), "which are the same number", "one spelling of each label"):
        assert part in message


@pytest.mark.parametrize(
    ("one", "other"), [("007", "07"), ("1.5", "15"), ("v1", "v1.0"), ("nan", "NaN"), ("1_0", "10")]
)
def test_codes_that_only_look_like_one_number_are_labels(one: str, other: str, folder: Path) -> None:
    rows = cells(csv_of(folder, f"image,label\ncat/1.png,{one}\ncat/2.png,{other}\n"))
    assert [label for _, label, _, _ in rows] == [one, other]


def test_file_name_stands_for_image_where_that_is_not_there(folder: Path) -> None:
    assert cells(csv_of(folder, "file_name,label\ncat/1.png,cat\n"))[0][:2] == ("cat/1.png", "cat")
    assert cells(csv_of(folder, "file_name,image,label\nx,cat/1.png,cat\n"))[0][:2] == ("cat/1.png", "cat")
    assert [row.image for row in rows_of(parquet_of(folder, {"file_name": IMAGES, "label": IMAGES}))] == list(IMAGES)


def test_labels_that_differ_by_spaces_only_are_refused(folder: Path) -> None:
    message = refused(csv_of(folder, "image,label\ncat/1.png,cat\ncat/2.png,cat \ndog/1.png,dog\n"))
    assert "labels 'cat' and 'cat ', which differ by spaces only; expected one spelling" in message


def test_images_that_do_not_exist_are_counted_and_the_first_is_named(folder: Path) -> None:
    long = "0 255 " * 200
    text = f"image,label\ncat/1.png,cat\ncat/9.png,cat\ncat,cat\n{long},dog\n"
    message = refused(csv_of(folder, text))
    assert "3 of 4 images of" in message
    assert f"do not exist (first: cat/9.png); expected paths relative to {folder}" in message


def test_a_column_of_sample_weights_is_read_from_both_kinds(folder: Path) -> None:
    csv = csv_of(folder, "image,label,sample_weight\ncat/1.png,a,0.5\ndog/1.png,b,2\n")
    assert [row.sample_weight for row in rows_of(csv)] == [0.5, 2.0]
    columns = {"image": ["cat/1.png", "dog/1.png"], "label": ["a", "b"], "sample_weight": pa.array([0.25, 3.0])}
    assert [row.sample_weight for row in rows_of(parquet_of(folder, columns))] == [0.25, 3.0]
    assert {row.sample_weight for row in rows_of(csv_of(folder, "image,label\ncat/1.png,a\ndog/1.png,b\n"))} == {None}


@pytest.mark.parametrize("weight", ["0", "-1", "", "much", "nan", "inf"])
def test_a_sample_weight_that_is_none_is_named(weight: str, folder: Path) -> None:
    message = refused(csv_of(folder, f"image,label,sample_weight\ncat/1.png,a,{weight}\ndog/1.png,b,1\n"))
    assert f"the sample_weight of cat/1.png in {folder / 'images.csv'} is {weight!r}; expected a number > 0" in message
