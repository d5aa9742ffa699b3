"""How commands end: one line on stderr and an exit code, whatever stopped them."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from headstart.apps.cli.exits import exit_code
from headstart.apps.cli.main import app
from headstart.errors import DataError, Interrupted


def raising(error: BaseException) -> Callable[[], object]:
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (DataError("photos is empty"), 1, "headstart: photos is empty"),
        (Interrupted("stopped", remedy="go on"), 130, "headstart: stopped; go on"),
        (KeyboardInterrupt(), 130, "headstart: stopped by Ctrl-C"),
        (
            PermissionError(errno.EACCES, "Permission denied", "/locked/x"),
            1,
            "headstart: /locked/x cannot be reached (Permission denied); give this user",
        ),
        (
            OSError(errno.ENAMETOOLONG, "too long", "x" * 300),
            1,
            "headstart: " + "x" * 120 + "... (300 letters)",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "headstart: the result could not be written (No space"),
        (SystemExit(2), 2, ""),
        (BrokenPipeError(), 1, ""),
    ],
)
def test_what_stops_a_command_is_one_line(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
):
    assert exit_code(raising(error)) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(line)
    assert said.err.count("\n") == (1 if line else 0)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["trian", "photos"],
            "headstart: No such command 'trian'. Did you mean 'train', 'pretrain'?; headstart -h lists",
        ),
        (["predict"], "headstart predict: Missing argument 'RUN'; headstart predict -h lists the options"),
        (
            ["train", "photos", "--epoch", "3"],
            "headstart train: No such option: --epoch (Possible options: --epochs); ",
        ),
    ],
)
def test_wrong_usage_is_one_line(words: list[str], line: str, capsys: pytest.CaptureFixture[str]):
    assert exit_code(lambda: app(words, prog_name="headstart", standalone_mode=False)) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(line)
    assert said.err.count("\n") == 1


def test_no_command_at_all_shows_the_help(capsys: pytest.CaptureFixture[str]):
    assert exit_code(lambda: app([], prog_name="headstart", standalone_mode=False)) == 2
    assert "Usage: headstart [OPTIONS] COMMAND" in "".join(capsys.readouterr())


def test_the_exit_code_that_typer_returns_counts():
    assert exit_code(lambda: 3) == 3


def test_a_fault_of_the_program_is_not_hidden():
    for error in (ValueError("oh"), OSError("of a library")):
        with pytest.raises(type(error)):
            exit_code(raising(error))


def test_a_command_that_is_done_ends_with_0_also_without_a_stdout(monkeypatch: pytest.MonkeyPatch):
    assert exit_code(lambda: None) == 0
    monkeypatch.setattr(sys, "stdout", None)
    assert exit_code(lambda: None) == 0


def test_an_answer_that_is_not_written_out_is_no_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    assert exit_code(lambda: print("an answer")) == 1
    assert "could not be written (No space left on device)" in capsys.readouterr().err


HEADSTART = (sys.executable, "-m", "headstart")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux only")
def test_a_full_disk_behind_the_answer_is_one_line():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*HEADSTART, "models", "resnet18"], stdout=full, stderr=-1, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("headstart: the result could not be written (No space left on device)")


INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests in the background has it ignored
from headstart.apps.cli.main import main
main()
"""


def test_ctrl_c_before_training_says_how_to_start_again(tmp_path: Path):
    """The command reads a plan from a pipe that nobody writes to: there it is interrupted, however long it took."""
    os.mkfifo(tmp_path / "a b.yaml")
    arguments = ["train", "--plan", str(tmp_path / "a b.yaml")]
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTIBLE, *arguments], stdout=-1, stderr=-1, text=True)
    waiting = (tmp_path / "a b.yaml").open("w")  # returns when the command has opened it to read
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    waiting.close()
    assert (process.returncode, out) == (130, "")
    again = f"headstart train --plan '{tmp_path}/a b.yaml'"
    assert err == f"headstart: stopped by Ctrl-C; the same command starts again: {again}\n"
