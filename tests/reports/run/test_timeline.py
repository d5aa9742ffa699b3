"""Phases and rates over the layer groups."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from headstart.reports.run.timeline import EARLIER, colour, columns_of, rows_of, timeline_section
from headstart.runs.record import read_run
from page_text import parsed
from report_folders import GROUPS, make_run


def test_every_group_says_what_it_does_in_every_phase(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run"))
    columns = columns_of(run)
    rows = rows_of(run, columns)
    assert [row.name for row in rows] == list(GROUPS)
    assert rows[0].cells == (("frozen", None), ("frozen", None))
    assert rows[5].cells == (("frozen", None), ("trained", 3e-4))
    assert rows[-1].cells == (("fitted", None), ("trained", 3e-3))
    assert [column.state for column in columns] == ["ended", "ended"]
    read = parsed(f"<div>{timeline_section(run).body}</div>")
    texts = [text for _, text in read.all_of("text")]
    assert texts.count("frozen") == 8 + 5
    assert texts.count("fitted") == 2, "in the cell and as the phase's length"
    assert texts.count("3e-4") == 3
    drawing = next(a for a, _ in read.all_of("svg") if a.get("class") == "timeline")
    assert drawing["role"] == "img"
    assert "tune: stage5 to stage7 at 3e-4, head at 3e-3" in drawing["aria-label"]
    table = [text for _, text in read.all_of("tr")]
    assert "stage5frozen3e-4" in table
    assert "BatchNormpretrained statisticspretrained statistics" in table


def test_what_has_not_run_is_planned_and_what_was_skipped_left_out(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run", ends="killed", epochs=3))
    columns = columns_of(run)
    assert [column.state for column in columns] == ["ended", "planned"]
    assert columns[1].note == "3 of 3 epochs so far"
    body = timeline_section(run).body
    assert "Pale columns have not run: tune" in body
    assert "3 epochs, planned" in body
    done = read_run(make_run(tmp_path / "done"))
    skipped = [done.phases[0], replace(done.phases[1], epochs_run=0, ended="skipped: no error is left")]
    left = replace(done, phases=tuple(skipped))
    assert [column.state for column in columns_of(left)] == ["ended", "skipped"]
    assert "skipped: no error is left" in timeline_section(left).body


def test_many_blocks_are_joined_where_they_are_treated_alike(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run"))
    names = tuple(f"block{i}" for i in range(30))
    rates = dict.fromkeys(names[20:], 1e-4) | {"head": 1e-3}
    probe, tune = run.plan.phases
    phases = (probe, tune.model_copy(update={"lr_by_group": rates}))
    many = replace(run, layer_groups=(*names, "head"), plan=run.plan.model_copy(update={"phases": phases}))
    rows = rows_of(many, columns_of(many))
    assert [(row.name, row.groups) for row in rows] == [
        ("block0 to block19", 20),
        ("block20 to block29", 10),
        ("head", 1),
    ]


def test_groups_that_are_not_known_are_summed_up(tmp_path: Path):
    run = replace(read_run(make_run(tmp_path / "run")), layer_groups=())
    rows = rows_of(run, columns_of(run))
    assert [row.name for row in rows] == [EARLIER, "stage5", "stage6", "stage7", "head"]
    assert rows[0].cells[1] == ("frozen", None)


def test_a_solved_head_alone_needs_no_colours(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run", epochs=1))
    plan = run.plan.model_copy(update={"phases": run.plan.phases[:1]})
    only = replace(run, plan=plan, phases=run.phases[:1])
    body = timeline_section(only).body
    assert "No layer is trained by gradient descent" in body
    assert "peak learning rate (logarithmic)" not in body


def test_colours_follow_the_logarithm():
    shades = [int(colour(rate, 1e-5, 1e-3)[1:3], 16) for rate in (1e-5, 1e-4, 1e-3)]
    assert shades[0] > shades[1] > shades[2]
    assert shades[0] - shades[1] == shades[1] - shades[2]
    assert colour(1e-4, 1e-4, 1e-4).startswith("#")
