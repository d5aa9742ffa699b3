"""The command `headstart cache`: what is stored, and how much may be."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from headstart.amounts import bytes_text
from headstart.apps.cli.options import training as of
from headstart.apps.cli.text.printing import json_text, show_text
from headstart.errors import HeadstartError

_UNITS = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}


def cache(
    show: Annotated[bool, typer.Option("--show", help="Show what is cached; the default.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Remove cached activations.")] = False,
    model: Annotated[str | None, typer.Option("--model", help="With --clear: only those of this network.")] = None,
    limit: Annotated[str | None, typer.Option("--limit", help="Largest size of the cache, such as 20GB.")] = None,
    as_json: of.Json = False,
) -> None:
    """Show, clear or limit the activation cache."""
    from headstart.workflow import cache as stored

    asked = [name for name, given in (("--show", show), ("--clear", clear), ("--limit", limit is not None)) if given]
    if len(asked) > 1:
        raise typer.BadParameter("give one of them", param_hint=" and ".join(asked))
    if model is not None and not clear:
        raise typer.BadParameter("has an effect only with --clear", param_hint="--model")
    if clear:
        answer, text = stored.clear_cache(model), cleared_text
    elif limit is not None:
        answer, text = stored.limit_cache(parse_bytes(limit)), limited_text
    else:
        answer, text = stored.show_cache(), shown_text
    show_text(json_text(answer) if as_json else text(answer))


def parse_bytes(text: str) -> int:
    """`20GB` (10^9 each), `20GiB` (2^30 each), `500 MB`, `1.5TB`.

    Raises:
        HeadstartError: anything else.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]i?b)", text.strip().lower())
    if found is None:
        raise HeadstartError(f"--limit {text!r} is no size", expected="such as 20GB or 500MB")
    return int(float(found[1]) * _UNITS[found[2]])


def age_text(seconds: float) -> str:
    """`3 hours ago`."""
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if (count := int(seconds // size)) >= 1:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def shown_text(answer: Mapping[str, Any]) -> str:
    """The answer of `headstart cache`."""
    by = "" if answer["limit_set_by"] == "user" else " (nobody set one; headstart cache --limit 20GB does)"
    sums = [
        f"{bytes_text(answer['bytes'])} in {answer['store']}",
        f"limit {bytes_text(answer['limit_bytes'])}{by}",
        f"{bytes_text(answer['free_disk_bytes'])} free on the disk",
    ]
    return "\n".join([*(_table(answer["spaces"]) if answer["spaces"] else ["nothing is stored"]), *sums])


def cleared_text(answer: Mapping[str, Any]) -> str:
    """The answer of `headstart cache --clear`."""
    return "\n".join([*_table(answer["removed"]), *_kept(answer), f"{bytes_text(answer['freed_bytes'])} freed"])


def limited_text(answer: Mapping[str, Any]) -> str:
    """The answer of `headstart cache --limit`."""
    lines = [*_table(answer["removed"]), f"limit {bytes_text(answer['limit_bytes'])}"]
    if answer["removed"]:
        lines.append(f"{bytes_text(answer['freed_bytes'])} freed")
    lines.append(f"{bytes_text(answer['bytes'])} stored")
    if over := answer["bytes_over_limit"]:
        lines.append(f"that is {bytes_text(over)} over the limit: running processes use it, and can add nothing to it")
    return "\n".join(lines)


def _kept(answer: Mapping[str, Any]) -> list[str]:
    return [f"kept {_name(space)}: a running process uses it" for space in answer["kept_in_use"]]


def _name(space: Mapping[str, Any]) -> str:
    return str(space["model"] or f"unknown ({space['space'][:8]})")


def _table(spaces: Sequence[Mapping[str, Any]]) -> list[str]:
    rows: list[tuple[str, ...]] = [("model", "border", "input", "views", "precision", "rows", "size", "last used")]
    for space in spaces:
        used = "in use" if space["in_use"] else age_text(time.time() - space["last_used"])
        rows.append(
            (
                _name(space),
                *(str(space[name] or "-") for name in ("border", "input_size", "views", "precision")),
                f"{space['rows']:,}",
                bytes_text(space["bytes"]),
                used,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    aligned = "<<><<>><"
    form = "  ".join(f"{{:{side}{width}}}" for side, width in zip(aligned, widths, strict=True))
    return [form.format(*row).rstrip() for row in rows] if spaces else []
