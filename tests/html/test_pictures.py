"""Small copies of images."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
from PIL import Image

from headstart.data.sources.reading import ImageRecord
from headstart.html.pictures import NO_PICTURES, THUMBNAIL_PIXELS, PageThumbnails


def record(folder: Path, name: str, *, size: tuple[int, int] = (300, 150)) -> ImageRecord:
    path = folder / name
    noise = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    exif = image.getexif()
    exif[0x010E] = "secret place"
    image.save(path, "JPEG", exif=exif)
    return ImageRecord(name, "ants", "val", path)


def decoded(html: str) -> bytes:
    found = re.search(r'src="data:image/jpeg;base64,([^"]+)"', html)
    assert found
    return base64.b64decode(found[1])


def test_a_copy_is_small_whole_and_tells_nothing_else(tmp_path: Path):
    pictures = PageThumbnails({"a": record(tmp_path, "a.jpg")}, room_bytes=100_000)
    html = pictures.of("a", "labelled <ants>")
    assert html is not None
    assert 'alt="labelled &lt;ants&gt;"' in html
    content = decoded(html)
    with Image.open(io.BytesIO(content)) as image:
        assert image.size == (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS // 2)
    assert b"secret" not in content
    assert pictures.notes() == ["1 small copies of images are part of this page."]


def test_room_is_never_exceeded_and_what_is_left_out_is_counted(tmp_path: Path):
    records = {str(i): record(tmp_path, f"{i}.jpg") for i in range(6)}
    one = len(PageThumbnails(records, room_bytes=10**6).of("0", "") or "")
    pictures = PageThumbnails(records, room_bytes=3 * one)
    shown = [html for i in records if (html := pictures.of(i, "")) is not None]
    assert 1 <= len(shown) < 6
    assert sum(map(len, shown)) <= 3 * one + 60 * len(shown)
    assert pictures.left_out == 6 - len(shown)
    assert "more were left out" in pictures.notes()[1]


def test_what_is_gone_or_broken_is_said_once(tmp_path: Path):
    gone = ImageRecord("gone", "ants", "val", tmp_path / "gone.jpg")
    (tmp_path / "text.jpg").write_text("no image", encoding="utf-8")
    broken = ImageRecord("text", "ants", "val", tmp_path / "text.jpg")
    pictures = PageThumbnails({"gone": gone, "text": broken}, room_bytes=10**6)
    assert [pictures.of(name, "") for name in ("gone", "gone", "text", "never")] == [None] * 4
    assert "3 of the images are not there any more" in pictures.notes()[-1]
    assert PageThumbnails({}, room_bytes=1, missing="All gone.").notes()[-1] == "All gone."


def test_without_asking_no_image_leaves():
    assert NO_PICTURES.of("a", "") is None
    assert "--with-images" in NO_PICTURES.notes()[0]
