"""Commands by name: what the list says is what their functions say, and only the one that is called is imported."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from headstart.apps.cli.commands import COMMANDS, LazyCommands
from headstart.apps.cli.main import app


def loaded_by(*arguments: str) -> set[str]:
    """Modules that a command has loaded when it ends."""
    call = f"""
import sys
sys.argv = ["headstart", *{arguments!r}]
from headstart.apps.cli.main import main
try:
    main()
except SystemExit as end:
    assert end.code == 0, end.code
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_repeats_the_first_line_of_the_function(name: str):
    module = importlib.import_module(f"headstart.apps.cli.{COMMANDS[name].module}")
    first, *_ = (inspect.getdoc(getattr(module, name)) or "").splitlines()
    assert COMMANDS[name].help == first


def test_every_module_with_a_command_is_in_the_list():
    listed = {entry.module for entry in COMMANDS.values()}
    here = Path(inspect.getfile(LazyCommands)).parent
    modules = {path.stem for path in here.glob("*.py")} | {"self_supervised.pretrain", "diagnosis.doctor"}
    assert (
        modules
        - {
            "__init__",
            "commands",
            "exits",
            "help",
            "main",
            "own_process",
        }
        == listed
    )


def test_the_list_and_the_version_import_no_command():
    for argument in ("--help", "--version"):
        loaded = loaded_by(argument)
        assert not {f"headstart.apps.cli.{entry.module}" for entry in COMMANDS.values()} & loaded
        assert not {"numpy", "PIL", "rich", "yaml", "pyarrow", "scipy", "torch"} & loaded


def test_a_command_imports_no_other():
    loaded = loaded_by("predict", "--help")
    assert "headstart.apps.cli.predict" in loaded
    assert "headstart.apps.cli.train" not in loaded
    assert not {"headstart.plan.plan", "numpy", "PIL", "rich", "yaml", "pyarrow", "scipy", "torch"} & loaded


def test_a_command_is_built_once_and_none_is_unknown():
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert commands["check"] is commands["check"]
    assert list(commands) == list(COMMANDS)
    assert len(commands) == len(COMMANDS)
    assert commands.get("chek") is None
