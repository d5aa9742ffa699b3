"""The explorers as a user starts them: a server in a process of its own, on a free port."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address while it runs; afterwards, that nothing went wrong in it and Ctrl-C ends it.

    Args:
        folder: Where what it says on stderr is kept.
    """
    errors = folder / "stderr.txt"
    started = [sys.executable, "-m", "headstart", "web", "--port", "0", "--open", "nothing"]
    with errors.open("w") as sink, subprocess.Popen(started, stdout=subprocess.PIPE, stderr=sink, text=True) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            assert line.startswith("headstart web: http://127.0.0.1:"), errors.read_text()
            yield line.split()[2]
        finally:
            server.send_signal(signal.SIGINT)  # as Ctrl-C
            told, _ = server.communicate(timeout=300)
    assert (server.returncode, told) == (0, "headstart web: ended\n")
    assert "Traceback" not in errors.read_text(), errors.read_text()
