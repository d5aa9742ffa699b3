"""Names of DATA: whether it is a place on this disk, and where; no file is opened."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from headstart.errors import DataError
from headstart.files import is_there

DIGITS = "digits"
"""Name of the embedded set."""
EMBEDDED_DIGITS = "headstart:digits"
"""The same where a folder or file is called digits too."""
HUB_PREFIX = "hf:"
"""Prefix of data sets of the Hugging Face hub."""
TORCHVISION_PREFIX = "torchvision:"
"""Prefix of data sets that torchvision knows by name."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+(::[A-Za-z0-9+.-]+)*://")
"""Two letters at least: `C:` is a disk."""
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_MOST_SHARDS = 100_000


def is_digits(source: str) -> bool:
    """Whether DATA names the embedded set."""
    return source in (DIGITS, EMBEDDED_DIGITS)


def is_url(source: str) -> bool:
    """Whether DATA lies in a remote store: `s3://bucket/photos`."""
    return _URL.match(source) is not None


def is_shard_pattern(source: str) -> bool:
    """Whether DATA names several tars with braces: `train-{0000..0003}.tar`."""
    return not is_url(source) and source.lower().endswith(".tar") and _BRACES.search(source) is not None


def is_place(source: str) -> bool:
    """Whether DATA names a place on this disk, which depends on the working folder."""
    return not (is_digits(source) or is_url(source) or source.startswith((HUB_PREFIX, TORCHVISION_PREFIX)))


def absolute_source(source: str) -> str:
    """DATA named so that another working folder does not matter."""
    if is_place(source):
        return str(Path(source).resolve())
    if is_digits(source) or is_url(source):
        return source
    name, options = name_and_options(source)
    if "root" in options:  # of a set of torchvision
        options["root"] = str(Path(options["root"]).resolve())
    elif source.startswith(HUB_PREFIX) and is_there(name.removeprefix(HUB_PREFIX)):
        name = f"{HUB_PREFIX}{Path(name.removeprefix(HUB_PREFIX)).resolve()}"
    return ",".join([name, *(f"{option}={value}" for option, value in options.items())])


def name_and_options(source: str) -> tuple[str, dict[str, str]]:
    """(name, options) of DATA that names a set: `CIFAR10,root=/data`.

    Raises:
        DataError: something after a comma is no option.
    """
    name, *given = source.split(",")
    odd = next((option for option in given if "=" not in option), None)
    if odd is not None:
        raise DataError(f"{source} holds {odd!r} after a comma", expected="NAME,OPTION=VALUE")
    return name, dict(option.split("=", 1) for option in given)


def is_missing(source: str) -> bool:
    """Whether DATA names a place on this disk where nothing is."""
    if not is_place(source) or is_there(source):
        return False
    return not (is_shard_pattern(source) and any(is_there(path) for path in expanded(source)))


def expanded(pattern: str) -> list[str]:
    """Names that a pattern with braces stands for, in order: `x-{08..10}.tar`, `{train,val}-{0..3}.tar`.

    Raises:
        DataError: braces hold neither a range nor a list, or too many names.
    """
    parts = _BRACES.split(pattern)
    choices = [[part] if at % 2 == 0 else list(_choices(part, pattern)) for at, part in enumerate(parts)]
    count = 1
    for choice in choices:
        count *= len(choice)
    if count > _MOST_SHARDS:
        raise DataError(f"{pattern} names {count:,} files", expected=f"at most {_MOST_SHARDS:,}")
    return ["".join(chosen) for chosen in itertools.product(*choices)]


def _choices(inside: str, pattern: str) -> Iterator[str]:
    found = _RANGE.fullmatch(inside)
    if found is None:
        if "," not in inside:
            raise DataError(
                f"{pattern} holds {{{inside}}}", expected="a range such as {0000..0003}, or a list such as {train,val}"
            )
        yield from inside.split(",")
        return
    first, last = found.groups()
    if int(last) < int(first) or int(last) - int(first) >= _MOST_SHARDS:
        raise DataError(
            f"{pattern} holds the range {{{inside}}}", expected=f"from small to large, at most {_MOST_SHARDS:,} files"
        )
    # As the shell does: written with leading zeros, every number has as many digits.
    digits = max(len(first), len(last)) if "0" in (first[0], last[0]) and max(len(first), len(last)) > 1 else 0
    for number in range(int(first), int(last) + 1):
        yield f"{number:0{digits}d}"
