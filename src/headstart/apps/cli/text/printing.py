"""Results on stdout: as JSON for programs, as lines of one width for people; names never steer the terminal."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from headstart.errors import HeadstartError

if TYPE_CHECKING:
    from rich.console import Console

    from headstart.input_spec import ChannelMethod, ViewFacts

WIDTH = 110
"""Of a line of text."""
NAME_WIDTH = 40
"""Of a name in a table: one long class name must not stretch every row."""

_LEFT_OUT_SHOWN = 5

_UNSEEN = "\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\ud800-\udfff"
"""Control characters, marks that turn the direction of writing, spaces without width, and bytes that are no UTF-8."""
_UNSEEN_IN_TEXT = re.compile(f"[{_UNSEEN}]")
_UNSEEN_IN_NAME = re.compile(f"[{_UNSEEN}\t\n]")


def shows_bars(console: Console) -> bool:
    """Whether a bar can move there: in a terminal, and in a notebook that has widgets."""
    return console.is_terminal or (console.is_jupyter and importlib.util.find_spec("ipywidgets") is not None)


def json_text(result: object) -> str:
    """Indented, in the user's own letters where stdout has them; a NaN is a fault of headstart and raises.

    Bytes of a file name that are no UTF-8 are escaped, so that the text is always JSON: `os.fsencode` of what a reader
    gets is the name on the disk.
    """
    has_letters = (sys.stdout.encoding or "utf-8").lower().startswith("utf")
    return visible(json.dumps(result, indent=1, ensure_ascii=not has_letters, allow_nan=False))


def without_prediction(left_out: Mapping[str, str], *, top: int | None = None) -> list[dict[str, Any]]:
    """Files without a prediction with the keys of those that have one, so that a program that reads the list sees them.

    Args:
        left_out: Path -> reason.
        top: Whether the others have the key `top`: if it is a number.
    """
    keys = ("label", "probability", "probabilities", "set", "unknown")
    empty = dict.fromkeys(keys if top is None else (*keys, "top"))
    return [{"file": name, **empty, "error": reason} for name, reason in left_out.items()]


def left_out_lines(left_out: Mapping[str, str]) -> list[str]:
    """The first files without a prediction by name, and how many more there are of each kind.

    Args:
        left_out: Path -> reason.
    """
    lines = [f"left out {name}: {reason}" for name, reason in list(left_out.items())[:_LEFT_OUT_SHOWN]]
    if more := Counter(list(left_out.values())[_LEFT_OUT_SHOWN:]):
        kinds = ", ".join(f"{count} {reason}" for reason, count in more.most_common(3))
        lines.append(f"left out {more.total()} more: {kinds} (--json names all)")
    return lines


def next_line(*words: str) -> str:
    """`next: headstart report 'runs/my photos'`: the last line of a command, which names the one that comes next.

    Args:
        words: Of the command line after `headstart`; they are quoted for the shell.
    """
    return f"next: {shlex.join(('headstart', *words))}"


def show_text(text: str) -> None:
    """Print to stdout, with what cannot be seen escaped."""
    print(visible(text))


class PlainRecord(Protocol):
    """A typed result that JSON can hold."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""


Record = TypeVar("Record", bound=PlainRecord)


def show_record(record: Record, *, as_json: bool, text: Callable[[Record], str]) -> None:
    """Print a typed result: as JSON, or as the text that `text` makes of it."""
    show_text(json_text(record.to_dict()) if as_json else text(record))


def visible(text: str) -> str:
    """Text of several lines with what cannot be seen escaped as JSON escapes it."""
    return _UNSEEN_IN_TEXT.sub(_escaped, text)


def visible_name(name: str, *, width: int | None = None) -> str:
    """The name of a file or class in one line.

    Args:
        name: As it is on the disk.
        width: Longer names lose their middle; None keeps all.
    """
    seen = _UNSEEN_IN_NAME.sub(_escaped, name)
    if width is None or len(seen) <= width:
        return seen
    end = (width - 3) // 2
    return f"{seen[: width - 3 - end]}...{seen[-end:]}"


def _escaped(match: re.Match[str]) -> str:
    short = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return short.get(match.group(), f"\\u{ord(match.group()):04x}")


def wrapped(text: str, *, first: str = "", rest: str = "") -> str:
    """Text in lines of at most WIDTH; names and commands are never broken.

    Args:
        text: One paragraph.
        first: What the first line begins with.
        rest: What the others begin with.
    """
    return textwrap.fill(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )


def number_cell(value: float | None, width: int, digits: int) -> str:
    """Right-aligned number of a table; a dash where it is unknown."""
    return f"{'-':>{width}}" if value is None else f"{value:>{width}.{digits}f}"


def view_text(view: ViewFacts) -> str:
    """What the network gets: `input 224 px (crop): 43 % of the median image is cut off, 57 % at most`."""
    seen = f"input {view.size} px ({view.resize})"
    if view.cut is None:
        return seen
    if not view.cut.largest:
        return f"{seen}: the whole image"
    median, largest = (min(99, round(100 * share)) for share in (view.cut.median, view.cut.largest))  # never all
    return f"{seen}: {median} % of the median image is cut off, {largest} % at most"


def write_file(path: Path, text: str) -> None:
    """Write what `-o` names.

    Raises:
        HeadstartError: it cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise HeadstartError(f"{path} cannot be written ({error.strerror})", remedy="choose another -o") from error


def channels_lines(method: ChannelMethod | None) -> list[str]:
    """How bands reach a network, where no probe has compared the ways; nothing of images without bands.

    Args:
        method: From bands to channels; None: the images have those of the network.
    """
    if method is None:
        return []
    return [f"bands reach the network by {method}; headstart train compares the ways by a probe"]
