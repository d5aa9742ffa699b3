"""Curves in their section, checks and events."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from headstart.reports.run.training import checks_section, curves_section
from headstart.runs.event_lines import LoggedEvent, UnknownEvent
from headstart.runs.events import ActivationsCached, PrefixComputed
from headstart.runs.record import read_run
from headstart.runs.warnings import GroupsUnchanged
from page_text import parsed
from report_folders import make_run


def test_epochs_stand_in_a_table_with_the_selected_one_marked(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run", epochs=2))
    read = parsed(f"<div id='all'>{curves_section(run).body}</div>")
    rows = [(a.get("class"), text) for a, text in read.all_of("tr")]
    assert len(rows) == 4
    assert rows[3][0] == "hs-picked"
    assert rows[3][1].endswith("selected")
    assert "3e-3" in rows[2][1]
    assert "Epoch 0 (the diamond) is the linear probe (probe)" in read.text_of(id="all")
    assert "40 images (held-out 20% of train)" in read.text_of(id="all")


def test_a_linear_probe_alone_has_no_chart(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run"))
    only = replace(run, epochs=run.epochs[:1])
    body = curves_section(only).body
    assert "There are no epochs" in body
    assert 'class="plot"' not in body
    checks = checks_section(only).body
    assert "No layer of the backbone was trained" in checks
    assert "Every trainable layer group has changed" not in checks


def test_the_frozen_check_says_what_was_compared(tmp_path: Path):
    body = checks_section(read_run(make_run(tmp_path / "run", epochs=2))).body
    assert "After each of 2 epochs, every frozen weight and every BatchNorm statistic" in body
    assert "frozen in at least one phase: stem, stage1, stage2, stage3 and stage4." in body
    assert "no warning" in body


def test_events_are_sentences_and_unknown_ones_show_their_values(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run"))
    more = (
        LoggedEvent(1009.0, PrefixComputed("onnxruntime")),
        LoggedEvent(1010.0, ActivationsCached("tune", "stage6", 2, "torch")),
        LoggedEvent(1012.0, UnknownEvent("of_tomorrow", {"value": "<x>"})),
        LoggedEvent(1013.0, GroupsUnchanged("tune", 1, ("stem",), {"stem": 1e-12})),
    )
    read = parsed(f"<div>{checks_section(replace(run, events=(*run.events, *more))).body}</div>")
    rows = [text for _, text in read.all_of("tr")]
    assert "0 sphase startedphase 0 probe: fits the head on frozen features" in rows
    assert "9 sprefix computedthe frozen prefix is computed by onnxruntime" in rows
    assert "10 sactivations cachedcached 2 views of each image before stage6 (torch)" in rows
    assert "12 sof tomorrowof tomorrow: value: <x>" in rows
    assert not [row for row in rows if "epoch done" in row]
    assert "stem did not change" in checks_section(replace(run, metrics=None, events=more)).body
