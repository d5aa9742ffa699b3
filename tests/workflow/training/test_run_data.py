"""data.json tells the files apart from the roles they play."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.networks.cards.finding import find_model
from headstart.plan.plan import DataPlan
from headstart.plan.request import Request
from headstart.runs.progress import no_progress
from headstart.workflow.images import check_for_training
from headstart.workflow.plans import make_plan
from headstart.workflow.training.run_data import run_data


def data_of(folder: Path, *, strategy: str = "feature_extraction", seed: int = 0, group: str | None = None):
    options = Request(DataPlan(source=str(folder), group=group), strategy=strategy, input_size=32, seed=seed)  # type: ignore[arg-type]
    spec = find_model("tf_efficientnet_lite0").card.input
    return run_data(options.data, check_for_training(make_plan(options), no_progress), spec)


def test_other_roles_of_the_same_files_have_the_same_hash_of_files(image_folder: Path):
    one, other, tuned = data_of(image_folder), data_of(image_folder, seed=1), data_of(image_folder, strategy="partial")
    assert one.content != other.content, "the hash with roles"
    assert one.content_of["all"] == other.content_of["all"] == tuned.content_of["all"]
    assert one.content_of["test"] != other.content_of["test"], "another seed, other test images"
    assert one.content_of["test"] == tuned.content_of["test"]
    assert one.content_of["train"] != tuned.content_of["train"]


@pytest.mark.parametrize("change", ["bytes", "name", "class"])
def test_another_file_has_another_hash(image_folder: Path, change: str):
    before = data_of(image_folder).content_of["all"]
    one, other = sorted(image_folder.iterdir())
    file = next(one.glob("*.png"))
    if change == "bytes":
        file.write_bytes(file.read_bytes() + b"\0")
    else:
        file.rename((other if change == "class" else one) / "other.png")
    assert data_of(image_folder).content_of["all"] != before


def test_only_groups_of_several_images_are_listed(image_folder: Path):
    assert data_of(image_folder).group_of == {}
    found = data_of(image_folder, group=r"([0-9])\.png$")
    assert found.groups == len(set(found.group_of.values()))
    assert set(found.group_of) == {image for images in found.images.values() for image in images}
