"""The table of domains is whole."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np

import headstart.knowledge.domains
from headstart.knowledge.domains import DOMAINS, DomainValues
from headstart.knowledge.photo import PHOTO
from headstart.knowledge.satellite import SATELLITE
from headstart.plan.plan import AugmentationPlan, Domain, InputPlan
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
        assert all((domain.source, domain.advice, domain.usual_images, domain.group_hint))
        assert bool(domain.largest_input) == bool(domain.input_reason)
        assert bool(domain.resize) == bool(domain.resize_reason)
        assert domain.channels == "auto" or domain.channels_reason
        assert bool(domain.few_images_augmentation) == bool(domain.few_images_reason)
        assert domain.contrast == "file" or domain.contrast_reason
        assert all((one.what, one.licence, one.how) for one in domain.weights)
        InputPlan(resize=domain.resize or "auto", size=domain.largest_input or "auto")


def test_a_larger_input_enlarges_no_image_beyond_the_next_multiple_of_32():
    found = {resolution: SATELLITE.larger_input(resolution) for resolution in (None, 64, 65, 256, 400)}
    largest = SATELLITE.largest_input
    assert largest is not None
    assert found == {None: largest, 64: 64, 65: 96, 256: 256, 400: largest}
    assert PHOTO.larger_input(1000) is None


def test_words_belong_to_one_domain_and_those_of_a_domain_that_names_cannot_tell_are_none():
    words = [word for domain in DOMAINS.values() for word in domain.words]
    assert len(words) == len(set(words))
    assert {name for name, domain in DOMAINS.items() if not domain.words} == {"photo"}


def test_the_picture_that_domains_are_tried_on_tells_its_mirror_images_apart():
    view = np.asarray(corner_image(), np.float32)
    ways = ["as it is", "left to right", "upside down", "both"]
    for turned, suffix in ((view, ""), (view.transpose(1, 0, 2), ", turned")):
        found = [mirrored(one) for one in (turned, turned[:, ::-1], turned[::-1], turned[::-1, ::-1])]
        assert found == [f"{way}{suffix}" for way in ways]
