"""The command line in a folder of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from command_line import Call, Result
from headstart.apps.cli import main


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["headstart", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main.main()
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return call
