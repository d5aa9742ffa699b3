"""A frozen prefix as the store knows it: its cut point, its tensors, and the part that probes store too."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from headstart.engine.known.features import pooled_part
from headstart.engine.store.activations import cut_point_label
from headstart.engine.store.frozen_part import cut_at, frozen_part
from headstart.errors import ModelError


def test_a_part_has_its_cut_point_and_the_shapes_of_its_activations(prepare: Callable):
    classifier = prepare().classifier()
    name = classifier.group_names[-2]
    part = frozen_part(classifier, cut_at(classifier, name, size=32))
    assert part.cut_point == cut_point_label(name) == f"before {name}"
    assert [len(tensor.shape) for tensor in part.tensors] == [3]


def test_before_the_head_it_is_the_part_that_probes_store(prepare: Callable):
    classifier = prepare().classifier()
    part = frozen_part(classifier, cut_at(classifier, classifier.group_names[-1], size=32))
    pooled = pooled_part(classifier)
    assert (part.cut_point, part.tensors, part.model) == (pooled.cut_point, pooled.tensors, pooled.model)


def test_a_cut_point_that_the_network_does_not_have_is_refused(prepare: Callable):
    with pytest.raises(ModelError):
        cut_at(prepare().classifier(), "nowhere", size=32)
