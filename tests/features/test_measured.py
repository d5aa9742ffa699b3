"""What is remembered of a machine, and the rates that follow."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from headstart.features.cost_facts import frozen_stretch
from headstart.features.measured import Known, Spent, gemm_rate, rates_of, recall, remember
from headstart.features.network_facts import NetworkFacts

FACTS = NetworkFacts("net@224", 2.0, 10**7, 512, ("stem", "head"), (), 1e8, vigour=0.5)
OTHER = replace(FACTS, name="other@224", vigour=0.25)


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path))
    return tmp_path


def test_what_is_remembered_comes_back_for_its_machine_and_for_whoever_asks_for_the_last(own_home: Path):
    assert recall("a") == recall() == Known()
    known = Known()
    known.learn("moved", 1e9)
    known.learn_stretch(FACTS, "steps", 0.01)
    known.learn_facts(FACTS)
    remember("a", known)
    remember("b", Known({"moved": 1.0}, {}))
    assert recall("a") == known
    assert recall("a").facts_of("net@224") == FACTS
    assert recall() == Known({"moved": 1.0}, {})
    assert recall("a").facts_of("unknown@224") is None


@pytest.mark.parametrize("text", ["", "[]", '{"machines": 3}', '{"latest": "a", "machines": {"a": {"figures": 1}}}'])
def test_a_damaged_file_counts_as_none(own_home: Path, text: str):
    (own_home / "rates.json").write_text(text)
    assert recall("a") == recall() == Known()
    remember("a", Known({"moved": 2.0}, {}))
    assert recall("a").figures == {"moved": 2.0}


def test_a_home_that_may_not_be_written_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "file"))
    remember("a", Known({"moved": 2.0}, {}))
    assert recall("a") == Known()


def test_a_new_measurement_moves_most_of_the_way_and_nonsense_moves_nothing():
    known = Known()
    known.learn("moved", 100.0)
    known.learn("moved", 200.0)
    assert known.figures["moved"] == pytest.approx(170.0)
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        known.learn("moved", wrong)
    assert known.figures["moved"] == pytest.approx(170.0)


def test_another_network_is_expected_to_run_as_much_slower_as_its_kind():
    known = Known()
    known.learn("forward", 10.0, network=FACTS)
    same, other = (rates_of(known, one, gemm=1e9) for one in (FACTS, OTHER))
    assert (same.forward, other.forward) == (10.0, 5.0)
    assert same.origin == "related"
    assert same.training == pytest.approx(10 / 3)
    assert same.torch > same.forward
    known.learn_stretch(FACTS, frozen_stretch("pooled", "torch"), 0.3)
    assert rates_of(known, FACTS).origin == "measured"
    assert rates_of(known, FACTS).measured == {frozen_stretch("pooled", "torch"): 0.3}
    assert rates_of(known, OTHER).origin == "related"


def test_where_nothing_ran_the_machines_arithmetic_tells():
    slow, fast = (rates_of(Known(), FACTS, gemm=gemm) for gemm in (10.0, 100.0))
    assert slow.origin == "guessed"
    assert fast.forward == pytest.approx(10 * slow.forward)
    assert 0 < fast.training < fast.forward < fast.torch < fast.onnxruntime < 100
    assert rates_of(Known(), FACTS, gemm=10.0, device="cuda").onnxruntime == 0
    assert rates_of(Known(), FACTS, gemm=10.0, device="cuda").decoding == "beside"


def test_views_of_larger_images_take_longer_and_nearest_sizes_are_asked():
    known = Known()
    guessed = [rates_of(known, FACTS, pixels=pixels, gemm=1.0).plain_view for pixels in (10**4, 10**6)]
    assert guessed[0] < guessed[1]
    known.learn_view("plain", 0.01, pixels=2**18)
    known.learn_view("plain", 1.0, pixels=2**24)
    found = rates_of(known, FACTS, pixels=2**19, gemm=1.0)
    assert found.plain_view == pytest.approx(0.02)
    assert found.varied_view == pytest.approx(0.02), "the other kind, where this one was not seen"


def test_the_rate_at_products_is_told_at_once():
    started = time.perf_counter()
    assert 0.01 < gemm_rate() < 1e5
    assert time.perf_counter() - started < 1


def test_spending_is_counted_from_many_threads():
    spent = Spent()

    def work() -> None:
        for _ in range(50):
            with spent.view("varied"):
                sum(range(200))
            spent.moved(10, 0.5)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = spent.so_far()
    assert (found.views["varied"], found.views["plain"], found.moved_bytes) == (200, 0, 2000)
    assert found.moved_seconds == pytest.approx(100.0)
    assert found.view_seconds["varied"] > 0


def test_what_waits_is_not_counted_as_work_of_a_core():
    spent = Spent()
    with spent.view("plain"):
        time.sleep(0.2)
    assert spent.so_far().view_seconds["plain"] < 0.1


def test_rates_are_plain_json(own_home: Path):
    remember("a", Known({"moved": 2.0}, {}))
    assert json.loads((own_home / "rates.json").read_text())["latest"] == "a"
