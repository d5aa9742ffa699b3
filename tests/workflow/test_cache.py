"""What the store holds, made smaller by hand."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headstart.data.sources.copies import local_copy
from headstart.engine.store.shards import Tensor
from headstart.engine.store.store import EVALUATION, ActivationStore, Space, SpaceKey, image_digest, row_ids
from headstart.errors import HeadstartError
from headstart.input_spec import InputSpec
from headstart.workflow.cache import SMALLEST_LIMIT_BYTES, clear_cache, limit_cache, show_cache

KEY = SpaceKey(
    "resnet18:V1", "ab", "layer3", InputSpec(64, 64, "bilinear", (0.5,) * 3, (0.5,) * 3), "1", "torch", "2.9"
)
TENSORS = (Tensor((1000,)),)


def fill(root: Path, *, rows: int, last_used: float, **key: str) -> Space:
    space = ActivationStore(root).space(replace(KEY, **key), TENSORS)
    with space.writer() as writer:
        ids = row_ids([image_digest(number.to_bytes(4, "little")) for number in range(rows)], EVALUATION)
        writer.add(ids, (np.ones((rows, 1000), np.float32),))
    os.utime(space.folder / "used", (last_used, last_used))
    return space


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three spaces that nobody has open, 2 kB a row."""
    folder = tmp_path / "store"
    fill(folder, rows=1000, last_used=100.0, model="resnet50:V2", cut_point="pooled")
    fill(folder, rows=2000, last_used=300.0)
    fill(folder, rows=500, last_used=200.0, cut_point="layer2", views="standard")
    return folder


def test_everything_is_shown_with_the_last_used_first(root: Path):
    answer = show_cache(root)
    seen = [(s.model, s.cut_point, s.views, s.precision, s.rows, s.input_size) for s in answer.spaces]
    assert seen == [
        ("resnet18:V1", "layer3", "evaluation", "float16", 2000, 64),
        ("resnet18:V1", "layer2", "standard", "float16", 500, 64),
        ("resnet50:V2", "pooled", "evaluation", "float16", 1000, 64),
    ]
    assert answer.bytes == sum(space.bytes for space in answer.spaces)
    assert 3500 * 2016 < answer.bytes < 3500 * 2016 * 1.01
    assert answer.limit_set_by == "default"
    assert answer.free_disk_bytes > 0
    assert not any(space.in_use for space in answer.spaces)
    assert json.loads(json.dumps(answer.to_dict()))["spaces"][0]["rows"] == 2000


def test_an_empty_store_and_one_without_descriptions_are_shown(tmp_path: Path, root: Path):
    assert show_cache(tmp_path / "none").spaces == ()
    for path in root.glob("*/space.json"):
        path.write_text("broken")
    assert [space.model for space in show_cache(root).spaces] == [None] * 3
    assert clear_cache(root=root).freed_bytes > 0
    assert show_cache(root).spaces == ()


@pytest.mark.parametrize(("model", "left"), [("resnet18", 1), ("resnet18:V1", 1), ("resnet50", 2), (None, 0)])
def test_clearing_frees_what_it_says(root: Path, model: str | None, left: int):
    before = show_cache(root).bytes
    answer = clear_cache(model, root)
    after = show_cache(root)
    assert len(after.spaces) == left
    assert answer.freed_bytes == before - after.bytes
    assert len(answer.removed) == 3 - left
    assert answer.not_removed_in_use == ()
    assert [path.name for path in root.iterdir() if path.name.endswith(".gone")] == []


def test_a_model_that_is_not_stored_is_refused_with_those_that_are(root: Path):
    with pytest.raises(
        HeadstartError, match=r"'resnet19' is stored; expected one of resnet18:V1, resnet50:V2; did you"
    ):
        clear_cache("resnet19", root)
    with pytest.raises(HeadstartError, match="expected a store that is not empty"):
        clear_cache("resnet18", root / "none")


def test_what_a_process_has_open_stays_without_its_leftovers(root: Path):
    space = ActivationStore(root).space(KEY, TENSORS)
    (space.folder / ".9-0.shard.aside").write_bytes(b"half")
    answer = clear_cache(root=root)
    assert [kept.cut_point for kept in answer.not_removed_in_use] == ["layer3"]
    assert space.rows == 2000
    assert not list(space.folder.glob(".*"))


def test_a_limit_is_remembered_and_holds_at_once(root: Path):
    answer = limit_cache(5_500_000, root)
    assert [space.model for space in answer.removed] == ["resnet50:V2"]  # not used for longest
    assert answer.bytes_over_limit == 0
    after = show_cache(root)
    assert (after.limit_bytes, after.limit_set_by) == (5_500_000, "user")
    assert after.bytes == answer.bytes <= 5_500_000
    space = ActivationStore(root).space(KEY, TENSORS)
    answer = limit_cache(1_000_000, root)
    assert [space.cut_point for space in answer.removed] == ["layer2"]
    assert answer.bytes_over_limit == answer.bytes - 1_000_000
    assert space.rows == 2000


def test_a_limit_that_holds_nothing_is_refused(root: Path):
    with pytest.raises(HeadstartError, match=r"holds nothing; expected at least 1MB; .*cache --clear"):
        limit_cache(SMALLEST_LIMIT_BYTES - 1, root)


def test_facts_of_checked_images_are_shown_and_go_with_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path))
    (tmp_path / "store").mkdir()
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.rows").write_bytes(bytes(1000))
    assert show_cache().image_facts_bytes == 1000
    with pytest.raises(HeadstartError):
        clear_cache("resnet18")
    assert show_cache().image_facts_bytes == 1000
    cleared = clear_cache()
    assert (cleared.freed_bytes, cleared.image_facts_bytes) == (1000, 1000)
    assert show_cache().image_facts_bytes == 0


def test_copies_of_images_are_shown_and_go_with_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path))
    (tmp_path / "store").mkdir()
    local_copy("images of a store", lambda aside: aside.write_bytes(bytes(1000)))
    assert show_cache().image_copies_bytes == 1000
    cleared = clear_cache()
    assert (cleared.freed_bytes, cleared.image_copies_bytes, cleared.image_facts_bytes) == (1000, 1000, 0)
    assert show_cache().image_copies_bytes == 0
