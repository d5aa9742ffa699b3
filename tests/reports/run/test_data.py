"""The section on images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from headstart.findings import Finding
from headstart.reports.run.data import data_section
from headstart.runs.record import read_run
from headstart.runs.run_data import RoleCounts
from page_text import parsed
from report_folders import make_run


def test_counts_findings_and_what_could_not_be_read(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run", classes=("ants", "bees", "<i>")))
    read = parsed(f"<div id='all'>{data_section(run).body}</div>")
    rows = [text for _, text in read.all_of("tr")]
    assert rows[1:] == ["ants162013", "bees162013", "<i>162013", "all486039"]
    text = read.text_of(id="all")
    assert "warning 2 files are the same. look." in text
    assert "1 image that could not be read" in text
    assert "train/ants/broken.png: the file is empty" in text
    assert "No images are grouped" in text


def test_a_finding_shows_all_images_it_is_about(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run"))
    groups = tuple((f"a/{index}.png", f"b/<{index}>.png") for index in range(203))
    finding = Finding("error", "several_labels", "e", "r", groups)
    found = replace(run, data=replace(run.data, findings=(finding,)))
    read = parsed(f"<div id='all'>{data_section(found).body}</div>")
    text = read.text_of(id="all")
    assert "203 groups" in text
    assert "a/0.png b/<0>.png" in text
    assert "b/<199>.png" in text
    assert "b/<200>.png" not in text
    assert "and 3 more (data.json has them all)" in text


def test_groups_and_clean_data(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run"))
    clean = replace(run, data=replace(run.data, groups=7, findings=(), unreadable={}))
    body = data_section(clean).body
    assert "form 7 groups" in body
    assert "found nothing suspicious" in body
    assert "could not be read" not in body


def test_a_role_without_images_has_no_column(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run"))
    roles = {**run.data.roles, "validation": RoleCounts()}
    read = parsed(f"<div>{data_section(replace(run, data=replace(run.data, roles=roles))).body}</div>")
    assert read.all_of("tr")[0][1] == "classtrainingtest"
