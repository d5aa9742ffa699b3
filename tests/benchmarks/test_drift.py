"""Divisions of sets by group, book and date; tables of what is found."""

from __future__ import annotations

import numpy as np
from drift import alarms_table, by_books, is_late, power_table, sources_table
from drift_sets import book_of, fire_of, random_side


def test_random_divisions_take_whole_groups_of_every_class():
    groups = np.repeat(np.arange(40), 3)
    labels = groups % 2
    side = random_side(groups, labels, np.random.default_rng(0))
    assert all(len(set(side[groups == group])) == 1 for group in range(40))
    assert [int(side[labels == label].sum()) for label in (0, 1)] == [18, 18]


def test_books_stay_whole_and_fires_are_divided_by_date():
    ids = [f"{label}/{book}__{page}.jpg" for label in ("early_print", "medieval_manuscript") for book in "abc"
           for page in range(10)]  # fmt: skip
    side = by_books(0)(ids)
    assert all(len({bool(side[at]) for at, one in enumerate(ids) if book_of(one) == book}) == 1 for book in
               {book_of(one) for one in ids})  # fmt: skip
    assert side.sum() == 20
    fires = [f"train/burned/A_B_{year}0101_post_000_016.tif" for year in range(2015, 2025)]
    assert is_late(fires).tolist() == [False] * 7 + [True] * 3
    assert fire_of(fires[0]) == "A_B_20150101"


def test_tables_count_what_is_beyond_chance():
    alarms = alarms_table([{"set": "a", "images": 1200, "alarms": 9, "divisions": 200}])
    assert "| a | 1,200 | 9 of 200 (0.024..0.083) |" in alarms
    power = power_table([{"set": "a", "kind": "blurred", "share": 0.1, "trials": 40, "found": 3, "auroc": 0.512}])
    assert "3 of 40, 0.51" in power
    found = {"auroc": 0.9, "chance": 0.001}
    rows = [{"division": "by book", "divided": found, "random": {"auroc": 0.5, "chance": 0.6}}] * 2
    assert "| by book | 2 of 2 | 0.90 (0.90..0.90) | 0 of 2 | 0.50 (0.50..0.50) |" in sources_table(rows)
