"""Estimated and measured time, and what is needed to do it again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from headstart.reports.run.cost import again_section, command_line, cost_section
from headstart.runs.record import read_run
from page_text import parsed
from report_folders import make_run


def test_estimated_and_measured_times_stand_side_by_side(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run"))
    section = cost_section(run)
    assert section is not None
    read = parsed(f"<div id='all'>{section.body}</div>")
    rows = [text for _, text in read.all_of("tr")]
    assert rows[1:] == ["probe3 s2.5 s", "tune3 s9 s", "before the first phase1 s1 s", "total7 s12 s"]
    assert "Estimated 7 s, measured 12 s: 1.8 times as long as estimated. Nothing had run" in read.text_of(id="all")
    widths = [a["style"] for a, _ in read.all_of("span") if "style" in a]
    assert widths == ["width:33.3%", "width:27.8%", "width:33.3%", "width:100.0%"]


@pytest.mark.parametrize(
    ("took", "says"),
    [(7.5, "differ by less than a quarter"), (2.0, "3.5 times faster than estimated"), (0.0, "measured 0 s.")],
)
def test_how_far_off(tmp_path: Path, took: float, says: str):
    run = read_run(make_run(tmp_path / "run"))
    assert run.metrics is not None
    assert run.metrics.estimates is not None
    estimates = replace(run.metrics.estimates, measured_seconds=took)
    section = cost_section(replace(run, metrics=replace(run.metrics, estimates=estimates)))
    assert section is not None
    assert says in section.body


def test_no_estimates_no_section(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run", ends="killed"))
    assert cost_section(run) is None


def test_what_to_type_and_on_which_machine(tmp_path: Path):
    run = read_run(make_run(tmp_path / "a run"))
    read = parsed(f"<div id='all'>{again_section(run).body}</div>")
    commands = [text for _, text in read.all_of("pre")]
    assert commands[0] == "headstart train photos"
    assert commands[1] == f"headstart train --plan '{tmp_path / 'a run' / 'plan.yaml'}' --out runs/again"
    text = read.text_of(id="all")
    assert "c0ffee" in text
    assert "threads of PyTorch2" in text
    assert "numpy" in text


def test_commands_are_quoted():
    assert command_line(["/usr/bin/headstart", "train", "my photos"]) == "headstart train 'my photos'"
    assert command_line("headstart compare rates x") == "headstart compare rates x"
    assert command_line(["/venv/headstart/__main__.py", "train", "photos"]) == "headstart train photos"
    assert command_line([]) == ""
