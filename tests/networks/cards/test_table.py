"""The rows of cards.json."""

from __future__ import annotations

import json
from importlib import resources

import pytest

from headstart.networks.cards.table import _FIELDS, CardRow, _row, card_table

RAW = json.loads(resources.files("headstart.networks.cards").joinpath("cards.json").read_text(encoding="utf-8"))


def test_every_value_of_the_file_is_a_field_of_its_row():
    table = card_table()
    assert len(table.cards) == len(RAW["cards"])
    assert len(table.unpublished) == len(RAW["unpublished"])
    for raw, row in zip([*RAW["cards"], *RAW["unpublished"]], [*table.cards, *table.unpublished], strict=True):
        assert {key: getattr(row, _FIELDS.get(key, key)) for key in raw} == raw


def test_places_in_the_shared_lists_exist():
    table = card_table()
    for row in (*table.cards, *table.unpublished):
        shared = table.architectures[row.library_name][row.architecture]
        assert 0 <= row.statistics < len(table.statistics)
        assert 0 <= (shared.groups if row.groups is None else row.groups) < len(table.groups)


def test_what_a_row_leaves_out_is_the_usual_value():
    row = _row({"a": "net", "t": "tag", "p": 5, "g": None, "s": 224})
    assert row == CardRow("net", "tag", 5, 224)
    assert (row.library_name, row.licence, row.num_classes, row.crop) == ("timm", "apache-2.0", 1000, "center")
    assert _row({"a": "net", "t": "tag", "p": 5, "s": 224, "l": "tv"}).library_name == "torchvision"


def test_a_key_that_no_reader_knows_is_not_passed_over():
    with pytest.raises(TypeError, match="fast"):
        _row({"a": "net", "t": "tag", "p": 5, "s": 224, "fast": 1})
