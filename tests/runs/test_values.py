"""Dataclasses from plain values and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from headstart.runs.values import plain_mapping, typed


@dataclass(frozen=True)
class Leaf:
    name: str
    size: float = 1.0


@dataclass(frozen=True)
class Tree:
    leaves: tuple[Leaf, ...]
    by_name: Mapping[str, Leaf]
    span: tuple[float, float] | None = None


def test_nested_values_are_typed_and_come_back_as_json_has_them():
    raw = {"leaves": [{"name": "a", "size": 2}], "by_name": {"b": {"name": "b"}}, "span": [0, 1.5], "of_tomorrow": 1}
    tree = typed(Tree, raw)
    assert tree == Tree((Leaf("a", 2.0),), {"b": Leaf("b")}, (0.0, 1.5))
    again = plain_mapping(tree)
    assert again["leaves"] == [{"name": "a", "size": 2.0}]
    assert again["span"] == [0.0, 1.5]
    assert typed(Tree, again) == tree


def test_what_is_no_number_in_json_is_read_as_it_was_written():
    assert str(typed(Leaf, {"name": "a", "size": float("nan")}).size) == "nan"


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ({"leaves": [], "by_name": {}, "span": "x"}, "^span is wrong: Input should be a valid tuple$"),
        ({"leaves": [{"size": 1}], "by_name": {}}, r"^leaves\.0\.name is missing$"),
        ({}, "^leaves is missing, and 1 more values are missing or wrong$"),
        ([], "^the file is wrong: "),
    ],
)
def test_the_first_fault_is_named_by_its_path(raw: object, says: str):
    with pytest.raises(ValueError, match=says):
        typed(Tree, raw)
