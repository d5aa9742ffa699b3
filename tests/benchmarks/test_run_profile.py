"""The profile of a run: time is booked on what the main thread does."""

from __future__ import annotations

from types import CodeType

import pytest
from run_profile import activity, table

PACKAGE = "/code/headstart"


def stack_of(*places: str) -> list[CodeType]:
    """Code of frames, from `file:function`."""
    code = (lambda: None).__code__
    return [code.replace(co_filename=file, co_name=name) for file, _, name in (one.rpartition(":") for one in places)]


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        (["/code/headstart/apps/cli/main.py:main", "/lib/site-packages/timm/__init__.py:<module>"], "import timm"),
        (
            ["/lib/site-packages/timm/__init__.py:<module>", "/lib/site-packages/torchvision/__init__.py:<module>"],
            "import timm",
        ),
        (["/code/headstart/apps/cli/main.py:main", "/code/headstart/runs/folder.py:<module>"], "import headstart"),
        (
            [
                "/code/headstart/apps/cli/main.py:main",
                "/code/headstart/prediction/evaluation.py:evaluate",
                "/code/headstart/engine/prefix/running.py:outputs_of",
            ],
            "features: decode and forward",
        ),
        (
            ["/code/headstart/workflow/training/train.py:train", "/lib/threading.py:wait"],
            "wait for the check of the images",
        ),
        (["/lib/threading.py:wait"], "the rest"),
    ],
)
def test_time_is_booked_on_what_the_thread_does(places: list[str], expected: str):
    assert activity(stack_of(*places), PACKAGE) == expected


def test_the_table_has_the_longest_first_and_sums_up():
    row = {"seconds": {"a": 2.0, "b": 7.9, "c": 0.05, "d": 0.05}, "cpu": {"a": 1.0, "c": 0.5}, "total": 10.0}
    assert list(table(row, empty=0.5))[2:] == [
        "| b | 79% | 7.90 | 0.00 |",
        "| a | 20% | 2.00 | 1.00 |",
        "| 2 others | 1% | 0.10 | 0.50 |",
        "| **all** (9.50 s over an empty program) | | 10.00 | 1.50 |",
    ]
