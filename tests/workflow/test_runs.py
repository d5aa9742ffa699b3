"""A real run is found as it is; runs are compared on the images they share only."""

from __future__ import annotations

from pathlib import Path

import pytest
from scipy.stats import binomtest

from headstart.errors import RunError
from headstart.plan.plan import DataPlan
from headstart.plan.request import Request
from headstart.runs.finding import RunQuery
from headstart.workflow.runs import compare_runs, find_runs
from headstart.workflow.training.train import train
from made_runs import make_comparison, make_pretraining, make_run


def answers(right: str, *, first: int = 0) -> dict[str, tuple[str, str]]:
    """`1` right, `0` wrong; images are numbered."""
    return {f"{first + index}.png": ("a", "a" if mark == "1" else "b") for index, mark in enumerate(right)}


def test_a_real_run_is_read_as_it_says(image_folder: Path, tmp_path: Path):
    options = Request(DataPlan(source=str(image_folder)), strategy="feature_extraction", input_size=32, seed=3)
    metrics = train(options, out=tmp_path / "runs" / "one").metrics
    (run,) = find_runs(tmp_path / "runs").runs
    assert (run.run, run.state, run.resume) == (metrics.run, "finished", None)
    assert (run.strategy, run.model, run.seed) == (metrics.strategy, metrics.model, 3)
    assert (run.accuracy, run.accuracy_interval) == (
        metrics.test.accuracy,
        metrics.test.accuracy_interval,
    )
    assert (run.images, run.seconds) == (metrics.test.images, metrics.total_seconds)
    assert run.data == str(image_folder)
    again = train(options, out=tmp_path / "runs" / "two").run.folder
    compared = compare_runs([run.run, again])
    (pair,) = compared.pairs
    assert (pair.verdict, pair.difference, pair.images) == ("tie", 0.0, metrics.test.images)
    assert compared.same_images
    assert compared.settings == {}


def test_queries_and_what_lies_beside_runs(tmp_path: Path):
    make_run(tmp_path / "a", accuracy=0.5)
    make_run(tmp_path / "b", accuracy=0.8, strategy="full")
    (make_run(tmp_path / "c") / "environment.json").unlink()
    make_comparison(tmp_path / "compared")
    (make_comparison(tmp_path / "d") / "comparison.json").write_text("{")
    found = find_runs(tmp_path, RunQuery(sort="accuracy"))
    assert [run.accuracy for run in found.runs] == [0.8, 0.5]
    assert (found.searched, len(found.damaged)) == (2, 2)
    assert [Path(one.comparison).name for one in found.comparisons] == ["compared"]
    assert find_runs(tmp_path, RunQuery(state="finished")).damaged == ()
    damaged = find_runs(tmp_path, RunQuery(state="damaged")).to_dict()
    assert (damaged["runs"], [Path(run["run"]).name for run in damaged["damaged"]]) == ([], ["c", "d"])
    with pytest.raises(RunError, match=r"'ful' is no strategy; expected one of .*; did you mean full"):
        find_runs(tmp_path, RunQuery(strategy="ful"))


def test_the_usual_folder_need_not_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert find_runs().to_dict() == {
        **{"runs": [], "comparisons": [], "damaged": [], "searched": 0, "pretrainings": []}
    }
    make_run(tmp_path / "runs" / "a")
    assert [run.run for run in find_runs().runs] == ["runs/a"]
    with pytest.raises(RunError, match="is no folder"):
        find_runs("elsewhere")


def test_pretrainings_are_listed_with_runs_and_found_in_their_usual_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "runs" / "a")
    make_pretraining(tmp_path / "pretrained" / "b")
    (make_pretraining(tmp_path / "pretrained" / "c") / "pretrain.json").write_text("{")
    found = find_runs()
    assert [one.pretraining for one in found.pretrainings] == ["pretrained/b"]
    assert [one.run for one in found.damaged] == ["pretrained/c"]
    assert [run.run for run in found.runs] == ["runs/a"]
    assert find_runs("runs").pretrainings == ()


def test_the_verdict_is_that_of_an_exact_test_on_shared_images(tmp_path: Path):
    """16 shared images on which only a is right, one on which only b is, and others that only one of them saw."""
    a = make_run(tmp_path / "a", answers=answers("1" * 16 + "0" + "1" * 20))
    b = make_run(tmp_path / "b", answers=answers("0" * 16 + "1" + "1" * 10), content="other", seed=1)
    compared = compare_runs([a, b])
    (pair,) = compared.pairs
    assert (compared.shared_images, pair.images, compared.same_images) == (27, 27, False)
    assert pair.difference == pytest.approx(15 / 27)
    assert pair.p_value == pytest.approx(binomtest(1, 17).pvalue)
    assert pair.verdict == "a"
    assert compared.settings == {"seed": (0, 1)}
    answer = compared.to_dict()
    assert [run["name"] for run in answer["runs"]] == ["a", "b"]
    assert answer["pairs"][0]["on"] == "test"


def test_three_runs_are_compared_in_pairs_and_names_are_told_apart(tmp_path: Path):
    places = [make_run(tmp_path / name, answers=answers("1" * 30 + "0" * 10)) for name in ("x/run", "y/run", "z")]
    compared = compare_runs(places)
    assert compared.names == tuple(map(str, places))
    assert [(pair.a, pair.b) for pair in compared.pairs] == [
        (str(places[0]), str(places[1])),
        (str(places[0]), str(places[2])),
        (str(places[1]), str(places[2])),
    ]


def test_what_cannot_be_compared_says_why(tmp_path: Path):
    a = make_run(tmp_path / "a", answers=answers("110"))
    for places, words in (
        ([a], "1 run to compare; expected two or more"),
        ([a, a], "1 run to compare"),
        ([a, tmp_path / "none"], "is no run folder"),
        (
            [a, make_run(tmp_path / "b", accuracy=None)],
            "has no test figures yet .*resume it with: headstart train --resume",
        ),
        ([a, make_run(tmp_path / "c", answers=answers("110", first=9))], "share none of their 6 test images"),
        ([a, make_run(tmp_path / "d", answers={"0.png": ("b", "b")})], "0.png is 'b' in d and 'a'"),
        ([a, make_run(tmp_path / "e")], r"predictions.parquet cannot be read"),
    ):
        with pytest.raises(RunError, match=words):
            compare_runs(places)
