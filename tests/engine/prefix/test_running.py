"""What counts as the same outputs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from headstart.engine.prefix.running import SINGLE, EngineWithHead, output_fault

Images = npt.NDArray[np.float32]


class Twice:
    name, version, image_threads = "twice", "1", 3

    def run(self, images: Images) -> tuple[Images, ...]:
        return (2 * images.reshape(len(images), -1),)


def test_an_engine_with_a_head_gives_logits_and_is_the_same_engine() -> None:
    engine = EngineWithHead(Twice(), lambda features: features.sum(axis=1, keepdims=True))
    assert (engine.name, engine.version, engine.image_threads) == ("twice", "1", 3)
    (found,) = engine.run(np.ones((2, 1, 1, 3), np.float32))
    assert found.tolist() == [[6.0], [6.0]]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (np.ones((2, 3), np.float32), ""),
        (np.ones((2, 3), np.float32) + 9e-5, ""),
        (np.ones((2, 3), np.float32) + 2e-4, "differ by 2.0e-04"),
        (np.full((2, 3), np.nan, np.float32), "differ by nan"),
        (np.ones((2, 4), np.float32), "arrays of [(2, 4)], not [(2, 3)]"),
    ],
)
def test_agreement_is_what_the_tolerance_says(found: Images, words: str):
    fault = output_fault((found,), (np.ones((2, 3), np.float32),), SINGLE)
    assert words in fault
    assert bool(words) == bool(fault)


def test_a_row_may_point_nowhere_else_even_where_others_are_far_larger():
    expected = np.array([[1e4, 0.0], [0.1, 0.0]], np.float32)
    assert "cosine" in output_fault((np.array([[1e4, 0.0], [0.0, 0.1]], np.float32),), (expected,), SINGLE)
    zeros = np.zeros((2, 2), np.float32)
    assert not output_fault((zeros,), (zeros,), SINGLE)
