"""Decisions and their reasons."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from headstart.plan.plan import TrainPhase
from headstart.reports.run.plan import decisions_section, value_text_at
from headstart.runs.record import read_run
from page_text import parsed
from report_folders import make_run

PLAN = {
    "batch_size": 32,
    "budget": None,
    "strict": True,
    "optimizer": {"name": "adamw", "weight_decay": 0.01, "extra": {}},
    "phases": [{"name": "probe"}, {"name": "tune", "rates": {"rule": "uniform", "top": 3e-4}, "marks": [0.3, 0.6]}],
    "long": dict.fromkeys("abcdefgh", 1),
    "empty": [],
}


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("batch_size", "32"),
        ("budget", "none"),
        ("strict", "yes"),
        ("optimizer", "adamw, weight_decay 0.01"),
        ("optimizer.weight_decay", "0.01"),
        ("phases", "probe and tune"),
        ("phases[1].rates", "uniform, top 0.0003"),
        ("phases[1].marks", "0.3 and 0.6"),
        ("long", "a 1, b 1, c 1, d 1, e 1, f 1, \u2026"),
        ("empty", "none"),
        ("phases[7].name", "\u2013"),
        ("gone.by", "\u2013"),
        ("batch_size.deeper", "\u2013"),
    ],
)
def test_values_at_paths(path: str, words: str):
    assert value_text_at(PLAN, path) == words


def test_every_reason_is_told_beside_its_value(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run"))
    section = decisions_section(run)
    assert section is not None
    read = parsed(f"<div>{section.body}</div>")
    items = [text for _, text in read.all_of("li")]
    assert "batch_size32it fits any machine" in items
    schedule = value_text_at(run.plan.model_dump(mode="json"), "phases[1].schedule")
    assert schedule.startswith("one_cycle, ")
    assert f"phases[1].schedule{schedule}few steps & a <fall>" in items
    whole = yaml.safe_load(read.all_of("pre")[0][1])
    assert whole == run.plan.model_dump(mode="json", exclude={"reasons"})


def test_the_same_decision_in_several_phases_is_told_once(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run"))
    phases = tuple(TrainPhase(name=n, batch_norm="train", epochs=1, unfreeze="all", head_lr=1e-3) for n in "ab")
    reasons = {"phases[0].batch_norm": "why", "phases[1].batch_norm": "why"}
    section = decisions_section(replace(run, plan=run.plan.model_copy(update={"phases": phases, "reasons": reasons})))
    assert section is not None
    items = [text for _, text in parsed(f"<div>{section.body}</div>").all_of("li")]
    assert items == ["phases[0], phases[1].batch_normtrainwhy"]


def test_a_plan_without_reasons(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run"))
    section = decisions_section(replace(run, plan=run.plan.model_copy(update={"reasons": {}})))
    assert section is not None
    assert "Every value of the plan was given" in section.body
