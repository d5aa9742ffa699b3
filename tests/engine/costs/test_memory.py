"""One file remembers a machine: nothing is lost between processes, a damaged file counts as none, past estimates."""

from __future__ import annotations

import json
import math
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.engine.costs.memory import (
    FEWEST_RATIOS,
    MOST_RATIOS,
    Measurements,
    recall,
    recall_value,
    remember,
    remember_value,
)
from headstart.engine.costs.network import CutPoint, NetworkFacts
from headstart.files import locked

FACTS = NetworkFacts("net@224", 2.0, 10**7, 512, ("stem", "head"), (CutPoint("head", 0.9, 2048),), 1e8, uncut=("head",))
OTHER = replace(FACTS, name="other@224")

ratios = st.lists(st.floats(0.01, 100.0), max_size=2 * MOST_RATIOS)


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path))
    return tmp_path


def with_store(value: float) -> Measurements:
    measured = Measurements()
    measured.learn("store", value)
    return measured


def test_what_is_remembered_comes_back_for_its_machine_and_by_default_for_the_last_one(own_home: Path):
    assert recall("a") == recall() == Measurements()
    measured = with_store(1e9)
    measured.learn("steps", 0.01, network=FACTS.name)
    measured.learn_network(FACTS)
    remember("a", measured)
    remember("b", with_store(1.0))
    assert recall("a") == measured
    assert recall("a").networks == {"net@224": FACTS}
    assert recall("a").figures_of("net@224") == {"steps": 0.01}
    assert recall() == with_store(1.0)


def test_everything_lies_in_one_file_of_plain_json(own_home: Path):
    remember("a", with_store(2.0))
    remember_value("a", "throughputs", "timm/net@224", 30.0)
    remember_value("b", "engines", "part", {"torch": 1.0})
    assert [path.name for path in own_home.iterdir() if path.name != ".lock"] == ["measurements.json"]
    found = json.loads((own_home / "measurements.json").read_text())
    assert found["latest"] == "a", "the machine that trained last"
    assert (recall("a").figures, recall_value("a", "throughputs", "timm/net@224")) == ({"store": 2.0}, 30.0)
    assert recall_value("b", "engines", "part") == {"torch": 1.0}
    assert recall_value("b", "engines", "another") is recall_value("c", "engines", "part") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"format": 1, "machines": 3}',
        '{"format": 1, "latest": "a", "machines": {"a": 3}}',
        '{"format": 1, "latest": "a", "machines": {"a": {"figures": 1, "engines": [1, 2]}}}',
        '{"format": 1, "latest": "a", "machines": {"a": {"figures": {"store": "x"}, "networks": {}}}}',
        '{"format": 1, "latest": "a", "machines": {"a": {"estimates": {"measured": 3}}}}',
        '{"format": 99, "latest": "a", "machines": {"a": {"figures": {"store": 1.0}}}}',
        '{"latest": ["a"], "machines": {"a": {"figures": {"store": 1.0}}}}',
    ],
)
def test_a_damaged_file_counts_as_none(own_home: Path, text: str):
    (own_home / "measurements.json").write_text(text)
    assert recall("a") == recall() == Measurements()
    assert recall_value("a", "engines", "part") is None
    remember("a", with_store(2.0))
    remember_value("a", "engines", "part", 1)
    assert (recall("a").figures, recall_value("a", "engines", "part")) == ({"store": 2.0}, 1)


def test_a_home_that_may_not_be_written_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "file"))
    remember("a", with_store(2.0))
    assert recall("a") == Measurements()


def test_a_home_without_a_lock_is_read_all_the_same(own_home: Path):
    remember("a", with_store(2.0))
    (own_home / ".lock").unlink()
    (own_home / ".lock").mkdir()  # nobody can open it for writing, not even an administrator
    assert recall("a").figures == {"store": 2.0}


def test_a_new_measurement_moves_most_of_the_way_and_nonsense_moves_nothing():
    known = with_store(100.0)
    known.learn("store", 200.0)
    assert known.figures["store"] == pytest.approx(170.0)
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        known.learn("store", wrong)
    assert known.figures["store"] == pytest.approx(170.0)


def test_two_runs_at_once_keep_what_the_other_learned(own_home: Path):
    first = with_store(1e9)
    first.learn("steps", 0.5, network=FACTS.name)
    remember("a", first)
    one, two = recall("a"), recall("a")
    one.learn("head", 3e7)
    one.learn("validation", 0.1, network=FACTS.name)
    one.learn_network(FACTS)
    remember("b", with_store(1.0))
    remember("a", one)
    two.learn("store", 3e9)
    two.learn("frozen", 0.2, network=FACTS.name)
    two.learn("steps", 0.7, network=OTHER.name)
    two.learn_network(OTHER)
    remember("a", two)
    both = recall("a")
    assert (both.figures["store"], both.figures["head"]) == (pytest.approx(2.4e9), 3e7)
    assert both.figures_of(FACTS.name) == {"steps": 0.5, "validation": 0.1, "frozen": 0.2}
    assert both.figures_of(OTHER.name) == {"steps": 0.7}
    assert both.networks == {FACTS.name: FACTS, OTHER.name: OTHER}
    one.learn("end_seconds", 0.9)
    remember("a", one)
    assert recall("a").figures == {**both.figures, "end_seconds": 0.9}, "what one had read before is no news"
    assert recall("b").figures == {"store": 1.0}


def test_a_figure_that_came_back_to_its_first_value_is_written_too(own_home: Path):
    remember("a", with_store(1000.0))
    mine = recall("a")
    mine.figures["store"] = 1500.0
    mine.changed.add(("figures", "store"))
    remember("a", mine)
    mine.figures["store"] = 1000.0
    mine.changed.add(("figures", "store"))
    remember("a", mine)
    assert recall("a").figures == {"store": 1000.0}


@pytest.mark.parametrize(
    "work",
    [
        lambda: remember("a", with_store(2.0)),
        lambda: remember_value("a", "engines", "part", 1),
        lambda: recall("a"),
        lambda: recall_value("a", "engines", "part"),
    ],
    ids=["remember", "remember_value", "recall", "recall_value"],
)
def test_whoever_reads_or_writes_waits_for_who_is_writing(own_home: Path, work):
    remember("b", with_store(2.0))
    done: list[str] = []
    thread = threading.Thread(target=lambda: (work(), done.append("done")))
    with locked(own_home):
        thread.start()
        thread.join(0.1)
        assert not done
    thread.join()
    assert done


def test_values_remembered_at_the_same_time_are_all_kept(own_home: Path):
    threads = [
        threading.Thread(target=remember_value, args=(machine, section, str(number), number))
        for machine in ("a", "b")
        for section in ("engines", "throughputs")
        for number in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = json.loads((own_home / "measurements.json").read_text())["machines"]
    expected = {str(number): number for number in range(5)}
    assert all(found[machine] == {"engines": expected, "throughputs": expected} for machine in ("a", "b"))


def test_a_damaged_entry_costs_no_other(own_home: Path):
    measured = with_store(2.0)
    measured.learn("head", 3.0)
    measured.learn_network(FACTS)
    measured.learn_network(OTHER)
    remember("a", measured)
    path = own_home / "measurements.json"
    found = json.loads(path.read_text())
    found["machines"]["a"]["figures"]["store"] = "x"
    del found["machines"]["a"]["networks"][OTHER.name]["gmacs"]
    path.write_text(json.dumps(found))
    assert (recall("a").figures, recall("a").networks) == ({"head": 3.0}, {FACTS.name: FACTS})


def test_errors_of_estimates_are_remembered_for_each_origin_of_their_figures(own_home: Path):
    for measured in (8.0, 12.0, 30.0):
        known = recall("a")
        known.learn_estimate("related", estimated=10.0, measured=measured)
        remember("a", known)
    past = recall("a").past_estimates("related")
    assert past is not None
    assert (past.runs, past.low, past.high) == (3, 0.8, 3.0)
    assert recall("a").past_estimates("measured") is None, "figures of another origin say nothing of these"
    assert recall("b").past_estimates("related") is None, "nor does another machine"


def test_runs_that_end_at_the_same_time_both_count(own_home: Path):
    first, second = recall("a"), recall("a")
    first.learn_estimate("measured", estimated=1.0, measured=1.0)
    second.learn_estimate("measured", estimated=1.0, measured=2.0)
    remember("a", first)
    remember("a", second)
    remember("a", second)
    assert recall("a").estimates["measured"] == [1.0, 2.0]


@given(ratios)
def test_the_range_holds_for_each_of_the_last_runs_and_too_few_have_none(ratios: list[float]):
    past, last = Measurements(estimates={"measured": ratios}).past_estimates("measured"), ratios[-MOST_RATIOS:]
    if past is None:
        assert len(ratios) < FEWEST_RATIOS
        return
    assert past.runs == len(last)
    assert all(past.low <= ratio <= past.high for ratio in last)
    assert past.low in last
    assert past.high in last


@given(ratios, st.floats(0.1, 1e6), st.floats(0.1, 1e6))
def test_the_newest_run_is_never_forgotten(ratios: list[float], estimated: float, measured: float):
    known = Measurements(estimates={"measured": ratios})
    known.learn_estimate("measured", estimated=estimated, measured=measured)
    assert known.estimates["measured"][-1] == measured / estimated
    assert len(known.estimates["measured"]) <= MOST_RATIOS


@pytest.mark.parametrize("odd", [0.0, -1.0, math.nan, math.inf])
def test_times_that_are_none_teach_nothing(odd: float):
    known = Measurements()
    known.learn_estimate("measured", estimated=odd, measured=1.0)
    known.learn_estimate("measured", estimated=1.0, measured=odd)
    assert known.estimates == {}
    assert known.tested == []
