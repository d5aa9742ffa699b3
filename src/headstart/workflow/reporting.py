"""report: a run or a comparison -> one HTML file for people who were not there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from headstart.amounts import bytes_text
from headstart.comparison.comparison import PLAN_FILE
from headstart.comparison.record import RECORD_FILE
from headstart.data.sources.reading import ImageRecord
from headstart.errors import HeadstartError, ModelError, RunError
from headstart.files import is_file, is_folder, is_there, write_atomically
from headstart.html.pictures import NO_PICTURES, PageThumbnails, Pictures, ShownImages
from headstart.networks.cards.finding import find_model
from headstart.reports.comparison.facts import read_comparison_facts
from headstart.reports.comparison.report import comparison_page
from headstart.reports.run.report import run_page
from headstart.runs.record import RunRecord, read_run

FILE_NAME = "report.html"
LARGEST_PAGE_BYTES = 5_000_000
"""Of one file: what most mail servers let pass."""
_PICTURES_BYTES = 3_500_000
_FULL_NAMES = 4_000
_ATTEMPTS = 5

ReportKind = Literal["run", "comparison"]


@dataclass(frozen=True, slots=True)
class Report:
    """A file that was written."""

    run: Path
    """The folder it tells of."""
    kind: ReportKind
    path: Path
    size_bytes: int
    notes: tuple[str, ...] = ()
    """What was left out of it."""

    def __repr__(self) -> str:
        return f"Report({self.kind} {self.run}: {self.path}, {bytes_text(self.size_bytes)})"


def report(folders: Sequence[Path], *, out: Path | None = None, images: ShownImages = "named") -> list[Report]:
    """Write one page for each run or comparison, `report.html` in its folder.

    Nothing is written before all of them could be read and drawn.

    Args:
        folders: Of runs and comparisons.
        out: Another file, for a single page.
        images: Whether pages of runs show small copies of the images behind mistakes.

    Raises:
        RunError: no run, a damaged file, or nothing was trained yet.
        HeadstartError: `out` for several pages, or a file that cannot be written.
    """
    if out is not None and len(folders) != 1:
        raise HeadstartError(
            f"-o {out} is one file for {len(folders)} reports",
            expected="one run with -o",
            remedy=f"leave -o out: each gets its own {FILE_NAME} in its folder",
        )
    if out is not None and (is_folder(out) or not is_folder(out.parent)):
        place = f"{out} is a folder" if is_folder(out) else f"{out.parent} is no folder"
        raise HeadstartError(place, expected="a file in a folder that is there", remedy="choose another -o")
    drawn = [(folder, *_whole(folder, images)) for folder in folders]
    return [_written(folder, kind, text, notes, path=out or folder / FILE_NAME) for folder, kind, text, notes in drawn]


def _written(folder: Path, kind: ReportKind, text: str, notes: tuple[str, ...], *, path: Path) -> Report:
    try:
        write_atomically(path, lambda aside: aside.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise HeadstartError(
            f"{path} cannot be written ({error.strerror})", remedy="choose another file with -o"
        ) from error
    return Report(folder, kind, path, path.stat().st_size, notes)


def _whole(folder: Path, images: ShownImages) -> tuple[ReportKind, str, tuple[str, ...]]:
    """The page, if its folder holds all that pages tell."""
    try:
        return _drawn(folder, images)
    except KeyError as error:
        raise RunError(
            f"{folder} lacks {error} in what it tells",
            expected="a folder written by this version of headstart",
            remedy="restore it from a copy, or report it with the version that made it",
        ) from error


def _drawn(folder: Path, images: ShownImages) -> tuple[ReportKind, str, tuple[str, ...]]:
    if is_file(folder / RECORD_FILE) or is_file(folder / PLAN_FILE):
        return "comparison", comparison_page(read_comparison_facts(folder)), ()
    if not is_file(folder / "plan.resolved.yaml"):
        raise RunError(
            f"{folder} is no run folder" if is_there(folder) else f"{folder} does not exist",
            expected="a folder made by headstart train or headstart compare",
            remedy="name the folder that --out named, or one under runs/",
        )
    run = _with_groups(read_run(folder))
    return "run", *_fitting(run, _originals(run) if images == "shown" else None)


def _fitting(run: RunRecord, originals: tuple[Mapping[str, ImageRecord], str] | None) -> tuple[str, tuple[str, ...]]:
    """The page, with fewer names and images the more often it came out too large."""
    text = ""
    pictures: Pictures = NO_PICTURES
    for attempt in range(_ATTEMPTS):
        share = 4**attempt
        pictures = NO_PICTURES
        if originals is not None:
            records, missing = originals
            room, decoding = _PICTURES_BYTES // share, run.plan.data.decoding
            pictures = PageThumbnails(records, room_bytes=room, missing=missing, decoding=decoding)
        text = run_page(replace(run, most_names=_FULL_NAMES // share), pictures)
        if len(text.encode()) < LARGEST_PAGE_BYTES:
            break
    return text, tuple(pictures.notes()) if originals is not None else ()


def _with_groups(run: RunRecord) -> RunRecord:
    """The network's layer groups, where the run has no bundle yet that names them."""
    if run.layer_groups:
        return run
    try:
        groups = find_model(run.plan.model.name).card.groups
    except ModelError:  # its weights are a file that is gone, or of the hub: the phases name what learned
        return run
    return replace(run, layer_groups=tuple(groups))


def _originals(run: RunRecord) -> tuple[Mapping[str, ImageRecord], str]:
    """Images of a run by id, as far as they are there; and a sentence if they are gone."""
    from headstart.workflow.images import sources_of

    try:
        found, apart = sources_of(run.plan.data.model_copy(update={"source": run.data.source}))
    except HeadstartError as error:
        return {}, f"No image is shown, because the originals are not where training found them: {error.found}."
    records = (*found.records, *(apart.records if apart is not None else ()))
    return {record.id: record for record in records}, ""
