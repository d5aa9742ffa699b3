"""The command line as tests call it: exit code, stdout and stderr, and what a refusal looks like."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Result = tuple[int, str, str]
"""(exit code, stdout, stderr)."""
Call = Callable[..., Result]
FAST = ("--input-size", "32", "--batch-size", "4")


def refused(result: Result, *words: str, code: int = 1) -> None:
    """One line, with the words, no traceback, nothing on stdout, no run folder."""
    status, out, err = result
    assert status == code, err
    assert out == ""
    lines = [line for line in err.splitlines() if line.strip()]
    if code == 1:
        assert len(lines) == 1, err
        assert lines[0].startswith("headstart: ")
    assert "Traceback" not in err
    for word in words:
        assert word in err, err
    assert not Path("runs").exists()
