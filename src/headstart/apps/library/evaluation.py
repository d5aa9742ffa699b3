"""The library verbs `evaluate` and `report`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from headstart.apps.library.calling import PathLike, checked, path_or_none, text_or_none
from headstart.apps.library.watching import Watch, watching
from headstart.arguments import ArgumentError, fault_of

if TYPE_CHECKING:
    from headstart.workflow.reporting import Report


@checked
def evaluate(
    bundle: PathLike,
    data: PathLike | None = None,
    *,
    split: Literal["train", "val", "test"] | None = None,
    group: str | None = None,
    seen: Literal["leave_out", "include"] | None = None,
    progress: Watch = "auto",
) -> dict[str, Any]:
    """Figures of a bundle on labelled images, as `headstart evaluate --json` prints them.

    Args:
        bundle: Folder of the bundle, or of the run that made it.
        data: DATA; None repeats the test images of the run.
        split: Of split folders; test, else val, else everything if None.
        group: Pattern whose group 1 names what belongs together, which intervals count; as in training if None.
        seen: Whether images that the bundle was trained on are judged; left out if None and there is DATA.
        progress: As in `train`.

    Raises:
        DataError: the images have classes the bundle does not know, or cannot be read.
        BundleError: not a bundle.
    """
    from headstart.workflow import evaluating

    with watching(progress) as (shown, _):
        return evaluating.evaluate(
            Path(bundle), text_or_none(data), split=split, group=group, seen=seen, progress=shown
        )


@checked
def report(
    runs: PathLike | Sequence[PathLike], *, out: PathLike | None = None, images: Literal["named", "shown"] = "named"
) -> list[Report]:
    """Write one HTML page for each run or comparison, `report.html` in its folder.

    Args:
        runs: Folder of a run or comparison, or several.
        out: Another file, for a single page.
        images: shown puts small copies of the images behind mistakes into the page.

    Raises:
        RunError: no run, a damaged file, or nothing was trained yet.
        HeadstartError: `out` for several pages, or a file that cannot be written.
    """
    from headstart.workflow import reporting

    folders = [runs] if isinstance(runs, str | os.PathLike) else list(runs)
    if wrong := [fault for at, one in enumerate(folders) if (fault := fault_of(f"runs[{at}]", one, PathLike))]:
        raise ArgumentError(wrong[0])
    return reporting.report([Path(folder) for folder in folders], out=path_or_none(out), images=images)
