"""State of a pretraining from what its folder holds, and how to go on."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from headstart.errors import RunError
from headstart.workflow.pretraining.finding import pretraining_summary
from made_runs import make_pretraining


def test_a_finished_one_names_its_backbone(tmp_path: Path) -> None:
    found = pretraining_summary(make_pretraining(tmp_path / "a"))
    assert (found.state, found.why, found.done, found.epochs, found.resume) == ("finished", "", 20, 20, None)
    assert found.model == f"tf_efficientnet_lite0:file:{tmp_path / 'a' / 'backbone.safetensors'}"
    assert (found.init, found.data) == ("tf_efficientnet_lite0:in1k", "tiles")
    assert found.to_dict()["started"][:2] == "20"


def test_one_that_can_go_on_says_how(tmp_path: Path) -> None:
    found = pretraining_summary(make_pretraining(tmp_path / "a", ended="budget"))
    assert (found.state, found.done) == ("stopped", 1)
    assert found.resume == f"headstart pretrain --resume {tmp_path / 'a'}"


@pytest.mark.parametrize(("quiet", "state"), [(10, "running"), (3600, "interrupted")])
def test_one_without_metrics_was_killed_if_it_is_silent(tmp_path: Path, quiet: int, state: str) -> None:
    folder = make_pretraining(tmp_path / "a", ended=None)
    found = pretraining_summary(folder, now=time.time() + quiet)
    assert (found.state, found.done, found.model) == (state, None, None)
    command = f"headstart pretrain --resume {folder}"
    assert (found.resume == command) is (state == "interrupted")
    assert (command in found.why) is (state == "running")


def test_a_checkpoint_after_the_metrics_is_that_of_a_resumed_one(tmp_path: Path) -> None:
    folder, now = make_pretraining(tmp_path / "a", ended="budget"), time.time()
    os.utime(folder / "checkpoint.pt", (now + 60, now + 60))
    assert pretraining_summary(folder, now=now + 70).state == "running"
    assert pretraining_summary(folder, now=now + 7000).state == "interrupted"


def test_damaged_files_are_named(tmp_path: Path) -> None:
    folder = make_pretraining(tmp_path / "a")
    (folder / "metrics.json").write_text("{")
    with pytest.raises(RunError, match=r"metrics\.json is damaged"):
        pretraining_summary(folder)
