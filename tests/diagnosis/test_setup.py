from __future__ import annotations

import dataclasses

import pytest

from headstart.diagnosis.setup import Setup


def test_a_set_up_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Setup(model=None).accumulate = 2  # type: ignore[misc]
