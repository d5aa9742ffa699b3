"""Groups of near-identical images: copies are found, images that are merely alike are not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from headstart.data.checks import near_duplicates
from headstart.data.checks.near_duplicates import NearDuplicates, components, find_near_duplicates
from headstart.data.checks.thumbnails import thumbnail
from headstart.data.sources.reading import WHOLE, ImageRecord
from near_copies import brightened, cropped, pixels_of, recompressed, rescaled, scene

CHANGES: tuple[Callable[[Image.Image], Image.Image], ...] = (recompressed, rescaled, brightened, cropped)


def found(images: dict[str, Image.Image]) -> NearDuplicates:
    records = [ImageRecord(name, name.split("/")[0], WHOLE) for name in images]
    return find_near_duplicates(records, {name: thumbnail(pixels_of(image)) for name, image in images.items()})


@pytest.fixture(scope="module")
def scenes() -> dict[str, Image.Image]:
    return {f"{'ab'[seed % 2]}/{seed:02d}": scene(seed) for seed in range(60)}


def test_different_scenes_are_no_group(scenes: dict[str, Image.Image]):
    assert found(scenes) == NearDuplicates()


def test_copies_are_one_group_with_their_original_and_nothing_else(scenes: dict[str, Image.Image]):
    copies = {
        f"{name}~{k}": CHANGES[(i + k) % 4](scenes[name]) for i, name in enumerate(list(scenes)[:16]) for k in (0, 1)
    }
    near = found({**scenes, **copies})
    assert near.groups == tuple((name, f"{name}~0", f"{name}~1") for name in sorted(list(scenes)[:16]))
    assert near.too_large == ()
    assert near.names()["a/00~1"] == "a/00"
    assert "b/59" not in near.names()


def test_the_order_of_the_images_changes_nothing(scenes: dict[str, Image.Image]):
    images = {**scenes, **{f"{name}~": cropped(scenes[name]) for name in list(scenes)[:10]}}
    assert found(images) == found(dict(reversed(images.items())))


def test_images_that_are_all_alike_are_no_copies_but_equal_ones_are():
    """As X-rays are: the same large structure in all, a tenth of the contrast is their own."""
    common = pixels_of(scene(0)).astype(float)
    alike = {
        f"a/{seed:02d}": Image.fromarray(
            np.clip(common + 0.35 * (pixels_of(scene(seed)).astype(float) - 128), 0, 255).astype(np.uint8)
        )
        for seed in range(1, 50)
    }
    assert found(alike) == NearDuplicates()
    assert found({**alike, "a/99": recompressed(alike["a/07"])}).groups == (("a/07", "a/99"),)


def test_a_class_that_is_one_scene_is_told_and_not_joined(scenes: dict[str, Image.Image]):
    one = {f"c/{k}": CHANGES[k % 3](scene(99, side=160 + k)) for k in range(6)}
    near = found({**scenes, **one})
    assert near.groups == ()
    assert near.too_large == (tuple(one),)


def test_very_many_images_are_compared_class_by_class(scenes: dict[str, Image.Image], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(near_duplicates, "MOST_TOGETHER", 20)
    copies = {"a/00~": recompressed(scenes["a/00"]), "b/02~": recompressed(scenes["a/02"])}
    assert found({**scenes, **copies}).groups == (("a/00", "a/00~"),)


def test_blocks_change_nothing(scenes: dict[str, Image.Image], monkeypatch: pytest.MonkeyPatch):
    images = {**scenes, **{f"{name}~": rescaled(scenes[name]) for name in list(scenes)[:10]}}
    whole = found(images)
    monkeypatch.setattr(near_duplicates, "_BLOCK_VALUES", 100)
    assert found(images) == whole


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_images_have_no_copies(count: int):
    assert found({f"a/{index}": scene(index) for index in range(count)}) == NearDuplicates()


def test_components_follow_chains_and_leave_single_ones_out():
    assert components(7, np.array([[0, 3], [3, 5], [1, 2]])) == [[0, 3, 5], [1, 2]]
    assert components(3, np.empty((0, 2), np.int64)) == []


def test_images_that_hang_together_in_a_chain_are_no_copies(monkeypatch: pytest.MonkeyPatch):
    """Each like the next, as solar cells are: joined, they would move dozens of different things to one side."""
    images = {f"a/{number:02d}": scene(number) for number in range(40)}
    chain = np.array([(number, number + 1) for number in range(12)])
    monkeypatch.setattr(near_duplicates, "near_identical_pairs", lambda *_: chain)
    assert found(images) == NearDuplicates()
    monkeypatch.setattr(near_duplicates, "near_identical_pairs", lambda *_: chain[:4])
    assert [len(group) for group in found(images).groups] == [5], (
        "five of a burst may well be like their neighbours only"
    )
    everyone = np.array([(a, b) for a in range(12) for b in range(a + 1, 12)])
    monkeypatch.setattr(near_duplicates, "near_identical_pairs", lambda *_: everyone)
    assert [len(group) for group in found(images).groups] == [12]
