"""The command `headstart report`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from headstart.apps.cli.report import report, report_text
from headstart.workflow import reporting
from headstart.workflow.reporting import Report
from report_folders import make_comparison, make_run

app = typer.Typer()
app.command()(report)


def test_the_answer_as_json(tmp_path: Path):
    run = make_run(tmp_path / "run")
    comparison = make_comparison(tmp_path / "c", {"a": [run]})
    done = CliRunner().invoke(app, [str(run), str(comparison), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {
        "reports": [
            {"run": str(folder), "kind": kind, "report": str(folder / "report.html"), "bytes": size}
            for folder, kind in ((run, "run"), (comparison, "comparison"))
            for size in [(folder / "report.html").stat().st_size]
        ]
    }


def test_the_answer_as_text(tmp_path: Path):
    run = make_run(tmp_path / "run")
    done = CliRunner().invoke(app, [str(run), "-o", str(tmp_path / "x.html")])
    assert done.stdout.startswith(f"report of the run: {tmp_path / 'x.html'} (")
    assert "kB)" in done.stdout
    assert report_text([Report(run, "run", run / "r", 1000, ("5 left out.",))]).splitlines()[1] == "  5 left out."


def test_options_reach_the_workflow(monkeypatch: pytest.MonkeyPatch):
    seen = {}
    monkeypatch.setattr(reporting, "report", lambda runs, **options: seen.update(runs=runs, **options) or [])
    CliRunner().invoke(app, ["a", "b"])
    assert seen == {"runs": [Path("a"), Path("b")], "out": None, "images": "named"}
    CliRunner().invoke(app, ["a", "-o", "x.html", "--with-images"])
    assert seen == {"runs": [Path("a")], "out": Path("x.html"), "images": "shown"}


def test_it_never_loads_torch(tmp_path: Path):
    run = make_run(tmp_path / "run")
    script = (
        "import sys; from pathlib import Path; from headstart.workflow.reporting import report; "
        f"report([Path({str(run)!r})], images='shown'); "
        "print(*{'torch', 'torchvision', 'timm', 'scipy', 'sklearn'} & {name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
