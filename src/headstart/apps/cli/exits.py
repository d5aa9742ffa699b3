"""How a command ends: its exit code, and one line on stderr where it failed.

0 done; 1 a mistake of the user or a limit of the machine (a closed folder, a full disk); 2 wrong usage;
130 stopped by Ctrl-C or SIGTERM. Only a fault of headstart itself ends in a traceback.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from typing import Any, Final, TextIO

import typer

from headstart.apps.cli.text.printing import visible_name
from headstart.errors import HeadstartError, Interrupted
from headstart.files import FULL_DISK, unreachable

_USAGE_ERROR: Final[Any] = typer.BadParameter.__mro__[1]
"""Parent of all errors of usage: click's in older versions of typer, its own copy in newer ones."""


def exit_code(command: Callable[[], object]) -> int:
    """Exit code of a command; what stopped it is printed on stderr.

    What was printed is written out here: where that fails (a full disk behind `>`), that must be reported too.
    """
    try:
        ended = command()
    except _USAGE_ERROR as error:
        return _usage_error(error)
    except SystemExit as end:  # typer, after its own last word
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        return code or _written_out()
    except HeadstartError as error:
        return _printed(str(error), error.exit_code)
    except KeyboardInterrupt:  # before typer was there, or after it
        return _printed("stopped by Ctrl-C", Interrupted.exit_code)
    except BrokenPipeError:
        return _nobody_reads()
    except OSError as error:
        if error.filename is None and error.errno not in FULL_DISK:
            raise
        return _system_error(error)
    code = ended if isinstance(ended, int) else 0  # of typer.Exit, which typer returns
    return code or _written_out()


def _usage_error(error: Any) -> int:  # noqa: ANN401 - typer's own class, which moved between its versions
    path = "headstart" if error.ctx is None else error.ctx.command_path
    text = error.format_message()
    if text.startswith("Usage:"):  # no command at all: the help itself
        print(text, file=sys.stderr)
    else:
        print(f"{path}: {visible_name(text.rstrip('.'))}; {path} -h lists the options", file=sys.stderr, flush=True)
    return int(error.exit_code)


def _written_out() -> int:
    stdout: TextIO | None = sys.stdout  # None where it was closed before the start
    try:
        if stdout is not None:
            stdout.flush()
    except BrokenPipeError:
        return _nobody_reads()
    except OSError as error:
        return _system_error(error)
    return 0


def _system_error(error: OSError) -> int:
    if error.filename is not None:
        return _printed(str(unreachable(error)), 1)
    _forget_stdout()
    return _printed(f"the result could not be written ({error.strerror}); make room, or print it elsewhere", 1)


def _nobody_reads() -> int:
    """`| head` has seen enough: no fault, and nobody to tell."""
    _forget_stdout()
    return 1


def _forget_stdout() -> None:
    """What could not be written would be tried once more when Python ends, with a traceback of its own."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # also where it is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _printed(text: str, code: int) -> int:
    with contextlib.suppress(OSError):
        print(f"headstart: {visible_name(text)}", file=sys.stderr, flush=True)
    return code
