"""The table of domains is whole."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np

import headstart.knowledge.domains
from headstart.knowledge.domains import DOMAINS, DomainValues
from headstart.plan.plan import AugmentationPlan, Domain
from mirror_images import corner_image, mirrored


def test_every_name_of_a_plan_is_in_the_table_and_has_a_file():
    assert set(DOMAINS) == set(get_args(Domain))
    assert len(DOMAINS) == 5
    for name, values in DOMAINS.items():
        assert values.name == name
        assert (Path(headstart.knowledge.domains.__file__).parent / f"{name}.py").is_file()


def test_every_value_fits_a_plan_and_has_its_reason():
    for domain in DOMAINS.values():
        assert isinstance(domain, DomainValues)
        AugmentationPlan(preset=domain.augmentation, flip=domain.flip)
        assert len(domain.flip_reason) > 20
        assert len(domain.augmentation_reason) > 20


def test_the_picture_that_domains_are_tried_on_tells_its_mirror_images_apart():
    view = np.asarray(corner_image(), np.float32)
    found = [mirrored(one) for one in (view, view[:, ::-1], view[::-1], view[::-1, ::-1])]
    assert found == ["as it is", "left to right", "upside down", "both"]
