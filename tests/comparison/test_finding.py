"""A comparison in a line, in any condition."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headstart.comparison.finding import comparison_summary
from headstart.errors import RunError
from made_runs import STARTED, make_comparison


def test_an_unfinished_comparison_says_how_to_go_on(tmp_path: Path):
    folder = make_comparison(tmp_path / "compared", finished=False)
    assert comparison_summary(folder).to_dict() == {
        "comparison": str(folder),
        "started": STARTED,
        "what": "strategies",
        "state": "unfinished",
        "trials": 2,
        "done": 1,
        "chosen": "full",
        "accuracy": 0.8,
        "accuracy_interval": [0.7, 0.9],
        "resume": f"headstart compare --resume {folder}",
        "tied": 0,
    }


def test_comparisons_in_any_condition(tmp_path: Path):
    none_chosen = comparison_summary(make_comparison(tmp_path / "a", chosen=None))
    assert (none_chosen.state, none_chosen.chosen, none_chosen.accuracy) == ("finished", None, None)
    fresh = make_comparison(tmp_path / "b")
    (fresh / "comparison.json").unlink()
    found = comparison_summary(fresh)
    assert (found.state, found.chosen, found.trials) == ("unfinished", None, 0)
    assert found.resume == f"headstart compare --resume {fresh}"
    assert found.started > STARTED, "the time at which its plan was written"
    (make_comparison(tmp_path / "c") / "comparison.json").write_text("{")
    with pytest.raises(RunError, match=r"comparison\.json cannot be read"):
        comparison_summary(tmp_path / "c")


def test_a_finished_comparison_with_failed_trials_says_how_to_repeat_them_where_it_lies_now(tmp_path: Path):
    folder = make_comparison(tmp_path / "my photos")
    found = comparison_summary(folder)
    assert (found.state, found.resume) == ("finished", None)
    path = folder / "comparison.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"resume": "headstart compare --resume elsewhere"}))
    found = comparison_summary(folder)
    assert (found.state, found.resume) == ("finished", f"headstart compare --resume '{folder}'")
