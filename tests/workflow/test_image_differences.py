"""In what the images of two runs differ, from data.json of this version and of older ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headstart.runs.folder import Run
from headstart.workflow.image_differences import image_difference
from made_runs import make_run
from run_values import run_data

ALL = [f"{index}.png" for index in range(10)]
IMAGES = {"train": ALL[:6], "validation": ALL[6:8], "test": ALL[8:]}
MOVED = {"train": [*ALL[1:6], "8.png"], "validation": ALL[6:8], "test": ["0.png", "9.png"]}


def run(folder: Path, **data: Any) -> Run:
    """A run with this data.json; other values are the plan's."""
    plan = {name: data.pop(name) for name in ("seed", "data") if name in data}
    place = make_run(folder, **plan)
    (place / "data.json").write_text(json.dumps({**run_data().to_dict(), "images": IMAGES, **data}))
    return Run(place)


def hashes(everything: str, report: str = "r") -> dict[str, str]:
    return {"all": everything, "train": "f", "validation": "s", "test": report}


NEW, OLD = {"content_of": hashes("x")}, {}


@pytest.mark.parametrize(
    ("a", "b", "files", "test_files", "sentence"),
    [
        ({"content": "1"}, {"content": "1"}, "same", "same", ""),
        (
            {"content": "1", **NEW},
            {"content": "2", "content_of": hashes("x", "q"), "images": MOVED, "seed": 1},
            *("same", "other"),
            "the same 10 files; 2 of them have another role (test and train, train and test): seed 0 and 1",
        ),
        (
            {"content": "1", **NEW},
            {"content": "2", "content_of": hashes("y"), "images": {**IMAGES, "train": [*ALL[2:6], "new.png"]}},
            *("other", "same"),
            "not the same files: 2 only in a (first: 0.png), 1 only in b (first: new.png), 8 names in both",
        ),
        (
            {"content": "1", **NEW},
            {"content": "2", "content_of": hashes("y", "q")},
            *("other", "other"),
            "the same 10 names, but files or classes changed between the runs",
        ),
        (
            {"content": "1", **OLD},
            {"content": "2", **NEW, "images": MOVED, "data": {"source": "photos", "group": "(p)"}},
            *("unknown", "other"),
            "the same 10 names; whether the files changed is not known, a run of an older version kept no hash; "
            "2 of them have another role (test and train, train and test): group not set and (p)",
        ),
        (
            {"content": "1", "images": {}},
            {"content": "2", **NEW},
            *("other", "other"),
            "which images took part is not known: a run of an older version kept no list",
        ),
    ],
)
def test_files_and_roles_are_told_apart(
    tmp_path: Path, a: dict[str, Any], b: dict[str, Any], files: str, test_files: str, sentence: str
):
    found = image_difference(("a", "b"), (run(tmp_path / "a", **a), run(tmp_path / "b", **b)))
    assert (found.files, found.test_files, found.sentence) == (files, test_files, sentence)
