"""The command `headstart cache`: size, content and limit of the activation cache."""

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
        result, text = stored.clear_cache(model), cleared_text
    elif limit is not None:
        result, text = stored.limit_cache(parse_bytes(limit)), limited_text
    else:
        result, text = stored.show_cache(), shown_text
    show_text(json_text(result) if as_json else text(result))


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


def shown_text(result: Mapping[str, Any]) -> str:
    """Result of `headstart cache`."""
    by = "" if result["limit_set_by"] == "user" else " (the default; headstart cache --limit 20GB changes it)"
    sums = [
        f"{bytes_text(result['bytes'])} in {result['store']}",
        f"limit {bytes_text(result['limit_bytes'])}{by}",
        f"{bytes_text(result['free_disk_bytes'])} free on the disk",
    ]
    return "\n".join([*(_table(result["spaces"]) if result["spaces"] else ["the activation cache is empty"]), *sums])


def cleared_text(result: Mapping[str, Any]) -> str:
    """Result of `headstart cache --clear`."""
    return "\n".join([*_table(result["removed"]), *_in_use(result), f"{bytes_text(result['freed_bytes'])} freed"])


def limited_text(result: Mapping[str, Any]) -> str:
    """Result of `headstart cache --limit`."""
    lines = [*_table(result["removed"]), f"limit {bytes_text(result['limit_bytes'])}"]
    if result["removed"]:
        lines.append(f"{bytes_text(result['freed_bytes'])} freed")
    lines.append(f"{bytes_text(result['bytes'])} stored")
    if over := result["bytes_over_limit"]:
        lines.append(f"{bytes_text(over)} over the limit: running processes use them, and nothing can be added")
    return "\n".join(lines)


def _in_use(result: Mapping[str, Any]) -> list[str]:
    return [f"not removed: {_name(space)}, which a running process uses" for space in result["not_removed_in_use"]]


def _name(space: Mapping[str, Any]) -> str:
    return str(space["model"] or f"unknown ({space['space'][:8]})")


def _table(spaces: Sequence[Mapping[str, Any]]) -> list[str]:
    rows: list[tuple[str, ...]] = [("model", "cut point", "input", "views", "precision", "rows", "size", "last used")]
    for space in spaces:
        used = "in use" if space["in_use"] else age_text(time.time() - space["last_used"])
        rows.append(
            (
                _name(space),
                *(str(space[name] or "-") for name in ("cut_point", "input_size", "views", "precision")),
                f"{space['rows']:,}",
                bytes_text(space["bytes"]),
                used,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    aligned = "<<><<>><"
    form = "  ".join(f"{{:{side}{width}}}" for side, width in zip(aligned, widths, strict=True))
    return [form.format(*row).rstrip() for row in rows] if spaces else []
