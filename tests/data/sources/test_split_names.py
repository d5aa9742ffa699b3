"""What names say about splits."""

from __future__ import annotations

import pytest

from headstart.data.sources.split_names import is_like_a_split, split_in, usual_split


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("Training", "train"),
        ("Testing", "test"),
        ("seg_train", "train"),
        ("train2017", "train"),
        ("TestSet", "test"),
        ("eval_set", "test"),
        ("dev", "val"),
        ("Validation Images", "val"),
        ("train_test", None),
        ("trains", None),
        ("ants", None),
        ("device", None),
        ("contest", None),
    ],
)
def test_a_word_for_one_split_is_found(name: str, split: str | None) -> None:
    assert split_in(name) == split


def test_only_usual_names_need_no_second_sign() -> None:
    assert [usual_split(name) for name in ("train", "VAL", "valid", "Validation", "test")] == [
        *("train", "val", "val", "val", "test")
    ]
    assert usual_split("Training") is usual_split("dev") is usual_split("ants") is None


def test_folds_are_like_splits_and_numbers_are_not() -> None:
    assert all(map(is_like_a_split, ("fold1", "Fold_02", "part-3", "split 1", "Testing")))
    assert not any(map(is_like_a_split, ("7", "class1", "apartment", "cat")))
