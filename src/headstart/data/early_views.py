"""Evaluation views made while the images are checked, so that the pass that needs them does not decode them again.

The check decodes every image in full, and a training whose first step is a linear probe reads all of them once more.
Views are found by the hash of the file's bytes, and stay until the training ends: validation passes read theirs again.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from headstart.data.decoders.decoded import Decoded, Pixels
from headstart.data.decoders.raster import reduction
from headstart.data.preprocess import pixels_needed, resize_and_crop
from headstart.data.sources.dataset import ImageRecord
from headstart.input_spec import Decoding, InputSpec

MOST_BYTES = 128 * 10**6
"""Of all views together: those of 850 images of 224 pixels. Further images are decoded again."""


class EarlyViews:
    """Views of one input of a network, uint8."""

    def __init__(self, spec: InputSpec | None = None, *, most_bytes: int = MOST_BYTES) -> None:
        self._spec = spec
        self._room = most_bytes
        self._views: dict[bytes, Pixels] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Keep no further views: those that are there are still given out."""
        self._room = 0

    def offer(self, digest: bytes, decoded: Decoded, decoding: Decoding) -> None:
        """Make and keep the view of an image that was just decoded in full, if there is to be one and room for it.

        Args:
            digest: Hash of the file, 16 bytes.
            decoded: The whole image.
            decoding: How it was decoded.
        """
        spec = self._spec
        # Views of deep values are no bytes: there would be room for a quarter as many.
        if spec is None or decoding != spec.decoding or digest in self._views or decoded.bands is not None:
            return
        pixels = decoded.pixels
        # The pass reads large images at a reduced size, which gives other pixels: they stay its own.
        if reduction(min(pixels.shape[:2]), pixels_needed(spec)) > 1:
            return
        with self._lock:
            size = 3 * spec.size**2
            if self._room < size:
                return
            self._room -= size
        self._views[digest] = resize_and_crop(pixels, spec)

    def take(self, record: ImageRecord, spec: InputSpec) -> Pixels | None:
        """The view of an image; None where it has to be decoded.

        Args:
            record: Which image; its file is read, and hashed.
            spec: Of the view.
        """
        if not self._views or spec != self._spec:
            return None
        try:
            digest = hashlib.blake2b(record.read(), digest_size=16).digest()
        except OSError:  # whoever decodes it says so
            return None
        return self._views.get(digest)


_current = {"views": EarlyViews()}


@contextmanager
def make_early_views(spec: InputSpec | None) -> Iterator[None]:
    """Let a check inside the block keep views of this input, until the block ends; None keeps none."""
    before, _current["views"] = _current["views"], EarlyViews(spec)
    try:
        yield
    finally:
        _current["views"] = before


def early_views() -> EarlyViews:
    """Those of the block of `make_early_views` that runs, or none."""
    return _current["views"]
