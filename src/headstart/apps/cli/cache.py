"""The command `headstart cache`: size, content and limit of the activation cache."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.amounts import bytes_text
from headstart.apps.cli.options import data_and_json
from headstart.apps.cli.text.printing import show_record
from headstart.errors import HeadstartError

if TYPE_CHECKING:
    from headstart.workflow.cache import CacheContent, CachedSpace, ClearedCache, LimitedCache

_UNITS = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}


def cache(
    show: Annotated[bool, typer.Option("--show", help="Show what is cached; the default.")] = False,
    clear: Annotated[
        bool, typer.Option("--clear", help="Remove cached activations, facts of checked images, and copies of images.")
    ] = False,
    model: Annotated[str | None, typer.Option("--model", help="With --clear: only those of this network.")] = None,
    limit: Annotated[str | None, typer.Option("--limit", help="Largest size of the cache, such as 20GB.")] = None,
    as_json: data_and_json.Json = False,
) -> None:
    """Show, clear or limit the activation cache."""
    from headstart.workflow import cache as stored

    asked = [name for name, given in (("--show", show), ("--clear", clear), ("--limit", limit is not None)) if given]
    if len(asked) > 1:
        raise typer.BadParameter("give one of them", param_hint=" and ".join(asked))
    if model is not None and not clear:
        raise typer.BadParameter("has an effect only with --clear", param_hint="--model")
    if clear:
        show_record(stored.clear_cache(model), as_json=as_json, text=cleared_text)
    elif limit is not None:
        show_record(stored.limit_cache(parse_bytes(limit)), as_json=as_json, text=limited_text)
    else:
        show_record(stored.show_cache(), as_json=as_json, text=shown_text)


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


def shown_text(content: CacheContent) -> str:
    """Result of `headstart cache`: sizes first, then what is cached."""
    by = "" if content.limit_set_by == "user" else " (the default; headstart cache --limit 20GB changes it)"
    sums = [
        f"{bytes_text(content.bytes)} in {content.store}",
        f"limit {bytes_text(content.limit_bytes)}{by}",
        f"{bytes_text(content.free_disk_bytes)} free on the disk",
    ]
    if content.image_facts_bytes:
        sums.append(f"{bytes_text(content.image_facts_bytes)} of facts of checked images, outside the limit")
    if content.image_copies_bytes:
        sums.append(f"{bytes_text(content.image_copies_bytes)} of copies of images, outside the limit")
    if not content.spaces:
        return "\n".join(["the activation cache is empty", *sums])
    return "\n".join([*sums, "", *_table(content.spaces)])


def cleared_text(cleared: ClearedCache) -> str:
    """Result of `headstart cache --clear`."""
    in_use = [f"not removed: {_name(space)}, which a running process uses" for space in cleared.not_removed_in_use]
    return "\n".join([*_table(cleared.removed), *in_use, f"{bytes_text(cleared.freed_bytes)} freed"])


def limited_text(limited: LimitedCache) -> str:
    """Result of `headstart cache --limit`."""
    lines = [*_table(limited.removed), f"limit {bytes_text(limited.limit_bytes)}"]
    if limited.removed:
        lines.append(f"{bytes_text(limited.freed_bytes)} freed")
    lines.append(f"{bytes_text(limited.bytes)} stored")
    if over := limited.bytes_over_limit:
        lines.append(f"{bytes_text(over)} over the limit: running processes use them, and nothing can be added")
    return "\n".join(lines)


def _name(space: CachedSpace) -> str:
    return str(space.model or f"unknown ({space.space[:8]})")


def _table(spaces: Sequence[CachedSpace]) -> list[str]:
    rows: list[tuple[str, ...]] = [("model", "cut point", "input", "views", "precision", "rows", "size", "last used")]
    for space in spaces:
        rows.append(
            (
                _name(space),
                *(str(value or "-") for value in (space.cut_point, space.input_size, space.views, space.precision)),
                f"{space.rows:,}",
                bytes_text(space.bytes),
                "in use" if space.in_use else age_text(time.time() - space.last_used),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    aligned = "<<><<>><"
    form = "  ".join(f"{{:{side}{width}}}" for side, width in zip(aligned, widths, strict=True))
    return [form.format(*row).rstrip() for row in rows] if spaces else []
