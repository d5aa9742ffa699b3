"""cache: contents, size and limit of the activation cache; without torch."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from headstart.data.checks import facts_cache
from headstart.data.sources import copies
from headstart.engine.store import limit as store_limit
from headstart.engine.store.limit import SpaceUse
from headstart.engine.store.shards import count_rows, explained_writing, shard_paths, sweep
from headstart.engine.store.store import CUT_POINT_KEY, ActivationStore
from headstart.errors import HeadstartError, nearest
from headstart.files import locked

SMALLEST_LIMIT_BYTES = 10**6
"""Smallest limit: below it not one shard fits."""


@dataclass(frozen=True, slots=True)
class CachedSpace:
    """One space of the cache: rows of one network, cut point, input and view; None where its description is damaged."""

    space: str
    """Name of its folder."""
    model: str | None
    cut_point: str | None
    views: str | None
    precision: str | None
    engine: str | None
    input_size: int | None
    """Side in pixels."""
    rows: int
    bytes: int
    last_used: float
    """Seconds since 1970."""
    in_use: bool
    """Whether a running process has it open."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class CacheContent:
    """What is in the cache, and how large it may grow."""

    store: str
    """Its folder."""
    spaces: tuple[CachedSpace, ...]
    """The last used first."""
    bytes: int
    limit_bytes: int
    limit_set_by: Literal["user", "default"]
    free_disk_bytes: int
    image_facts_bytes: int
    """Size of what the checks remember of images, which has a limit of its own."""
    image_copies_bytes: int = 0
    """Size of copies of images of remote stores and packed files, which have a limit of their own."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ClearedCache:
    """What clearing the cache has removed."""

    removed: tuple[CachedSpace, ...]
    freed_bytes: int
    """With those of `image_facts_bytes` and `image_copies_bytes`."""
    not_removed_in_use: tuple[CachedSpace, ...]
    image_facts_bytes: int = 0
    """Size of what the checks remembered of images; only clearing everything removes it."""
    image_copies_bytes: int = 0
    """Size of copies of images; only clearing everything removes them."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class LimitedCache:
    """What a new limit has removed."""

    limit_bytes: int
    removed: tuple[CachedSpace, ...]
    freed_bytes: int
    bytes: int
    """What is left."""
    bytes_over_limit: int
    """More than 0 where running processes use what would be removed."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def show_cache(root: Path | None = None) -> CacheContent:
    """Spaces of the cache with their descriptions, and its size, limit and disk.

    Args:
        root: The store; None is `$HEADSTART_HOME/store`.
    """
    folder = _root(root)
    with explained_writing(folder), contextlib.suppress(FileNotFoundError, NotADirectoryError):
        folder.stat()  # a closed folder is not an empty one
    uses = store_limit.spaces_in_use_order(folder)
    limit = store_limit.read_limit(folder)
    return CacheContent(
        store=str(folder),
        spaces=tuple(_space_of(use) for use in reversed(uses)),
        bytes=sum(use.bytes for use in uses),
        limit_bytes=limit.bytes,
        limit_set_by=limit.set_by,
        free_disk_bytes=store_limit.free_bytes(folder),
        image_facts_bytes=facts_cache.folder_bytes(facts_cache.facts_folder()),
        image_copies_bytes=copies.copies_bytes(),
    )


def clear_cache(model: str | None = None, root: Path | None = None) -> ClearedCache:
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
    spaces = {use.folder: _space_of(use) for use in uses}  # read before they are removed
    with explained_writing(folder):
        removed = [use for use in uses if store_limit.remove_space(use.folder)]
        store_limit.sweep_removed(folder)
        for use in uses:
            sweep(use.folder)  # what killed processes left in a space that stays
        facts = copied = 0
        if model is None and root is None:
            facts = facts_cache.limit_folder(facts_cache.facts_folder(), most_bytes=0)
            copied = copies.limit_copies(0, unused_seconds=-1)
    return ClearedCache(
        removed=tuple(spaces[use.folder] for use in removed),
        freed_bytes=sum(use.bytes for use in removed) + facts + copied,
        image_facts_bytes=facts,
        image_copies_bytes=copied,
        not_removed_in_use=tuple(spaces[use.folder] for use in uses if use not in removed),
    )


def limit_cache(limit_bytes: int, root: Path | None = None) -> LimitedCache:
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
    before = {use.folder: _space_of(use) for use in store_limit.spaces_in_use_order(folder)}
    with explained_writing(folder):
        store_limit.write_limit(folder, limit_bytes)
        with locked(folder):
            removed, over = store_limit.shrink(folder)
    return LimitedCache(
        limit_bytes=limit_bytes,
        # A space that another process made meanwhile may be among the removed; nothing is known of it.
        removed=tuple(before[use.folder] for use in removed if use.folder in before),
        freed_bytes=sum(use.bytes for use in removed),
        bytes=store_limit.stored_bytes(folder),
        bytes_over_limit=over,
    )


def _root(root: Path | None) -> Path:
    return ActivationStore(root).root


def _space_of(use: SpaceUse) -> CachedSpace:
    what = _described(use.folder)
    return CachedSpace(
        space=use.folder.name,
        model=what.model,
        cut_point=what.cut_point,
        views=what.views,
        precision=what.precision,
        engine=what.engine,
        input_size=what.input_size,
        rows=sum(count_rows(path) for path in shard_paths(use.folder)),
        bytes=use.bytes,
        last_used=use.last_used,
        in_use=os.access(use.folder, os.W_OK) and store_limit.is_in_use(use.folder),
    )


@dataclass(frozen=True, slots=True)
class _Description:
    """What `space.json` says of its rows; None where it cannot be read."""

    model: str | None = None
    cut_point: str | None = None
    views: str | None = None
    precision: str | None = None
    engine: str | None = None
    input_size: int | None = None


def _described(folder: Path) -> _Description:
    try:
        what = json.loads((folder / "space.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return _Description()
    if not isinstance(what, dict):
        return _Description()
    known = {name: what.get(name) for name in ("model", "views", "precision", "engine")}
    return _Description(**known, cut_point=what.get(CUT_POINT_KEY), input_size=(what.get("input") or {}).get("size"))


def _of_model(uses: list[SpaceUse], model: str) -> list[SpaceUse]:
    names = {use.folder: str(_described(use.folder).model) for use in uses}
    found = [use for use in uses if model in (names[use.folder], names[use.folder].split(":")[0])]
    if not found:
        stored = sorted(set(names.values()))
        raise HeadstartError(
            f"nothing of a model {model!r} is stored",
            expected=f"one of {', '.join(stored)}" if stored else "a store that is not empty",
            remedy=nearest(model, stored),
        )
    return found
