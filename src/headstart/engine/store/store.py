"""The store of frozen activations: computed once, addressed by content, safe against kills and other processes.

    $HEADSTART_HOME/store/
      limit.json            how large the store may grow
      SPACE/                one function of an image: weights, cut point, input, engine, precision, augmented views
        space.json          which one, for people
        used                when it was last read; locked while somebody has it open
        PID-RANDOM.shard    rows: at most 64 MB, 16,384 rows or a minute of computing

A *row* is one image in one view: the hash of its encoded bytes with the view's name, so that a copy under another name
is the same row, in any folder and any data set. Writers fill shards aside and rename them; nothing is ever overwritten.
Readers need no lock. What is damaged counts as missing and is computed again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from headstart.arrays import Positions
from headstart.engine.store import limit
from headstart.engine.store.half import fits_half, narrow
from headstart.engine.store.index import Index, Reader, as_ids
from headstart.engine.store.shards import (
    FORMAT_VERSION,
    ID_BYTES,
    Ids,
    OpenShard,
    Shard,
    Tensor,
    explained_writing,
    remove_damaged,
    shard_paths,
    sweep,
)
from headstart.errors import DiskFullError
from headstart.files import home, locked, write_json
from headstart.input_spec import InputSpec

SHARD_BYTES = 64 * 2**20
SHARD_ROWS = 16_384
SHARD_SECONDS = 60.0
"""A shard is published when one of the three is reached, and so a kill costs at most that much."""

CUT_POINT_KEY = "border"
"""Name of the cut point in space.json. It is hashed into the address of a space: another name would orphan every row
that was cached before."""

EVALUATION = "evaluation"
"""The view of an image that every evaluation sees."""

_CHUNK_BYTES = 4 * 2**20
_one_at_a_time = threading.Lock()


@dataclass(frozen=True, slots=True)
class SpaceKey:
    """Everything that decides the function from an image's bytes to its row.

    Two keys that differ anywhere are two spaces, and their rows never mix.
    """

    model: str
    """The card's name."""
    weights: str
    """Hash of the prefix's tensors, or of the weights' file."""
    cut_point: str
    """Where the network is cut (the last group of the prefix), or pooled."""
    input: InputSpec
    decode: str
    """Version of decoding and of the evaluation path: whatever changes pixels changes this."""
    engine: str
    engine_version: str
    precision: Literal["float16", "float32"] = "float16"
    """float16: half precision, but single in shards where a row would be rounded by more than half.ERROR_BOUND."""
    views: str = EVALUATION
    """evaluation, or what random views are drawn from: the augmentation's preset and settings, and who draws them."""
    library: str = ""
    """Whose code the prefix runs, with its version: `timm 1.0.31`. Nothing else that is installed, so that what has no
    part in a forward empties no store; empty where there is no such library."""

    def digest(self, tensors: Sequence[Tensor]) -> str:
        """32 hex digits: the space's address."""
        return hashlib.blake2b(_canonical(self.describe(tensors)), digest_size=16).hexdigest()

    def describe(self, tensors: Sequence[Tensor]) -> dict[str, Any]:
        """Plain values for space.json; the address is their hash."""
        what = {**asdict(self), "input": self.input.to_dict()}
        what[CUT_POINT_KEY] = what.pop("cut_point")
        return {**what, "tensors": [asdict(tensor) for tensor in tensors], "format": FORMAT_VERSION}


def _canonical(value: object) -> bytes:
    # Sorted keys and no NaN: the same description gives the same bytes, and so the same address, in every process.
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def image_digest(encoded: bytes) -> bytes:
    """16 bytes that stand for an image's file."""
    return hashlib.blake2b(encoded, digest_size=ID_BYTES).digest()


def random_view(seed: int, number: int) -> str:
    """The name of a random view; what is drawn must follow from it and the image's digest alone."""
    return f"seed {seed} view {number}"


def row_ids(images: Sequence[bytes], view: str) -> Ids:
    """Ids of images in a view, (N,) of 16 bytes.

    Args:
        images: Digests from `image_digest`.
        view: EVALUATION or `random_view(...)`.
    """
    key = hashlib.blake2b(view.encode()).digest()
    found = bytearray()
    for image in images:
        # A keyed hash of the image's digest, not of its bytes: ids of further views cost 16 bytes of hashing each.
        found += hashlib.blake2b(image, digest_size=ID_BYTES, key=key).digest()
        found[-1] |= 1  # numpy takes zeros at the end of a text for padding and would cut them off
    return np.frombuffer(bytes(found), f"S{ID_BYTES}")


class ActivationStore:
    """All spaces under one folder."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = home() / "store" if root is None else root

    def space(self, key: SpaceKey, tensors: Sequence[Tensor]) -> Space:
        """Open a space, made if there is none; it cannot be removed while the result or its readers live.

        Args:
            key: Which function.
            tensors: What it gives for one image.

        Raises:
            DiskFullError: no room even for its description.
            HeadstartError: the store may not be written.
        """
        return Space(self.root, key, tuple(tensors))


class Space:
    """The stored rows of one function."""

    def __init__(self, root: Path, key: SpaceKey, tensors: tuple[Tensor, ...]) -> None:
        self.key = key
        self.tensors = tensors
        self.root = root
        self.folder = root / key.digest(tensors)
        self._shards: dict[str, Shard] = {}
        self._index = Index([])
        # One thread at a time: `write_atomically` names its file by process, and two threads would share it.
        with explained_writing(root), _one_at_a_time:
            # The lease first: a space that is being opened can no longer be removed.
            self.lease = limit.Lease(self.folder)
            _write_description(self.folder / "space.json", key.describe(tensors))
        self._refresh()

    @property
    def row_bytes(self) -> int:
        """Bytes of one row on disk, where none of its tensors needs single precision."""
        half = self.key.precision == "float16"
        names = ["float16" if half and tensor.dtype == "float32" else tensor.dtype for tensor in self.tensors]
        sizes = [int(np.prod(t.shape)) * np.dtype(name).itemsize for t, name in zip(self.tensors, names, strict=True)]
        return sum(sizes) + ID_BYTES

    @property
    def rows(self) -> int:
        """Different rows stored."""
        self._refresh()
        return self._index.rows

    def room_bytes(self) -> int:
        """Bytes by which this space may grow within the limit of the cache and the disk."""
        return limit.bytes_for(self.root, self.folder)

    def missing(self, ids: Sequence[bytes] | Ids) -> Positions:
        """Positions in `ids` of rows that must be computed, in order; of equal ids only the first.

        Every shard that holds one of the others is read and checked once per process, so that a reader made after
        the missing ones were added meets no surprise.
        """
        requested = as_ids(ids)
        shard, _ = self._locate(requested)
        _, first = np.unique(requested, return_index=True)
        first.sort()
        return first[shard[first] < 0].astype(np.int64)

    def reader(self, ids: Sequence[bytes] | Ids) -> Reader:
        """Read rows by their position in `ids`.

        Raises:
            KeyError: rows that are not stored (see `missing`).
        """
        shard, row = self._locate(as_ids(ids))
        if absent := int(np.count_nonzero(shard < 0)):
            raise KeyError(f"{absent} of {len(shard)} rows are not stored in {self.folder}")
        return Reader(self._index.shards, self.tensors, shard, row, keeps=self.lease)

    def writer(
        self, *, shard_bytes: int = SHARD_BYTES, shard_rows: int = SHARD_ROWS, shard_seconds: float = SHARD_SECONDS
    ) -> Writer:
        """Add rows: `with space.writer() as writer: writer.add(ids, arrays)`."""
        self._refresh()
        sweep(self.folder)
        return Writer(self, self._index, shard_bytes=shard_bytes, shard_rows=shard_rows, shard_seconds=shard_seconds)

    def _locate(self, ids: Ids) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Where rows lie, after every shard that is needed has been found whole."""
        self.lease.touch()
        self._refresh()
        # A damaged shard leaves the index; another shard may have its rows, so all are located again.
        while True:
            shard, row = self._index.locate(ids)
            needed = [self._index.shards[number] for number in np.unique(shard[shard >= 0])]
            damaged = [one for one in needed if not one.is_sound()]
            if not damaged:
                return shard, row
            for one in damaged:
                remove_damaged(one.path)
            self._refresh(without={one.path.name for one in damaged})

    def _refresh(self, without: set[str] | None = None) -> None:
        """See what this and other processes have published since."""
        paths = {path.name: path for path in shard_paths(self.folder) if path.name not in (without or set())}
        known = {name: shard for name, shard in self._shards.items() if name in paths}
        # Shards of other processes become visible here; those known already are not opened again.
        for name in paths.keys() - known.keys():
            if shard := Shard.open(paths[name], self.tensors):
                known[name] = shard
        if known.keys() != self._shards.keys():
            self._shards = known
            # By name, so that of a row in two shards every process reads the same one.
            self._index = Index([known[name] for name in sorted(known)])


def _write_description(path: Path, what: dict[str, Any]) -> None:
    """Write space.json unless it is there and whole."""
    with contextlib.suppress(OSError, ValueError):
        there = json.loads(path.read_text(encoding="utf-8"))
        # `created` differs between writers of the same space and says nothing of the function.
        if isinstance(there, dict) and _canonical({**there, "created": None}) == _canonical({**what, "created": None}):
            return
    write_json(path, {**what, "created": time.strftime("%Y-%m-%dT%H:%M:%S%z")})


class Writer:
    """Adds rows to a space; several may, in this and other processes.

    Leaving the block publishes what was added, also when an error or Ctrl-C between two calls ends it.
    """

    def __init__(self, space: Space, known: Index, *, shard_bytes: int, shard_rows: int, shard_seconds: float) -> None:
        self._space = space
        self._known = known
        self._shard_bytes = shard_bytes
        self._shard_rows = shard_rows
        self._shard_seconds = shard_seconds
        self._shard: OpenShard | None = None
        self._pending: set[bytes] = set()
        """Ids of the open shard: what was published by this writer is not looked up again, copies do no harm."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.publish()
        # The disk is full: sealing another file would fail too, and hide this error behind a second one.
        elif isinstance(error, DiskFullError):
            self._discard()
        else:
            # Any other error ends the run, but the rows so far are good: publishing them saves the next run their time.
            with contextlib.suppress(Exception):  # the error that ends the block is the one to show
                self.publish()
            self._discard()

    def add(self, ids: Sequence[bytes] | Ids, arrays: Sequence[npt.NDArray[Any]]) -> None:
        """Store rows; those that are there already are passed over.

        Args:
            ids: (B,).
            arrays: One (B, *shape) for each tensor of the space.

        Raises:
            ValueError: arrays of another shape.
            StoreFullError: the store's limit leaves no room.
            DiskFullError: the disk is full. After both, what was published is whole; compute without the store.
        """
        requested = as_ids(ids)
        expected = [(len(requested), *tensor.shape) for tensor in self._space.tensors]
        if [array.shape for array in arrays] != expected:
            raise ValueError(f"arrays of shape {[array.shape for array in arrays]}; this space takes {expected}")
        fresh = self._fresh(requested)
        try:
            with explained_writing(self._space.folder):
                for chunk in self._chunks(fresh):
                    self._append(requested[chunk], [array[chunk] for array in arrays])
        except BaseException:
            self._discard()
            raise

    def publish(self) -> None:
        """Publish what was added so far.

        Raises:
            StoreFullError: the store's limit leaves no room.
            DiskFullError: the disk is full.
        """
        shard = self._shard
        if shard is None:
            return
        try:
            with explained_writing(self._space.folder):
                shard.seal()
                # Under the store's lock, from the look at the limit to the rename.
                with locked(self._space.root):  # two cannot both take the last of the room
                    limit.make_room(self._space.root, keep=self._space.folder)
                    shard.publish()
        except BaseException:
            self._discard()
            raise
        self._shard = None
        self._pending.clear()

    def _fresh(self, ids: Ids) -> Positions:
        """Positions of rows that are neither stored nor waiting; of equal ids the first."""
        shard, _ = self._known.locate(ids)
        _, first = np.unique(ids, return_index=True)
        first.sort()
        new = first[shard[first] < 0].astype(np.int64)
        # numpy takes an element as bytes without its trailing zeros; a slice of one keeps all 16.
        return np.array([one for one in new.tolist() if ids[one : one + 1].tobytes() not in self._pending], np.int64)

    def _chunks(self, rows: Positions) -> Iterator[Positions]:
        """Pieces that keep memory flat however many rows come at once."""
        step = max(1, min(self._shard_rows, min(_CHUNK_BYTES, self._shard_bytes) // self._space.row_bytes))
        for start in range(0, len(rows), step):
            yield rows[start : start + step]

    def _append(self, ids: Ids, arrays: Sequence[npt.NDArray[Any]]) -> None:
        shard = self._shard_for(arrays, len(ids))
        # Zeros, not empty memory: padding between tensors is written to disk and must not carry whatever lay there.
        records = np.zeros(len(ids), shard.record)
        for number, array in enumerate(arrays):
            field = records[f"t{number}"]
            if field.dtype == np.float16 and array.dtype == np.float32:
                narrow(array, field)
            else:
                np.copyto(field, array)
        shard.append(ids, records)
        self._pending.update(ids[one : one + 1].tobytes() for one in range(len(ids)))
        # Age is looked at after each batch, so that a slow network publishes too.
        old = time.monotonic() - shard.began > self._shard_seconds
        if old or shard.rows >= self._shard_rows or shard.size >= self._shard_bytes:
            self.publish()

    def _shard_for(self, arrays: Sequence[npt.NDArray[Any]], rows: int) -> OpenShard:
        """The open shard if it can take these rows, else a new one."""
        needed = tuple(self._stored_type(*pair) for pair in zip(self._space.tensors, arrays, strict=True))
        shard = self._shard
        if shard is not None:
            # A shard in single precision takes rows that would fit half precision; the other way round needs a new
            # shard.
            wide_enough = all(has in (needs, "float32") for has, needs in zip(shard.stored, needed, strict=True))
            end = shard.size + rows * shard.record.itemsize
            if not wide_enough or end > self._shard_bytes or shard.rows + rows > self._shard_rows:
                self.publish()
        if self._shard is None:
            self._shard = OpenShard(self._space.folder, self._space.tensors, needed)
        return self._shard

    def _stored_type(self, tensor: Tensor, array: npt.NDArray[Any]) -> str:
        if self._space.key.precision == "float32" or tensor.dtype != "float32":
            return tensor.dtype
        if array.dtype == np.float16:  # an engine that computes in half precision: kept as it is
            return "float16" if np.isfinite(array).all() else "float32"
        return "float16" if fits_half(array) else "float32"

    def _discard(self) -> None:
        if self._shard is not None:
            self._shard.discard()
            self._shard = None
        self._pending.clear()
