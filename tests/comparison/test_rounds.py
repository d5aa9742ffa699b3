"""The trials of a comparison; successive halving keeps the better half, and a resume finds the same."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.comparison.grid import GridPlan, Trial
from headstart.comparison.rounds import limit_of_share, schedule


def grid(count: int, **values: object) -> GridPlan:
    raw = {"data": {"source": "x"}, "vary": {"model": [f"m{i}" for i in range(count)]}, **values}
    return GridPlan.from_dict(raw, source="test")


def by(quality: Mapping[str, float | None]) -> Callable[[Sequence[Trial]], dict[str, float | None]]:
    return lambda trials: {trial.variant.name: quality[trial.variant.name] for trial in trials}


def test_without_halving_everything_is_known_at_once():
    found = schedule(grid(3, seeds=[0, 1]), has_ended=lambda trial: False, values_of=by({}))
    assert len(found.trials) == 6
    assert (found.dropped, found.to_come) == ({}, 0)


def run_all(plan: GridPlan, quality: dict[str, float | None]) -> list[list[str]]:
    """Runs trial after trial; the answer is what was known each time."""
    ended: set[str] = set()
    known = []
    while True:
        found = schedule(plan, has_ended=lambda trial: trial.name in ended, values_of=by(quality))
        known.append([trial.name for trial in found.trials])
        left = [trial for trial in found.trials if trial.name not in ended]
        if not left:
            return known
        assert found.to_come + len(left) > 0
        ended.add(left[0].name)


@given(st.integers(3, 9), st.integers(1, 3), st.integers(0, 2**31))
def test_halving_ends_with_the_best_and_never_takes_a_trial_back(count: int, seeds: int, drawn: int):
    plan = grid(count, seeds=list(range(seeds)), halving="successive")
    values = np.random.default_rng(drawn).permutation(count)
    quality = {f"m{i}": float(values[i]) for i in range(count)}
    known = run_all(plan, quality)
    for before, after in itertools.pairwise(known):
        assert after[: len(before)] == before
    final = {trial for trial in known[-1] if not trial.endswith("pc")}
    best = max(quality, key=lambda name: quality[name] or 0.0)
    assert any(f"-{best}-" in name for name in final)
    assert len(final) % seeds == 0


def test_what_failed_is_dropped_first_and_what_is_to_come_is_counted():
    plan = grid(4, seeds=[0, 1, 2], halving="successive")
    quality = {"m0": None, "m1": 0.1, "m2": 0.2, "m3": None}
    first = schedule(plan, has_ended=lambda trial: False, values_of=by({}))
    assert len(first.trials) == 4
    assert first.to_come == 2 + 2 * 3
    after = schedule(plan, has_ended=lambda trial: trial.share == 0.25, values_of=by(quality))
    assert {trial.variant.name for trial in after.trials if trial.share == 0.5} == {"m1", "m2"}
    assert after.dropped == {"m0": 0.25, "m3": 0.25}


def test_numbers_go_on_over_the_rounds():
    plan = grid(4, seeds=[0], halving="successive")
    done = schedule(plan, has_ended=lambda trial: True, values_of=by({f"m{i}": float(i) for i in range(4)}))
    assert [trial.number for trial in done.trials] == list(range(1, len(done.trials) + 1))
    assert {trial.variant.name for trial in done.trials if trial.share == 1.0} == {"m2", "m3"}
    assert isinstance(done.trials[0], Trial)


def test_a_round_is_judged_as_a_whole_and_only_the_last_one():
    asked: list[list[Trial]] = []

    def values_of(trials: Sequence[Trial]) -> dict[str, float | None]:
        asked.append(list(trials))
        return by({f"m{i}": float(i) for i in range(8)})(trials)

    schedule(grid(8, seeds=[0, 1], halving="successive"), has_ended=lambda trial: True, values_of=values_of)
    assert [({trial.share for trial in trials}, len(trials)) for trials in asked] == [({0.25}, 8), ({0.5}, 4)]


@pytest.mark.parametrize(
    ("share", "limit", "images", "most", "expected"),
    [
        (0.25, "100/class", 1000, 100, "25/class"),
        (0.25, "100/class", 60, 30, "8/class"),
        (0.5, None, 244, 123, "122"),
        (0.25, "2/class", 4, 2, "1/class"),
        (0.5, "1000", 244, 123, "122"),
    ],
)
def test_a_share_of_the_images_as_a_limit(share: float, limit: str | None, images: int, most: int, expected: str):
    assert limit_of_share(share, limit=limit, images=images, most_of_a_class=most) == expected
