"""cache: contents, size and limit of the activation cache; without torch."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from headstart.engine.store import limit as store_limit
from headstart.engine.store.limit import SpaceUse
from headstart.engine.store.shards import count_rows, explained_writing, shard_paths, sweep
from headstart.engine.store.store import CUT_POINT_KEY, ActivationStore
from headstart.errors import HeadstartError, nearest
from headstart.files import locked

SMALLEST_LIMIT_BYTES = 10**6
"""Smallest limit: below it not one shard fits."""


def show_cache(root: Path | None = None) -> dict[str, Any]:
    """Spaces of the cache with their descriptions, and its size, limit and disk.

    Args:
        root: The store; None is `$HEADSTART_HOME/store`.
    """
    folder = _root(root)
    with explained_writing(folder), contextlib.suppress(FileNotFoundError, NotADirectoryError):
        folder.stat()  # a closed folder is not an empty one
    uses = store_limit.spaces_in_use_order(folder)
    limit = store_limit.read_limit(folder)
    return {
        "store": str(folder),
        "spaces": [_plain(use) for use in reversed(uses)],
        "bytes": sum(use.bytes for use in uses),
        "limit_bytes": limit.bytes,
        "limit_set_by": limit.set_by,
        "free_disk_bytes": store_limit.free_bytes(folder),
    }


def clear_cache(model: str | None = None, root: Path | None = None) -> dict[str, Any]:
    """Removed spaces: all, or those of one model; spaces in use by a running process stay.

    Args:
        model: A name as `show_cache` gives it, with or without its weights after the colon.
        root: The store; None is `$HEADSTART_HOME/store`.

    Raises:
        HeadstartError: nothing of that model is stored, or the store may not be written.
    """
    folder = _root(root)
    uses = store_limit.spaces_in_use_order(folder)
    if model is not None:
        uses = _of_model(uses, model)
    plain = {use.folder: _plain(use) for use in uses}  # read before they are removed
    with explained_writing(folder):
        removed = [use for use in uses if store_limit.remove_space(use.folder)]
        store_limit.sweep_removed(folder)
        for use in uses:
            sweep(use.folder)  # what killed processes left in a space that stays
    return {
        "removed": [plain[use.folder] for use in removed],
        "freed_bytes": sum(use.bytes for use in removed),
        "not_removed_in_use": [plain[use.folder] for use in uses if use not in removed],
    }


def limit_cache(limit_bytes: int, root: Path | None = None) -> dict[str, Any]:
    """Result of setting the size limit of the cache, which is applied at once.

    Args:
        limit_bytes: At least SMALLEST_LIMIT_BYTES.
        root: The store; None is `$HEADSTART_HOME/store`.

    Raises:
        HeadstartError: a limit that is too small, or a store that may not be written.
    """
    if limit_bytes < SMALLEST_LIMIT_BYTES:
        raise HeadstartError(
            f"a limit of {limit_bytes} bytes holds nothing",
            expected=f"at least {SMALLEST_LIMIT_BYTES // 10**6}MB",
            remedy="to empty the store: headstart cache --clear",
        )
    folder = _root(root)
    before = {use.folder: _plain(use) for use in store_limit.spaces_in_use_order(folder)}
    with explained_writing(folder):
        store_limit.write_limit(folder, limit_bytes)
        with locked(folder):
            removed, over = store_limit.shrink(folder)
    return {
        "limit_bytes": limit_bytes,
        "removed": [before[use.folder] for use in removed if use.folder in before],
        "freed_bytes": sum(use.bytes for use in removed),
        "bytes": store_limit.stored_bytes(folder),
        "bytes_over_limit": over,
    }


def _root(root: Path | None) -> Path:
    return ActivationStore(root).root


def _plain(use: SpaceUse) -> dict[str, Any]:
    """Space as plain values; unknown ones are null."""
    what = _description(use.folder)
    return {
        "space": use.folder.name,
        "model": what.get("model"),
        "cut_point": what.get(CUT_POINT_KEY),
        "views": what.get("views"),
        "precision": what.get("precision"),
        "engine": what.get("engine"),
        "input_size": (what.get("input") or {}).get("size"),
        "rows": sum(count_rows(path) for path in shard_paths(use.folder)),
        "bytes": use.bytes,
        "last_used": use.last_used,
        "in_use": os.access(use.folder, os.W_OK) and store_limit.is_in_use(use.folder),
    }


def _description(folder: Path) -> dict[str, Any]:
    try:
        what = json.loads((folder / "space.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return what if isinstance(what, dict) else {}


def _of_model(uses: list[SpaceUse], model: str) -> list[SpaceUse]:
    names = {use.folder: str(_description(use.folder).get("model")) for use in uses}
    found = [use for use in uses if model in (names[use.folder], names[use.folder].split(":")[0])]
    if not found:
        stored = sorted(set(names.values()))
        raise HeadstartError(
            f"nothing of a model {model!r} is stored",
            expected=f"one of {', '.join(stored)}" if stored else "a store that is not empty",
            remedy=nearest(model, stored),
        )
    return found
