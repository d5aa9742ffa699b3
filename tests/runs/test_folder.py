"""A run's folder after crashes, full disks and cut lines."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.errors import RunError
from headstart.files import write_atomically
from headstart.machine import environment
from headstart.plan.plan import DataPlan
from headstart.plan.presets import STRATEGIES, Request
from headstart.runs.folder import Run, new_folder, resume_command
from headstart.runs.tables import PredictedImage
from run_values import run_data, run_metrics

DATA = run_data(classes=("cat", "dög"))
PLAN = STRATEGIES["probe_then_tune"](Request(DataPlan(source="photos")))
RESOLVED = PLAN.resolved(model_name="net:tag", input_size=224, group_names=("stem", "head"))


def make_run(folder: Path) -> Run:
    return Run.create(folder, given=PLAN, resolved=RESOLVED, data=DATA)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_run_holds_plan_data_and_environment(tmp_path: Path) -> None:
    run = make_run(tmp_path / "deep" / "run")
    assert names(run.folder) == ["checkpoints", "data.json", "environment.json", "plan.resolved.yaml", "plan.yaml"]
    again = Run.open(run.folder)
    assert again.plan() == RESOLVED
    assert again.data() == DATA
    assert again.metrics() is None
    assert again.events() == []
    assert json.loads((run.folder / "environment.json").read_text())["python"] == environment().python
    assert str(run.folder) in run.resume_command


@pytest.mark.parametrize("name", ["my photos-20261124", "it's", "a$b;c", "döner", "plain-1"])
def test_resume_commands_can_be_pasted(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    assert shlex.split(Run(folder).resume_command) == ["headstart", "train", "--resume", str(folder)]
    assert shlex.split(resume_command("compare", folder)) == ["headstart", "compare", "--resume", str(folder)]


def test_a_folder_in_use_names_the_command_quoted(tmp_path: Path) -> None:
    make_run(tmp_path / "my run")
    with pytest.raises(RunError) as caught:
        make_run(tmp_path / "my run")
    assert caught.value.remedy.endswith(f"headstart train --resume '{tmp_path / 'my run'}'")


def test_new_folders_get_a_number_where_the_name_is_taken(tmp_path: Path) -> None:
    found = []
    for _ in range(3):
        found.append(new_folder(tmp_path / "runs", "photos-1"))
        assert names(found[-1]) == []
    assert [folder.name for folder in found] == ["photos-1", "photos-1-2", "photos-1-3"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    with pytest.raises(RunError, match=r"runs/a cannot be made \(File exists\); choose another --out"):
        new_folder(tmp_path / "runs", "a")


ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

BEGINS = """
import sys
from pathlib import Path
from headstart.errors import RunError
from headstart.plan.plan import DataPlan
from headstart.plan.presets import STRATEGIES, Request
from headstart.runs.folder import Run, new_folder
plan = STRATEGIES["probe_then_tune"](Request(DataPlan(source="photos")))
resolved = plan.resolved(model_name="net:tag", input_size=224, group_names=("stem", "head"))
from run_values import run_data
sys.stdin.read(1)
for number in range(6):
    folder, values = Path(sys.argv[1]), {"given": plan, "resolved": resolved, "data": run_data(sys.argv[2])}
    Run.create(new_folder(folder, f"photos-{number}"), **values)
    try:
        Run.create(folder / f"out-{number}", **values)
    except RunError as error:
        assert "exists already" in str(error)
        print(number)
"""


def test_processes_that_begin_together_never_share_a_run_folder(tmp_path: Path) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", BEGINS, str(tmp_path), name], stdin=-1, stdout=-1, text=True, env=ENVIRONMENT
        )
        for name in "ab"
    ]
    for process in started:
        process.stdin.write("go")
    refused = [process.communicate()[0].split() for process in started]
    assert [process.returncode for process in started] == [0, 0]
    assert sorted(refused[0] + refused[1], key=int) == [str(number) for number in range(6)], "one gets each --out"
    assert len(list(tmp_path.glob("out-*"))) == 6
    by = [Run(folder).data().content for folder in tmp_path.glob("photos-*")]
    assert sorted(by) == ["a"] * 6 + ["b"] * 6


def test_an_empty_folder_may_become_a_run(tmp_path: Path) -> None:
    assert make_run(tmp_path).plan() == RESOLVED


@pytest.mark.parametrize("occupied", ["file in it", "is a file"])
def test_a_folder_in_use_is_refused_and_untouched(occupied: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    kept = folder / "thesis.doc" if occupied == "file in it" else folder
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("precious")
    with pytest.raises(RunError) as caught:
        make_run(folder)
    for words in (str(folder), "exists already", "--out", "--resume"):
        assert words in str(caught.value)
    assert kept.read_text() == "precious"
    assert len(names(kept.parent)) == 1


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot be made.*--out"):
        make_run(tmp_path / "file" / "run")


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is no run folder; expected one made by headstart train"):
        Run.open(tmp_path)


def test_events_come_back_in_order_with_their_time(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    for epoch in range(3):
        run.append_event("epoch", epoch=epoch, loss=0.5)
    found = run.events()
    assert [(line.name, line.event.to_dict()) for line in found] == [
        ("epoch", {"epoch": i, "loss": 0.5}) for i in range(3)
    ]
    assert all(abs(line.time - found[0].time) < 60 for line in found)


@settings(max_examples=50, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_events_keep_any_text(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    run = Run(tmp_path_factory.mktemp("run"))
    run.append_event("warning", file=text)
    assert [line.event.to_dict()["file"] for line in run.events()] == [text]


@pytest.mark.parametrize("name", ["a\u2028b.png", "a\x85b.png"])
def test_a_line_separator_in_a_file_name_does_not_cut_an_event(name: str, tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.append_event("warning", file=name)
    assert [line.event.to_dict()["file"] for line in run.events()] == [name]


def cut(run: Run, last_bytes: int) -> None:
    path = run.folder / "events.jsonl"
    os.truncate(path, path.stat().st_size - last_bytes)


@pytest.mark.parametrize("last_bytes", [3, 20])
def test_a_cut_last_line_is_left_out(last_bytes: int, tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.append_event("a", n=1)
    run.append_event("b", n=2)
    cut(run, last_bytes)
    assert [line.name for line in run.events()] == ["a"]


def test_a_line_cut_inside_a_letter_is_left_out(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.append_event("a")
    run.append_event("b", file="ü")
    cut(run, len('\xbc"}\n'))  # the second of the two bytes of ü, and the end of the line
    assert [line.name for line in run.events()] == ["a"]


def test_what_is_appended_after_a_cut_line_is_kept(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.append_event("a")
    run.append_event("b")
    cut(run, 5)
    run.append_event("resumed")
    assert [line.name for line in run.events()] == ["a", "resumed"]


def test_predictions_read_back(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    rows = (
        PredictedImage("a/1.png", "a", "b", (0.25, 0.75), "anna"),
        PredictedImage("b/ü.png", "b", "b", (0.0, 1.0)),
    )
    run.write_predictions(rows)
    assert run.predictions() == rows


def test_metrics_read_back_and_broken_ones_are_named(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    metrics = run_metrics(0.75)
    run.write_metrics(metrics)
    assert run.metrics() == metrics
    (run.folder / "metrics.json").write_text('{"accuracy"')
    with pytest.raises(RunError, match=r"metrics\.json cannot be read"):
        run.metrics()


def test_a_file_written_through_a_private_one_can_be_read_by_colleagues(tmp_path: Path) -> None:
    plain, written = tmp_path / "plain", tmp_path / "written"
    plain.write_text("x")

    def write(aside: Path) -> None:
        aside.touch(mode=0o600)

    write_atomically(written, write)
    assert written.stat().st_mode == plain.stat().st_mode
