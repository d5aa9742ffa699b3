"""page: the findings of check as one HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headstart.data.checks.check_result import CheckResult
from headstart.data.sources.reading import ImageRecord
from headstart.data.sources.source_names import is_place
from headstart.errors import DataError
from headstart.files import is_folder, write_atomically
from headstart.html.pictures import NO_PICTURES, PageThumbnails, Pictures, ShownImages
from headstart.input_spec import Decoding
from headstart.reports.findings.report import findings_page

SUFFIXES = (".html", ".htm")
_PICTURES_BYTES = 3_500_000


def refuse_page(path: Path, source: str) -> None:
    """Refuse a place for the page that would mislead or do harm, before anything is read.

    Args:
        path: Of the page.
        source: DATA.

    Raises:
        DataError: another suffix than .html, a folder that is not there, or a file inside DATA.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"the page is HTML, and {path} has another suffix", remedy=f"write {path.with_suffix('.html')}")
    if not is_folder(path.absolute().parent):
        raise DataError(f"{path.absolute().parent} is no folder", remedy="make it first, or choose another place")
    if is_place(source) and is_folder(source) and Path(source).resolve() in path.resolve().parents:
        raise DataError(f"the page {path} would lie in {source}", remedy="choose a place outside DATA")


def write_findings_page(
    result: CheckResult, records: Sequence[ImageRecord], path: Path, *, images: ShownImages, decoding: Decoding
) -> None:
    """Write the page.

    Args:
        result: What was found.
        records: All images of DATA.
        path: Of the page.
        images: Whether it shows small copies of the images behind findings.
        decoding: What the bytes of the image files become.

    Raises:
        DataError: the file cannot be written.
    """
    pictures: Pictures = NO_PICTURES
    if images == "shown":
        known = {record.id: record for record in records}
        pictures = PageThumbnails(known, room_bytes=_PICTURES_BYTES, decoding=decoding)
    text = findings_page(result, pictures)
    try:
        write_atomically(path, lambda aside: aside.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror})", remedy="choose another place") from error
