"""Thumbnails inside a page: nothing is loaded from elsewhere, and no image is copied unless requested."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Literal, Protocol

from PIL import Image

from headstart.data.loading import ImageFault, read_image
from headstart.data.sources.reading import ImageRecord
from headstart.html.markup import Html, tag
from headstart.input_spec import Decoding

ShownImages = Literal["named", "shown"]
"""named: file names only; no image leaves its folder. shown: small copies become part of the page."""

THUMBNAIL_PIXELS = 96
"""Longer side of a thumbnail."""
_QUALITY = 72


class Pictures(Protocol):
    """Source of the images of a page."""

    def of(self, image: str, says: str) -> Html | None:
        """Element with a thumbnail of the image; None if there is none."""

    def notes(self) -> list[str]:
        """Sentences about images that are not shown."""


class NoPictures:
    """No images: only names are shown."""

    def of(self, image: str, says: str) -> None:
        """None."""

    def notes(self) -> list[str]:
        """Sentence on how to show them."""
        return ["Images are named and not shown: --with-images puts small copies of them into the page."]


NO_PICTURES = NoPictures()


class PageThumbnails:
    """JPEG thumbnails as data URIs, up to a total size."""

    def __init__(
        self,
        records: Mapping[str, ImageRecord],
        *,
        room_bytes: int,
        missing: str = "",
        decoding: Decoding = Decoding(),  # noqa: B008 - frozen
    ) -> None:
        """Store the originals and the limit.

        Args:
            records: By id.
            room_bytes: Largest total size.
            missing: A sentence that says why originals are missing, where they are.
            decoding: What the values of a file become.
        """
        self._records = records
        self._room = room_bytes
        self._missing = missing
        self._decoding = decoding
        self._made: dict[str, str | None] = {}
        self.shown = 0
        self.left_out = 0
        self.unreadable = 0

    def of(self, image: str, says: str) -> Html | None:
        """Thumbnail; None if the original is missing or unreadable, or no room is left."""
        uri = self._uri(image)
        if uri is None:
            return None
        if len(uri) > self._room:
            self.left_out += 1
            return None
        self._room -= len(uri)
        self.shown += 1
        return tag("img", class_="thumbnail", src=uri, alt=says)

    def notes(self) -> list[str]:
        """Sentences with the number of shown, omitted and missing images."""
        said = [f"{self.shown:,} small copies of images are part of this page."]
        if self.left_out:
            said.append(f"{self.left_out:,} more were left out, so that the page stays small enough to send.")
        if self._missing:
            said.append(self._missing)
        elif self.unreadable:
            said.append(f"{self.unreadable:,} of the images are not there any more, or cannot be read.")
        return said

    def _uri(self, image: str) -> str | None:
        if image not in self._made:
            self._made[image] = self._copied(image)
            self.unreadable += self._made[image] is None
        return self._made[image]

    def _copied(self, image: str) -> str | None:
        record = self._records.get(image)
        if record is None:
            return None
        found = read_image(record, at_least=THUMBNAIL_PIXELS, decoding=self._decoding)
        if isinstance(found, ImageFault):
            return None
        small = Image.fromarray(found.pixels)
        small.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=_QUALITY, optimize=True)
        return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
